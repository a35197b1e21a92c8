package pebblestore_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
)

// Where a log ends is no matter of chance.
func TestLogsEndAtTheSameCommits(t *testing.T) {
	t.Parallel()
	for _, bytes := range []int64{192 << 10, 1 << 20} {
		var first []int
		for range 8 {
			ends := logEnds(t, bytes)
			if first == nil {
				first = ends
			}
			if !slices.Equal(ends, first) {
				t.Fatalf("logs of %d bytes end before the commits %v, and before %v", bytes, first, ends)
			}
		}
		if len(first) < 3 || bytes < 1<<20 && len(first) < 4 {
			t.Errorf("logs of %d bytes end before the commits %v, want more of them", bytes, first)
		}
	}
}

// logEnds makes commits of some size, and returns those that began a log of so many bytes.
func logEnds(t *testing.T, bytes int64) (ends []int) {
	t.Helper()
	fs := vfs.NewMem()
	s := open(t, pebblestore.Config{Dir: "data", FS: fs, LogBytes: bytes, MemTableBytes: 4 << 20})
	defer closeStore(t, s)
	newest := newestLogOf(t, fs)
	for n := range 2000 {
		commit(t, s, func(b *store.Batch) { b.Set(key(uint64(n)), make([]byte, n%400)) })
		if now := newestLogOf(t, fs); now != newest {
			ends, newest = append(ends, n), now
		}
	}
	return ends
}

func newestLogOf(t *testing.T, fs vfs.FS) string {
	t.Helper()
	names, err := fs.List("data/db")
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".log") })
	return slices.Max(names)
}

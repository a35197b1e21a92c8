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
	var first []int
	for range 8 {
		ends := logEnds(t)
		if first == nil {
			first = ends
		}
		if !slices.Equal(ends, first) {
			t.Fatalf("logs end before the commits %v, and before %v", first, ends)
		}
	}
	if len(first) < 4 {
		t.Errorf("logs end before the commits %v, want more of them", first)
	}
}

// logEnds makes commits of some size, and returns those that began a log.
func logEnds(t *testing.T) (ends []int) {
	t.Helper()
	fs := vfs.NewMem()
	s := open(t, pebblestore.Config{Dir: "data", FS: fs, LogBytes: 192 << 10})
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

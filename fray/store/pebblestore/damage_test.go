package pebblestore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
)

// readAll returns the files below a directory of fs, but for locks.
func readAll(tb testing.TB, fs vfs.FS, dir string) map[string]string {
	tb.Helper()
	files := make(map[string]string)
	names, err := fs.List(dir)
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		switch {
		case err != nil:
			tb.Fatal(err)
		case info.IsDir():
			maps.Copy(files, readAll(tb, fs, path))
		case name != "LOCK":
			f, err := fs.Open(path)
			if err != nil {
				tb.Fatal(err)
			}
			data, err := io.ReadAll(f)
			if err := errors.Join(err, f.Close()); err != nil {
				tb.Fatal(err)
			}
			files[path] = string(data)
		}
	}
	return files
}

// writeAll returns a filesystem with the files.
func writeAll(tb testing.TB, files map[string]string) *vfs.MemFS {
	tb.Helper()
	fs := vfs.NewMem()
	if err := fs.MkdirAll("data/db", 0o700); err != nil {
		tb.Fatal(err)
	}
	for path, data := range files {
		f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := f.Write([]byte(data)); err != nil {
			tb.Fatal(err)
		}
		if err := f.Close(); err != nil {
			tb.Fatal(err)
		}
	}
	return fs
}

// images are what a store leaves: one that was closed, and one whose process was killed.
func images(t *testing.T) (sc *script, found map[string]map[string]string) {
	t.Helper()
	sc, mem := &script{sessions: 3, perSession: 50}, vfs.NewCrashableMem()
	if err := sc.run(mem); err != nil {
		t.Fatal(err)
	}
	closed := readAll(t, mem, "data")
	s, err := pebblestore.Open(sc.config(mem))
	if err != nil {
		t.Fatal(err)
	}
	for n := 151; n <= 400; n++ { // Tables are written, and their logs deleted.
		if err := s.Commit(sc.batch(n)); err != nil {
			t.Fatal(err)
		}
	}
	found = map[string]map[string]string{"closed": closed, "killed": killed(t, mem)}
	closeStore(t, s)
	return sc, found
}

// killed returns what a process that is killed now leaves.
func killed(t *testing.T, mem *vfs.MemFS) map[string]string {
	t.Helper()
	return readAll(t, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: seeded(1)}), "data")
}

// Whatever happens to a file, either an error names it or nothing that was acknowledged is missing;
// and what cannot be opened is left as it is.
func TestDamage(t *testing.T) {
	t.Parallel()
	sc, found := images(t)
	for name, files := range found {
		batches := map[string]int{"closed": 150, "killed": 400}[name]
		for _, path := range slices.Sorted(maps.Keys(files)) {
			t.Run(name+"/"+path, func(t *testing.T) {
				t.Parallel()
				original, step := files[path], 1
				if apart() > 1 {
					step += len(files[path]) / 20
				}
				try := func(what, damaged string) (opened bool) {
					files := maps.Clone(files)
					files[path] = damaged
					fs := writeAll(t, files)
					err := sc.check(fs, batches, batches)
					if err == nil {
						return true
					}
					if !strings.Contains(err.Error(), "data/") || !errors.Is(err, store.ErrCorrupt) && !strings.Contains(err.Error(), "upgrade fray") {
						t.Errorf("%s: %v; want an error that names a file, or all records", what, err)
					}
					if strings.HasPrefix(err.Error(), "open ") && !maps.Equal(readAll(t, fs, "data"), files) {
						t.Errorf("%s: the failed opening changed files", what)
					}
					return false
				}
				flips, harmless := 0, 0
				for at := 0; at < len(original); at += step {
					for _, mask := range []byte{1 << (at % 8), 0xff} {
						data := []byte(original)
						data[at] ^= mask
						flips++
						if try(fmt.Sprintf("byte %d of %d, xor %#x", at, len(original), mask), string(data)) {
							harmless++
						}
					}
				}
				cuts, bearable := 0, 0
				for size := len(original) - 1; size >= 0; size -= step {
					cuts++
					if try(fmt.Sprintf("truncated from %d to %d bytes", len(original), size), original[:size]) {
						bearable++
					}
				}
				zeroed := strings.Repeat("\x00", len(original))
				if zeroed != original && try("all bytes zero", zeroed) {
					bearable++
				}
				t.Logf("%d flips, %d harmless; %d cuts, %d harmless", flips, harmless, cuts, bearable)
			})
		}
	}
}

// newestLog returns the path of the log that a store was writing when it was killed.
func newestLog(files map[string]string) string {
	newest := ""
	for path := range files {
		if strings.HasSuffix(path, ".log") && path > newest {
			newest = path
		}
	}
	return newest
}

// The number of commits outlives the damage to either of its copies.
func TestEitherCopyOfTheNumberIsEnough(t *testing.T) {
	t.Parallel()
	sc, found := images(t)
	for _, start := range []int{0, 4096} {
		files := maps.Clone(found["killed"])
		number := []byte(files["data/SYNCED"])
		number[start+3] ^= 1
		files["data/SYNCED"] = string(number)
		if err := sc.check(writeAll(t, files), 400, 400); err != nil {
			t.Errorf("with a damaged copy at byte %d: %v", start, err)
		}
		newest := newestLog(files)
		files[newest] = files[newest][:50]
		if err := sc.check(writeAll(t, files), 400, 400); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), newest) {
			t.Errorf("with a damaged copy at byte %d, and most of the log missing: %v; want an error that names %s", start, err, newest)
		}
	}
}

// A list of tables that lost its end leaves out tables whose logs are gone, while later logs are
// there.
func TestListOfTablesLostItsEnd(t *testing.T) {
	t.Parallel()
	const batches = 1500
	sc, mem := &script{}, vfs.NewCrashableMem()
	s := open(t, sc.config(mem))
	for n := 1; n <= batches; n++ {
		if err := s.Commit(sc.batch(n)); err != nil {
			t.Fatal(err)
		}
	}
	files, list := killed(t, mem), ""
	closeStore(t, s)
	for path := range files {
		if strings.Contains(path, "/MANIFEST-") && path > list {
			list = path
		}
	}
	missing := 0
	for size := 0; size < len(files[list]); size += 20 {
		cut := maps.Clone(files)
		cut[list] = cut[list][:size]
		err := sc.check(writeAll(t, cut), batches, batches)
		switch {
		case err == nil:
		case !errors.Is(err, store.ErrCorrupt):
			t.Errorf("cut to %d bytes: %v", size, err)
		case strings.Contains(err.Error(), list+" is damaged: of the commits up to number 1500,"):
			missing++
		}
	}
	if missing == 0 {
		t.Error("the number of commits was not what told of any")
	}
}

// A log whose end was being written when the power went lost nothing that was acknowledged.
func TestTornLogOpens(t *testing.T) {
	t.Parallel()
	sc, mem := &script{}, vfs.NewCrashableMem()
	s, err := pebblestore.Open(sc.config(mem))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 20; n++ {
		if err := s.Commit(sc.batch(n)); err != nil {
			t.Fatal(err)
		}
	}
	acknowledged := readAll(t, mem, "data")
	if err := s.Commit(sc.batch(21)); err != nil {
		t.Fatal(err)
	}
	begun := readAll(t, mem, "data")
	closeStore(t, s)
	torn := 0
	for path, data := range begun {
		old := acknowledged[path]
		if !strings.HasSuffix(path, ".log") || len(old) == len(data) {
			continue
		}
		for size := len(old); size < len(data); size += 50 {
			torn++
			acknowledged[path] = data[:size]
			if err := sc.check(writeAll(t, acknowledged), 20, 20); err != nil {
				t.Errorf("%s cut from %d to %d bytes: %v", path, len(data), size, err)
			}
			garbage := data[:size] + string(bytes.Repeat([]byte{0xa5}, len(data)-size))
			acknowledged[path] = garbage
			if err := sc.check(writeAll(t, acknowledged), 20, 20); err != nil {
				t.Errorf("%s garbled from byte %d: %v", path, size, err)
			}
		}
	}
	if torn == 0 {
		t.Error("the last commit wrote nothing to a log")
	}
}

// Damage that is met while the store is open is returned, names the file, and ends commits.
func TestDamageMetLater(t *testing.T) {
	t.Parallel()
	sc, mem := &script{sessions: 2, perSession: 150}, vfs.NewMem()
	if err := sc.run(mem); err != nil {
		t.Fatal(err)
	}
	files := readAll(t, mem, "data")
	for path, data := range files {
		if strings.HasSuffix(path, ".sst") {
			garbled := []byte(data)
			for i := range len(garbled) / 2 {
				garbled[i] ^= 0xff
			}
			files[path] = string(garbled)
		}
	}
	s, err := pebblestore.Open(sc.config(writeAll(t, files)))
	if err != nil {
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), ".sst is damaged") {
			t.Errorf("open: %v, want an error that names a table", err)
		}
		return
	}
	scan := s.Scan(store.Spec, 0, func(uint64, []byte) error { return nil })
	_, get := s.Get(key(recordsPerBatch*300 - 1))
	commit := s.Commit(sc.batch(301))
	for name, err := range map[string]error{"scan": scan, "get": get, "commit": commit, "close": s.Close()} {
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), ".sst is damaged") {
			t.Errorf("%s: %v, want ErrCorrupt and the name of a table", name, err)
		}
	}
}

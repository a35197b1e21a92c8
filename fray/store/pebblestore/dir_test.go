package pebblestore_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
)

// contents returns what is in a directory, but for the time of its lock: names, modes and hashes.
func contents(tb testing.TB, dir string) string {
	tb.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		switch {
		case d.IsDir():
			fmt.Fprintf(&out, "%s %v\n", name, info.Mode())
		case d.Name() == "LOCK": // To open and close it would release the lock.
			fmt.Fprintf(&out, "%s %d\n", name, info.Size())
		default:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, "%s %v %v %x\n", name, info.Mode(), info.ModTime(), sha256.Sum256(data))
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out.String()
}

// made returns a directory with a few records in tables and in the log.
func made(tb testing.TB) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "data")
	s := open(tb, pebblestore.Config{Dir: dir, MemTableBytes: smallTables})
	for n := range uint64(100) {
		commit(tb, s, func(b *store.Batch) { b.Set(key(n), make([]byte, 1000)) })
	}
	closeStore(tb, s)
	return dir
}

func closeStore(tb testing.TB, s *pebblestore.Store) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Fatalf("close: %v", err)
	}
}

func TestDirectoryIsCreated(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"missing/parents/data", "empty"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			if err := os.Mkdir(filepath.Join(root, "empty"), 0o755); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(root, name)
			for range 2 {
				closeStore(t, open(t, pebblestore.Config{Dir: dir}))
			}
			marker, err := os.ReadFile(filepath.Join(dir, "FRAY"))
			if err != nil || string(marker) != "fray data directory, format 1\n" {
				t.Errorf("marker reads %q, %v", marker, err)
			}
			info, err := os.Stat(filepath.Join(dir, "db"))
			if err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("db has mode %v, %v; want 0700", info.Mode(), err)
			}
		})
	}
}

// What is not there to be opened is refused, in words that say what to do, and left as it was.
func TestDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	write := func(t *testing.T, path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		prepare func(t *testing.T, dir string)
		config  pebblestore.Config
		want    string
		corrupt bool
	}{
		"somebody else's": {
			prepare: func(t *testing.T, dir string) {
				t.Helper()
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				for _, n := range []string{"", "thesis", "photos", "mail", "db"} {
					if err := os.Mkdir(filepath.Join(dir, n), 0o700); err != nil {
						t.Fatal(err)
					}
				}
			},
			want: "it is not a Fray data directory: it has db, mail, photos and 1 more but no FRAY file; pass an empty or new directory",
		},
		"a database without marker": {
			prepare: func(t *testing.T, dir string) { t.Helper(); remove(t, dir, "FRAY") },
			want:    "it is not a Fray data directory: it has SYNCED, db but no FRAY file",
		},
		"a file": {
			prepare: func(t *testing.T, dir string) {
				t.Helper()
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				write(t, dir, "")
			},
			want: "it is not a directory",
		},
		"a newer format": {
			prepare: func(t *testing.T, dir string) {
				t.Helper()
				write(t, filepath.Join(dir, "FRAY"), "fray data directory, format 2\n")
			},
			want: "it has format 2, written by a newer Fray, and this one knows formats up to 1; upgrade fray",
		},
		"garbage for a marker": {
			prepare: func(t *testing.T, dir string) { t.Helper(); write(t, filepath.Join(dir, "FRAY"), "\x00\x00") },
			want:    `data/FRAY is damaged: it does not read "fray data directory, format 1\n"; restore a backup`,
			corrupt: true,
		},
		"no database": {
			prepare: func(t *testing.T, dir string) { t.Helper(); remove(t, dir, "db") },
			want:    "data/db is damaged: it is missing",
			corrupt: true,
		},
		"no number of commits": {
			prepare: func(t *testing.T, dir string) { t.Helper(); remove(t, dir, "SYNCED") },
			want:    "data/SYNCED is damaged: it is missing",
			corrupt: true,
		},
		"an unreadable number of commits": {
			prepare: func(t *testing.T, dir string) { t.Helper(); write(t, filepath.Join(dir, "SYNCED"), "12345678abcd") },
			want:    "data/SYNCED is damaged: neither of its two numbers has a valid checksum",
			corrupt: true,
		},
		"nothing to read": {
			prepare: func(t *testing.T, dir string) { t.Helper(); remove(t, dir, "") },
			config:  pebblestore.Config{ReadOnly: true},
			want:    "there is no Fray data directory",
		},
		"another merge operator": {
			prepare: func(t *testing.T, dir string) {
				t.Helper()
				options, err := filepath.Glob(filepath.Join(dir, "db", "OPTIONS-*"))
				if err != nil || len(options) == 0 {
					t.Fatal(options, err)
				}
				for _, path := range options {
					text, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					write(t, path, strings.ReplaceAll(string(text), "fray.commits", "fray.comments"))
				}
			},
			want:    "data/db/OPTIONS-",
			corrupt: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := made(t)
			test.prepare(t, dir)
			before := contents(t, filepath.Dir(dir))
			test.config.Dir = dir
			_, err := pebblestore.Open(test.config)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("open: %v; want an error with %q", err, test.want)
			}
			if got := errors.Is(err, store.ErrCorrupt); got != test.corrupt {
				t.Errorf("open: %v; that it is ErrCorrupt is %v, want %v", err, got, test.corrupt)
			}
			if after := contents(t, filepath.Dir(dir)); after != before {
				t.Errorf("refusing changed the directory from\n%s\nto\n%s", before, after)
			}
		})
	}
}

func remove(tb testing.TB, path ...string) {
	tb.Helper()
	if err := os.RemoveAll(filepath.Join(path...)); err != nil {
		tb.Fatal(err)
	}
}

func TestNoPermission(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root may do anything")
	}
	dir := made(t)
	if err := os.Chmod(filepath.Join(dir, "db"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "db"), 0o700) }) // A directory.
	_, err := pebblestore.Open(pebblestore.Config{Dir: dir})
	if !errors.Is(err, fs.ErrPermission) || errors.Is(err, store.ErrCorrupt) {
		t.Errorf("open: %v, want that permission was denied", err)
	}
}

// Who may not write to a directory may read it.
func TestReadOnlyWithoutPermissionToWrite(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root may do anything")
	}
	dir := made(t)
	chmod := func(mode func(fs.FileMode) fs.FileMode) {
		for _, path := range []string{filepath.Join(dir, "db", "LOCK"), filepath.Join(dir, "db"), dir} {
			info, err := os.Stat(path)
			if err == nil {
				err = os.Chmod(path, mode(info.Mode().Perm()))
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
	chmod(func(m fs.FileMode) fs.FileMode { return m &^ 0o222 })
	defer chmod(func(m fs.FileMode) fs.FileMode { return m | 0o200 })
	s := open(t, pebblestore.Config{Dir: dir, ReadOnly: true})
	defer closeStore(t, s)
	if _, err := s.Get(key(1)); err != nil {
		t.Error(err)
	}
}

// A creation that was interrupted at any moment is begun again.
func TestInterruptedCreation(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]func(dir string) error{
		"before the marker": func(dir string) error { return os.Mkdir(filepath.Join(dir, "db"), 0o700) },
		"half a marker":     func(dir string) error { return os.WriteFile(filepath.Join(dir, "FRAY.new"), nil, 0o600) },
		"before the end": func(dir string) error {
			s, err := pebblestore.Open(pebblestore.Config{Dir: dir})
			if err != nil {
				return err
			}
			return errors.Join(s.Close(), os.Rename(filepath.Join(dir, "FRAY"), filepath.Join(dir, "FRAY.new")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := interrupt(dir); err != nil {
				t.Fatal(err)
			}
			s := open(t, pebblestore.Config{Dir: dir})
			defer closeStore(t, s)
			commit(t, s, func(b *store.Batch) { b.Set(key(1), nil) })
		})
	}
}

package pebblestore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
)

// A backup has all that was acknowledged before it was asked for, and nothing by halves.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	for name, durability := range map[string]store.Durability{"sync": store.Sync, "relaxed": store.Relaxed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc, root := &script{durability: durability}, t.TempDir()
			cfg := sc.config(nil)
			cfg.Dir = filepath.Join(root, "data")
			s := open(t, cfg)
			const batches = 600
			var wg sync.WaitGroup
			wg.Go(func() {
				for n := 1; n <= batches; n++ {
					sc.begun.Store(int64(n))
					if err := s.Commit(sc.batch(n)); err != nil {
						t.Error(err)
						return
					}
					sc.acked.Store(int64(n))
				}
			})
			for _, name := range []string{"first", "second", "third"} {
				dir := filepath.Join(root, name)
				acked := int(sc.acked.Load())
				if err := s.Backup(t.Context(), dir, store.Backup{}); err != nil {
					t.Fatal(err)
				}
				begun := int(sc.begun.Load())
				restored := cfg
				restored.Dir = dir
				copied := open(t, restored)
				if err := sc.compare(copied, acked, begun); err != nil {
					t.Errorf("backup %s: %v", name, err)
				}
				commit(t, copied, func(b *store.Batch) { b.Set(key(1), nil) })
				closeStore(t, copied)
				closeStore(t, open(t, restored))
			}
			wg.Wait()
			closeStore(t, s)
			s = open(t, cfg)
			defer closeStore(t, s)
			if err := sc.compare(s, batches, batches); err != nil {
				t.Errorf("the original after its backups: %v", err)
			}
		})
	}
}

func TestBackupIsRefused(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, dir := range []string{"there"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, pebblestore.Config{Dir: filepath.Join(root, "data")})
	defer closeStore(t, s)
	before := contents(t, root)
	for dir, want := range map[string]string{
		"there":     "it exists already; pass a new directory",
		"data/copy": "a backup cannot be inside of what it copies",
	} {
		err := s.Backup(t.Context(), filepath.Join(root, dir), store.Backup{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("backup to %s: %v, want an error with %q", dir, err, want)
		}
	}
	if after := contents(t, root); after != before {
		t.Errorf("refusing changed the directory from\n%s\nto\n%s", before, after)
	}
}

// What an interrupted backup left behind is no backup, and not in the way of another.
func TestInterruptedBackupIsMadeAnew(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "copy")
	left := filepath.Join(dir+".partial", "db")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "000001.log"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, pebblestore.Config{Dir: filepath.Join(root, "data")})
	defer closeStore(t, s)
	if _, err := s.BackupNote(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("note of what was left behind: %v", err)
	}
	if err := s.Backup(t.Context(), dir, store.Backup{Note: "mine"}); err != nil {
		t.Fatal(err)
	}
	if note, err := s.BackupNote(dir); note != "mine" || err != nil {
		t.Errorf("note %q, %v", note, err)
	}
	closeStore(t, open(t, pebblestore.Config{Dir: dir}))
}

// Of backups of one name that are asked for at once, one is made, and it is whole.
func TestBackupsOfOneName(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := open(t, pebblestore.Config{Dir: filepath.Join(root, "data")})
	defer closeStore(t, s)
	for n := range uint64(1000) {
		commit(t, s, func(b *store.Batch) { b.Set(key(n+1), make([]byte, 1000)) })
	}
	for round := range 5 {
		dir := filepath.Join(root, "copy", strconv.Itoa(round))
		var made, exist atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				switch err := s.Backup(t.Context(), dir, store.Backup{}); {
				case err == nil:
					made.Add(1)
				case errors.Is(err, os.ErrExist):
					exist.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 || exist.Load() != 3 {
			t.Errorf("of four backups %d were made and %d refused", made.Load(), exist.Load())
		}
		copied := open(t, pebblestore.Config{Dir: dir})
		if _, err := copied.Get(key(1000)); err != nil {
			t.Errorf("the backup lacks a record: %v", err)
		}
		closeStore(t, copied)
	}
}

// A backup that is no longer wanted ends, and leaves nothing.
func TestBackupIsCancelled(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	s := open(t, pebblestore.Config{Dir: "data", FS: mem})
	defer closeStore(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(ctx, "copy", store.Backup{}); !errors.Is(err, context.Canceled) {
		t.Errorf("backup: %v, want that it was cancelled", err)
	}
	if names, err := mem.List("/"); err != nil || len(names) != 1 {
		t.Errorf("left %v, %v", names, err)
	}
}

// A backup that cannot be written leaves nothing behind, and the store as it was.
func TestFailedBackup(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	fs, fail := failingBelow(mem, "copy")
	s := open(t, pebblestore.Config{Dir: "data", FS: fs})
	defer closeStore(t, s)
	commit(t, s, func(b *store.Batch) { b.Set(key(1), nil) })
	for at := int64(1); ; at++ {
		fail.Store(at)
		err := s.Backup(t.Context(), "copy", store.Backup{})
		commit(t, s, func(b *store.Batch) { b.Set(key(1), nil) })
		if fail.Load() > 0 { // There are not that many operations.
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if err == nil || !errors.Is(err, os.ErrInvalid) {
			t.Fatalf("operation %d: %v", at, err)
		}
		if names, err := mem.List("/"); err != nil || len(names) != 1 {
			t.Fatalf("operation %d left %v, %v", at, names, err)
		}
	}
}

package pebblestore_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
				if err := s.Backup(dir); err != nil {
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
	for _, dir := range []string{"there", "interrupted.partial"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, pebblestore.Config{Dir: filepath.Join(root, "data")})
	defer closeStore(t, s)
	before := contents(t, root)
	for dir, want := range map[string]string{
		"there":       "it exists already; pass a new directory",
		"interrupted": "it was left behind by a backup that was interrupted; remove it",
		"data/copy":   "a backup cannot be inside of what it copies",
	} {
		err := s.Backup(filepath.Join(root, dir))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("backup to %s: %v, want an error with %q", dir, err, want)
		}
	}
	if after := contents(t, root); after != before {
		t.Errorf("refusing changed the directory from\n%s\nto\n%s", before, after)
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
		err := s.Backup("copy")
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

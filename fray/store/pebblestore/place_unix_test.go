//go:build unix

package pebblestore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
)

// A directory in which others can put what they like is not taken, nor is a backup made there.
func TestOthersDirectories(t *testing.T) {
	t.Parallel()
	const stranger = 54321
	open := func(t *testing.T, dir, want string) {
		t.Helper()
		s, err := pebblestore.Open(pebblestore.Config{Dir: dir})
		if err == nil {
			closeStore(t, s)
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("open %s: %v, want %q", dir, err, want)
		}
	}
	made := func(t *testing.T, mode os.FileMode) string {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "data")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	t.Run("mode", func(t *testing.T) {
		t.Parallel()
		open(t, made(t, 0o777), "every user of this machine can write to it (mode 0777): chmod o-w it")
		open(t, made(t, 0o770), "")
		open(t, made(t, 0o777|os.ModeSticky), "")
	})
	t.Run("own link", func(t *testing.T) {
		t.Parallel()
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(made(t, 0o700), link); err != nil {
			t.Fatal(err)
		}
		open(t, link, "")
	})
	t.Run("owner", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() != 0 {
			t.Skip("needs root, who can give files away")
		}
		dir := made(t, 0o700)
		if err := os.Chown(dir, stranger, -1); err != nil {
			t.Fatal(err)
		}
		open(t, dir, "it belongs to another user (uid 54321)")
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(made(t, 0o700), link); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(link, stranger, -1); err != nil {
			t.Fatal(err)
		}
		open(t, link, "it is a link that another user (uid 54321) has made")
	})
	t.Run("backup", func(t *testing.T) {
		t.Parallel()
		s, err := pebblestore.Open(pebblestore.Config{Dir: made(t, 0o700)})
		if err != nil {
			t.Fatal(err)
		}
		defer closeStore(t, s)
		if err := s.Backup(t.Context(), filepath.Join(made(t, 0o777), "copy"), store.Backup{}); err == nil || !strings.Contains(err.Error(), "every user") {
			t.Errorf("backup: %v", err)
		}
	})
}

// Who deletes the file that is locked lets nobody else in.
func TestDeletedLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, pebblestore.Config{Dir: dir})
	defer closeStore(t, s)
	if err := os.Remove(filepath.Join(dir, "db", "LOCK")); err != nil {
		t.Fatal(err)
	}
	if code, said := holdOnce(t, dir); code == 0 || !strings.Contains(said, "it is in use by another process") {
		t.Errorf("another process opens it, and says %q", said)
	}
}

// A directory that is gone from under a store is noticed, though its files can be written still.
func TestDirectoryGoesAway(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"was removed or renamed", "was replaced by another"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			s := open(t, pebblestore.Config{Dir: dir})
			if err := os.Rename(dir, dir+"-gone"); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(name, "replaced") {
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			var err error
			for deadline := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				var b store.Batch
				b.Set(heldKey, []byte("x"))
				err = s.Commit(&b)
			}
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("commit: %v", err)
			}
			if err := s.Close(); err == nil {
				t.Error("close does not tell of it")
			}
		})
	}
}

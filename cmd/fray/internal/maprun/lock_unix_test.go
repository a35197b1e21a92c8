//go:build unix

package maprun

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Whoever sweeps makes no lock in a folder that its map is just removing, which would not be empty then.
func TestSweepMakesNoLock(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), spoolLock)
	if lock, err := lockFile(name, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lock %v, %v: want that there is none", lock, err)
	}
	lock, err := lockFile(name, os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if other, err := lockFile(name, 0); err == nil {
		t.Errorf("it is locked twice: %v", other)
	}
}

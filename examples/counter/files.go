package counter

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/frayrpc/fray/sim/disk"
)

// A Dir is a directory of this machine.
type Dir string

// ReadFile implements Files.
func (d Dir) ReadFile(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(d), name))
}

// Replace implements Files.
func (d Dir) Replace(name string, data []byte) error {
	path := filepath.Join(string(d), name)
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	dir, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// simulated is the root of a simulated host's disk.
type simulated struct {
	*disk.Disk

	// Nothing is synced: a bug.
	lazy bool
}

// Replace implements Files.
func (d simulated) Replace(name string, data []byte) error {
	f, err := d.Create(name + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && !d.lazy {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := d.Rename(name+".new", name); err != nil || d.lazy {
		return err
	}
	return d.SyncDir(".")
}

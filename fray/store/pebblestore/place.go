package pebblestore

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// placeInterval is how often the data directory is looked at.
const placeInterval = time.Second

// place is a directory of the machine's disk that this process has, whatever becomes of the names that
// lead to it, and of the file in it that is locked: who deletes that lets nobody else in.
type place struct {
	path string
	dir  *os.File
	stop chan struct{}
	over chan struct{}
}

// occupy takes a directory for this process, and tells lost once it is no longer where it was. The
// result is nil where files are not those of the machine's disk.
func occupy(fsys vfs.FS, path string, lost func(error)) (*place, error) {
	if vfs.Root(fsys) != vfs.Default {
		return nil, nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := lockDir(dir); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	info, err := dir.Stat()
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	p := &place{path: path, dir: dir, stop: make(chan struct{}), over: make(chan struct{})}
	go p.watch(info, lost)
	return p, nil
}

func (p *place) watch(info os.FileInfo, lost func(error)) {
	defer close(p.over)
	ticker := time.NewTicker(placeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-p.stop:
			return
		}
		switch now, err := os.Stat(p.path); {
		case errors.Is(err, os.ErrNotExist):
			lost(fmt.Errorf("data directory %s was removed or renamed while it is in use", p.path))
			return
		case err == nil && !os.SameFile(now, info):
			lost(fmt.Errorf("data directory %s was replaced by another while it is in use", p.path))
			return
		}
	}
}

// Close lets go of the directory.
func (p *place) Close() error {
	if p == nil {
		return nil
	}
	close(p.stop)
	<-p.over
	return p.dir.Close()
}

// trusted returns an error if others can put what they like where a directory of the machine's disk
// is, or in it. One that does not exist is trusted.
func trusted(fsys vfs.FS, dir string) error {
	if vfs.Root(fsys) != vfs.Default {
		return nil
	}
	link, err := os.Lstat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	if owner, other := otherOwner(link); other {
		if link.Mode()&os.ModeSymlink != 0 {
			return fmt.Errorf("it is a link that another user (uid %d) has made, and can have lead elsewhere: name the directory itself", owner)
		}
		return fmt.Errorf("it belongs to another user (uid %d), who can do anything with what is in it: chown it, or pass another directory", owner)
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil // A link to what is to be made.
	case err != nil:
		return err
	}
	if owner, other := otherOwner(info); other {
		return fmt.Errorf("it belongs to another user (uid %d), who can do anything with what is in it: chown it, or pass another directory", owner)
	}
	if mode := info.Mode(); mode.Perm()&0o002 != 0 && mode&os.ModeSticky == 0 {
		return fmt.Errorf("every user of this machine can write to it (mode %04o): chmod o-w it, or pass another directory", mode.Perm())
	}
	return nil
}

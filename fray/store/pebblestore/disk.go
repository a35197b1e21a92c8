package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/fray/store"
)

// errReadOnly ends what would change a directory that was opened for reading.
var errReadOnly = errors.New("data directory was opened for reading only")

// disk is the filesystem that Pebble sees. For files of the data directory it decides what becomes
// of errors, which Pebble answers by ending the process:
//
//   - A full disk is waited for, and so are file descriptors.
//   - Any other failed write, sync, creation or renaming ends the store, as a power cut at that instant would:
//     from then on nothing reaches the files. Pebble is told that all went well, so that it can be closed in an
//     orderly way; no commit is acknowledged any more, which is what makes the lie harmless.
//
// Other files, those of a backup, are left alone.
type disk struct {
	vfs.FS
	root     string
	readOnly bool
	log      *slog.Logger
	synced   func(time.Duration) // told how long an fsync of the log took; may be nil

	patient   atomic.Bool   // a full disk is waited for; while the store opens it is an error
	giveUp    func()        // ends the waiting for a full disk, now and from now on
	impatient chan struct{} // closed by giveUp
	waiting   atomic.Int32  // writes that wait for a full disk

	failOnce sync.Once
	dead     chan struct{} // closed after cause was set
	cause    error

	lastOpened atomic.Pointer[string]
	copying    atomic.Pointer[copying] // what is written to other files, if not nil

	syncs, syncNanos, written atomic.Int64
	stalls                    atomic.Uint64
}

func newDisk(cfg Config, readOnly bool) *disk {
	d := &disk{
		FS: cfg.FS, root: cfg.Dir, readOnly: readOnly, log: cfg.Logger,
		impatient: make(chan struct{}), dead: make(chan struct{}),
	}
	d.giveUp = sync.OnceFunc(func() {
		d.patient.Store(false)
		close(d.impatient)
	})
	return d
}

// fail cuts the files off. The first cause counts.
func (d *disk) fail(cause error) {
	d.failOnce.Do(func() {
		if !errors.Is(cause, store.ErrCorrupt) {
			cause = fmt.Errorf("%w: %w", store.ErrFailed, cause)
		}
		d.cause = cause
		close(d.dead)
		d.log.Error("store has failed; nothing more is written", "error", cause)
	})
}

// failure returns why the files were cut off, or nil.
func (d *disk) failure() error {
	select {
	case <-d.dead:
		return d.cause
	default:
		return nil
	}
}

func (d *disk) isDead() bool { return d.failure() != nil }

// do has op change the file until it works, the disk is dead, or it failed for another reason than
// being full. It has no result: after it either the change was made, or the disk is dead and nobody
// will see that it was not.
func (d *disk) do(verb, name string, op func() error) {
	waits := false
	for !d.isDead() {
		err := op()
		if err == nil {
			break
		}
		// A sync that failed cannot be repeated: the kernel has forgotten what it was to write.
		if !isFull(err) && !isStarved(err) || verb == "sync" || verb == "close" {
			d.fail(fmt.Errorf("%s %s: %w", verb, name, err))
			break
		}
		if !d.patient.Load() {
			if isFull(err) {
				err = fmt.Errorf("%w: %w", store.ErrFull, err)
			}
			d.fail(fmt.Errorf("%s %s: %w", verb, name, err))
			break
		}
		if !waits {
			waits = true
			if d.waiting.Add(1) == 1 {
				d.log.Warn("disk is full, or there are too many open files; commits wait", "directory", d.root, "error", err)
			}
		}
		d.wait()
	}
	if waits && d.waiting.Add(-1) == 0 && !d.isDead() {
		d.log.Info("commits go on", "directory", d.root)
	}
}

// wait returns after spaceInterval, or when waiting is to end.
func (d *disk) wait() {
	timer := time.NewTimer(spaceInterval)
	defer timer.Stop()
	select {
	case <-d.impatient:
	case <-d.dead:
	case <-timer.C:
	}
}

// isStarved says that the process, or its machine, has too many files open. That passes.
func isStarved(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// owns tells whether a file is one of the data directory.
func (d *disk) owns(name string) bool {
	rest, ok := strings.CutPrefix(name, d.root)
	return ok && (rest == "" || rest[0] == '/' || rest[0] == os.PathSeparator)
}

// writable opens a file for writing.
func (d *disk) writable(verb, name string, open func() (vfs.File, error)) (vfs.File, error) {
	if !d.owns(name) {
		f, err := open()
		if c := d.copying.Load(); c != nil && err == nil {
			return &copyFile{File: f, copying: c}, nil
		}
		return f, err
	}
	if d.readOnly {
		return nil, fmt.Errorf("%s %s: %w", verb, name, errReadOnly)
	}
	f := &file{disk: d, name: name, log: strings.HasSuffix(name, ".log")}
	d.do(verb, name, func() error {
		inner, err := open()
		if err == nil {
			f.File = inner
		}
		return err
	})
	return f, nil
}

// Create implements vfs.FS. Pebble moves its markers to files whose names may not have reached the
// disk; they do before the marker here, lest a power cut leaves a marker to nothing.
func (d *disk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if dir := d.FS.PathDir(name); d.owns(name) && !d.readOnly && strings.HasPrefix(d.FS.PathBase(name), "marker.") {
		d.do("sync", dir, func() error { return syncDir(d.FS, dir) })
	}
	return d.writable("create", name, func() (vfs.File, error) { return d.FS.Create(name, category) })
}

// OpenReadWrite implements vfs.FS.
func (d *disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.writable("open", name, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, category, opts...) })
}

// ReuseForWrite implements vfs.FS.
func (d *disk) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return d.writable("create", newname, func() (vfs.File, error) { return d.FS.ReuseForWrite(oldname, newname, category) })
}

// Open implements vfs.FS.
func (d *disk) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	d.lastOpened.Store(&name)
	f, err := d.FS.Open(name, opts...)
	for range maxOpenTries {
		if err == nil || !isStarved(err) || !d.patient.Load() {
			break
		}
		d.wait()
		f, err = d.FS.Open(name, opts...)
	}
	return f, err
}

// List implements vfs.FS. Pebble does not survive an error from it late in opening a database.
func (d *disk) List(dir string) ([]string, error) {
	names, err := d.FS.List(dir)
	if err != nil && !d.readOnly && d.owns(dir) {
		d.fail(fmt.Errorf("list %s: %w", dir, err))
		return nil, nil
	}
	return names, err
}

// OpenDir implements vfs.FS.
func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil || !d.owns(name) {
		return f, err
	}
	return &file{File: f, disk: d, name: name}, nil
}

// Rename implements vfs.FS.
func (d *disk) Rename(oldname, newname string) error {
	if !d.owns(newname) {
		return d.FS.Rename(oldname, newname)
	}
	if d.readOnly {
		return fmt.Errorf("rename %s: %w", oldname, errReadOnly)
	}
	d.do("rename", oldname, func() error { return d.FS.Rename(oldname, newname) })
	return nil
}

// remove has op remove a file. That it could not does no harm.
func (d *disk) remove(name string, op func() error) error {
	switch {
	case !d.owns(name):
		return op()
	case d.readOnly:
		return fmt.Errorf("remove %s: %w", name, errReadOnly)
	case d.isDead():
		return nil
	default:
		return op()
	}
}

// Remove implements vfs.FS.
func (d *disk) Remove(name string) error {
	return d.remove(name, func() error { return d.FS.Remove(name) })
}

// RemoveAll implements vfs.FS.
func (d *disk) RemoveAll(name string) error {
	return d.remove(name, func() error { return d.FS.RemoveAll(name) })
}

// Lock locks the data directory. For a reader a directory that cannot be written to is as good as
// locked: if there is no file to lock, or no permission to, nobody holds it open by this user's
// leave.
func (d *disk) Lock(name string) (io.Closer, error) {
	if !d.readOnly {
		l, err := d.FS.Lock(name)
		return l, heldBy(err, name)
	}
	if _, err := d.FS.Stat(name); errors.Is(err, os.ErrNotExist) {
		return nopCloser{}, nil
	}
	l, err := d.FS.Lock(name)
	var denied *os.PathError // What is held is told by a bare errno.
	if errors.As(err, &denied) && (errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		if pid := lockHolder(name); pid != 0 {
			return nil, heldError{pid: pid}
		}
		return nopCloser{}, nil
	}
	return l, heldBy(err, name)
}

// Unwrap returns the filesystem beneath.
func (d *disk) Unwrap() vfs.FS { return d.FS }

type nopCloser struct{}

func (nopCloser) Close() error { return nil }

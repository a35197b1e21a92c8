package pebblestore

import (
	"io"
	"io/fs"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// file is a file of the data directory that is written to, or a directory that is synced. Its File
// is nil if it was created on a dead disk.
type file struct {
	vfs.File
	disk *disk
	name string
	log  bool // a file of the write-ahead log
}

func (f *file) Write(p []byte) (int, error) {
	n := len(p)
	f.disk.do("write", f.name, func() error {
		m, err := f.File.Write(p)
		p = p[m:]
		return err
	})
	f.disk.written.Add(int64(n))
	return n, nil
}

func (f *file) WriteAt(p []byte, offset int64) (int, error) {
	f.disk.do("write", f.name, func() error {
		_, err := f.File.WriteAt(p, offset)
		return err
	})
	f.disk.written.Add(int64(len(p)))
	return len(p), nil
}

func (f *file) Sync() error { return f.sync(func() error { return f.File.Sync() }) }

func (f *file) SyncData() error { return f.sync(func() error { return f.File.SyncData() }) }

func (f *file) sync(op func() error) error {
	if !f.log {
		f.disk.do("sync", f.name, op)
		return nil
	}
	start := time.Now()
	f.disk.do("sync", f.name, op)
	took := time.Since(start)
	f.disk.syncs.Add(1)
	f.disk.syncNanos.Add(int64(took))
	if f.disk.synced != nil {
		f.disk.synced(took)
	}
	return nil
}

func (f *file) SyncTo(length int64) (fullSync bool, err error) {
	f.disk.do("sync", f.name, func() error {
		fullSync, err = f.File.SyncTo(length)
		return err
	})
	return fullSync, nil
}

func (f *file) Close() error {
	if f.File != nil {
		if err := f.File.Close(); err != nil {
			f.disk.do("close", f.name, func() error { return err })
		}
	}
	return nil
}

func (f *file) Read(p []byte) (int, error) {
	if f.File == nil {
		return 0, io.EOF
	}
	return f.File.Read(p)
}

func (f *file) ReadAt(p []byte, offset int64) (int, error) {
	if f.File == nil {
		return 0, io.EOF
	}
	return f.File.ReadAt(p, offset)
}

// Preallocate asks for room ahead of time. That there is none is found out when it is needed.
func (f *file) Preallocate(offset, length int64) error {
	if f.disk.isDead() {
		return nil
	}
	return f.File.Preallocate(offset, length)
}

func (f *file) Prefetch(offset, length int64) error {
	if f.File == nil {
		return nil
	}
	return f.File.Prefetch(offset, length)
}

func (f *file) Stat() (vfs.FileInfo, error) {
	if f.File == nil {
		return noFile{}, nil
	}
	return f.File.Stat()
}

// noFile describes a file that was created on a dead disk.
type noFile struct{}

func (noFile) Name() string           { return "" }
func (noFile) Size() int64            { return 0 }
func (noFile) Mode() fs.FileMode      { return 0o600 }
func (noFile) ModTime() time.Time     { return time.Time{} }
func (noFile) IsDir() bool            { return false }
func (noFile) Sys() any               { return nil }
func (noFile) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }

func (f *file) Fd() uintptr {
	if f.File == nil {
		return vfs.InvalidFd
	}
	return f.File.Fd()
}

package disk

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"syscall"
	"time"
)

// A File is an open file or directory, as os.File is one. Its methods may be called by several
// goroutines.
type File struct {
	disk                   *Disk
	node                   *node
	name, key              string
	reads, writes, appends bool
	at                     int64
	listed                 int
	closed                 bool
}

// begin locks the disk, and returns why nothing can be done with the file.
func (f *File) begin(op string, allowed bool) error {
	f.disk.mu.Lock()
	switch {
	case f.closed:
		return fails(op, f.name, fs.ErrClosed)
	case !allowed:
		return fails(op, f.name, syscall.EBADF)
	case f.node.mode.IsDir() && (op == "read" || op == "write"):
		return fails(op, f.name, syscall.EISDIR)
	}
	if kind, ok := kinds[op]; ok && f.disk.broken(kind) {
		return fails(op, f.name, syscall.EIO)
	}
	return nil
}

// kinds are what of a disk an operation is that can fail. That of a sync is looked at later.
var kinds = map[string]Op{"read": Reads, "readdirent": Reads, "write": Writes, "truncate": Writes, "stat": All}

// Name returns what the file was opened by.
func (f *File) Name() string { return f.name }

// Read implements io.Reader.
func (f *File) Read(b []byte) (int, error) {
	err := f.begin("read", f.reads)
	defer f.disk.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := f.readAt(b, f.at)
	f.at += int64(n)
	return n, err
}

func (f *File) readAt(b []byte, at int64) (int, error) {
	if at >= int64(len(f.node.data)) {
		if len(b) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	return copy(b, f.node.data[at:]), nil
}

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(b []byte, at int64) (int, error) {
	err := f.begin("read", f.reads)
	defer f.disk.mu.Unlock()
	switch {
	case err != nil:
		return 0, err
	case at < 0:
		return 0, fails("readat", f.name, syscall.EINVAL)
	}
	n, err := f.readAt(b, at)
	if err == nil && n < len(b) {
		err = io.EOF
	}
	return n, err
}

// Write implements io.Writer.
func (f *File) Write(b []byte) (int, error) {
	err := f.begin("write", f.writes)
	defer f.disk.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if f.appends {
		f.at = int64(len(f.node.data))
	}
	n, err := f.writeAt(b, f.at)
	f.at += int64(n)
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *File) WriteAt(b []byte, at int64) (int, error) {
	err := f.begin("write", f.writes)
	defer f.disk.mu.Unlock()
	switch {
	case err != nil:
		return 0, err
	case at < 0 || f.appends:
		return 0, fails("writeat", f.name, syscall.EINVAL)
	}
	return f.writeAt(b, at)
}

func (f *File) writeAt(b []byte, at int64) (int, error) {
	if end := int(at) + len(b); end > len(f.node.data) && !f.disk.resize(f.node, end) {
		return 0, fails("write", f.name, syscall.ENOSPC)
	}
	f.node.changed = time.Now()
	return copy(f.node.data[at:], b), nil
}

// Seek implements io.Seeker.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	err := f.begin("seek", true)
	defer f.disk.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += int64(len(f.node.data))
	}
	switch {
	case err != nil:
		return 0, err
	case offset < 0:
		return 0, fails("seek", f.name, syscall.EINVAL)
	}
	f.at, f.listed = offset, 0
	return offset, nil
}

// Truncate cuts or lengthens the file.
func (f *File) Truncate(size int64) error {
	err := f.begin("truncate", true)
	defer f.disk.mu.Unlock()
	switch {
	case err != nil:
		return err
	case size < 0 || !f.writes:
		return fails("truncate", f.name, syscall.EINVAL)
	case !f.disk.resize(f.node, int(size)):
		return fails("truncate", f.name, syscall.ENOSPC)
	}
	return nil
}

// Sync has what was written to the file outlive loss of power; of a directory, the names in it, and all
// that was done to names before.
func (f *File) Sync() error {
	f.disk.wait()
	err := f.begin("sync", true)
	defer f.disk.mu.Unlock()
	if err != nil {
		return err
	}
	d := f.disk
	if d.broken(Syncs) {
		f.node.dropped = slices.Clone(f.node.data)
		return fails("sync", f.name, syscall.EIO)
	}
	if f.node.mode.IsDir() {
		d.journal = nil
	} else {
		f.node.sync()
	}
	return nil
}

// sync takes all blocks that were written since a sync has failed to the disk.
func (n *node) sync() {
	was := n.synced
	n.synced = slices.Clone(n.data)
	for at := 0; at < min(len(n.dropped), len(n.data)); at += block {
		end := min(at+block, len(n.data))
		if bytes.Equal(n.data[at:end], n.dropped[at:min(end, len(n.dropped))]) {
			clear(n.synced[at:end])
			if at < len(was) {
				copy(n.synced[at:end], was[at:])
			}
		}
	}
}

// Close implements io.Closer. It syncs nothing.
func (f *File) Close() error {
	err := f.begin("close", true)
	defer f.disk.mu.Unlock()
	f.closed = true
	return err
}

// Stat implements fs.File.
func (f *File) Stat() (fs.FileInfo, error) {
	err := f.begin("stat", true)
	defer f.disk.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return f.node.info(f.key), nil
}

// ReadDir implements fs.ReadDirFile.
func (f *File) ReadDir(n int) ([]fs.DirEntry, error) {
	err := f.begin("readdirent", true)
	defer f.disk.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if !f.node.mode.IsDir() {
		return nil, fails("readdirent", f.name, syscall.ENOTDIR)
	}
	entries := f.disk.entries(f.key)
	entries = entries[min(f.listed, len(entries)):]
	if n > 0 {
		if len(entries) == 0 {
			return nil, io.EOF
		}
		entries = entries[:min(n, len(entries))]
	}
	f.listed += len(entries)
	return entries, nil
}

// info is a node at an instant.
type info struct {
	name    string
	size    int64
	mode    fs.FileMode
	changed time.Time
	node    *node
}

func (n *node) info(key string) fs.FileInfo {
	return info{path.Base("/" + key), int64(len(n.data)), n.mode, n.changed, n}
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.changed }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }

var (
	_ fs.ReadDirFile = (*File)(nil)
	_ io.ReaderAt    = (*File)(nil)
	_ io.WriterAt    = (*File)(nil)
	_ io.Seeker      = (*File)(nil)
)

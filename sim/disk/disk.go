// Package disk is the disk of a simulated host: files in memory that know what was synced.
//
//	d := disk.New()
//	f, err := d.OpenFile("data/log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
//	...
//	after := d.AfterCrash(true, chance).(*disk.Disk) // what loss of power leaves
//
// It is as unkind as POSIX allows. What a process has written outlives the process. Loss of power takes
// what was not synced: of a file, each block by itself, so that a long write may be there in part and
// out of order; of directories, the last of what was created, renamed and removed since one was synced.
// To sync a file does not sync its name: that takes a sync of its directory, see [Disk.SyncDir].
//
// Names are slash-separated; those that begin with a slash and those that do not are the same. There
// are no links, owners or permissions.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// block is what a disk writes at once, in bytes.
const block = 512

// A Disk has the files of a host. Its methods may be called by several goroutines.
type Disk struct {
	mu    sync.Mutex
	names map[string]*node // by name, without slash before it; "" is the root
	// What was done to names since they were last known to be on the disk; all of an item, or none.
	journal [][]change
	limit   int64 // in bytes; 0: none
	used    int64
	failing [ops]int // how many are to fail; below 0: all
	slow    time.Duration
	slowed  int64 // syncs that were
}

// An Op is what of a disk can fail.
type Op int

// What of a disk can fail. All is everything but to close files, as when it is gone.
const (
	Reads Op = iota
	Writes
	Syncs
	All
	ops
)

// node is a file or a directory.
type node struct {
	mode    fs.FileMode
	data    []byte
	synced  []byte // of data
	dropped []byte // data when a sync failed: what is as it was then is not synced later
	changed time.Time
}

// change is something that was done to a name: from now on it is of that node, or of none.
type change struct {
	name      string
	was, node *node
}

// New returns an empty disk.
func New() *Disk {
	return &Disk{names: map[string]*node{"": {mode: fs.ModeDir | 0o755}}}
}

// SetLimit bounds the bytes of all files: writes past it fail with ENOSPC. 0: there is no bound.
func (d *Disk) SetLimit(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limit = bytes
}

// Fail has the next n operations of a kind fail with EIO; below 0: all, until it is called with 0.
// What a failed sync was to sync is as if it had not been written, for later syncs too, as with the
// page cache of Linux.
func (d *Disk) Fail(op Op, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing[op] = n
}

// SetSlow has each sync take so much longer. Meanwhile nothing of what it is to sync is.
func (d *Disk) SetSlow(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow = by
}

// broken says whether an operation is to fail. The disk is locked.
func (d *Disk) broken(op Op) bool {
	for _, kind := range []Op{op, All} {
		if n := d.failing[kind]; n != 0 {
			d.failing[kind] = max(n-1, -1)
			return true
		}
	}
	return false
}

// wait is what a sync does first on a slow disk. No two take the same time, so that of those that
// begin at one instant it is known which ends first.
func (d *Disk) wait() {
	d.mu.Lock()
	by := d.slow
	if by > 0 {
		d.slowed++
		by += time.Duration(2 * d.slowed) // Even: messages arrive then, and in their order.
	}
	d.mu.Unlock()
	if by > 0 {
		time.Sleep(by)
	}
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

func fails(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// missing is why a name is no node's: it is not there, or a file is where a directory would be.
func (d *Disk) missing(key string) error {
	for dir := key; dir != ""; {
		dir = path.Dir("/" + dir)[1:]
		if n := d.names[dir]; n != nil && !n.mode.IsDir() {
			return syscall.ENOTDIR
		}
	}
	return syscall.ENOENT
}

// parent returns why a name cannot be created; nil: it can.
func (d *Disk) parent(key string) error {
	if n := d.names[path.Dir("/" + key)[1:]]; n != nil && n.mode.IsDir() {
		return nil
	}
	return d.missing(key)
}

// set gives names to nodes, or to none, at once.
func (d *Disk) set(changes ...change) {
	for i, c := range changes {
		changes[i].was = d.names[c.name]
		d.names[c.name] = c.node
		if c.node == nil {
			delete(d.names, c.name)
		}
	}
	d.journal = append(d.journal, changes)
}

// OpenFile opens a file as os.OpenFile does, with its flags.
func (d *Disk) OpenFile(name string, flag int, perm fs.FileMode) (*File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken(All) {
		return nil, fails("open", name, syscall.EIO)
	}
	key := clean(name)
	n := d.names[key]
	writes := flag&(os.O_WRONLY|os.O_RDWR) != 0
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, fails("open", name, d.missing(key))
	case n == nil:
		if err := d.parent(key); err != nil {
			return nil, fails("open", name, err)
		}
		n = &node{mode: perm.Perm(), changed: time.Now()}
		d.set(change{name: key, node: n})
	case flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, fails("open", name, syscall.EEXIST)
	case n.mode.IsDir() && writes:
		return nil, fails("open", name, syscall.EISDIR)
	}
	if flag&os.O_TRUNC != 0 && writes {
		d.resize(n, 0)
	}
	return &File{disk: d, node: n, name: name, key: key, reads: flag&os.O_WRONLY == 0, writes: writes, appends: flag&os.O_APPEND != 0}, nil
}

// FS returns the disk as an io/fs file system.
func (d *Disk) FS() fs.FS { return readOnly{d} }

type readOnly struct{ disk *Disk }

// Open implements fs.FS.
func (r readOnly) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, fails("open", name, fs.ErrInvalid)
	}
	f, err := r.disk.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Create is os.Create.
func (d *Disk) Create(name string) (*File, error) {
	return d.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// ReadFile is os.ReadFile.
func (d *Disk) ReadFile(name string) ([]byte, error) {
	f, err := d.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}

// WriteFile is os.WriteFile. It syncs nothing.
func (d *Disk) WriteFile(name string, data []byte, perm fs.FileMode) error {
	f, err := d.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return err
}

// Mkdir is os.Mkdir.
func (d *Disk) Mkdir(name string, perm fs.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken(All) {
		return fails("mkdir", name, syscall.EIO)
	}
	key := clean(name)
	if d.names[key] != nil {
		return fails("mkdir", name, syscall.EEXIST)
	}
	if err := d.parent(key); err != nil {
		return fails("mkdir", name, err)
	}
	d.set(change{name: key, node: &node{mode: fs.ModeDir | perm.Perm(), changed: time.Now()}})
	return nil
}

// MkdirAll is os.MkdirAll.
func (d *Disk) MkdirAll(name string, perm fs.FileMode) error {
	key := clean(name)
	for i := range len(key) + 1 {
		if i < len(key) && key[i] != '/' {
			continue
		}
		err := d.Mkdir(key[:i], perm)
		if info, statErr := d.Stat(key[:i]); statErr == nil && info.IsDir() {
			continue
		}
		if errors.Is(err, syscall.EEXIST) {
			err = syscall.ENOTDIR
		}
		if err != nil {
			return fails("mkdir", name, err)
		}
	}
	return nil
}

// below returns the names beneath a directory, sorted.
func (d *Disk) below(key string) []string {
	prefix := key + "/"
	if key == "" {
		prefix = ""
	}
	var names []string
	for name := range d.names { // order-free: sorted below
		if name != "" && strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Remove is os.Remove.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken(All) {
		return fails("remove", name, syscall.EIO)
	}
	key := clean(name)
	n := d.names[key]
	switch {
	case n == nil:
		return fails("remove", name, d.missing(key))
	case key == "":
		return fails("remove", name, syscall.EBUSY)
	case n.mode.IsDir() && len(d.below(key)) > 0:
		return fails("remove", name, syscall.ENOTEMPTY)
	}
	d.used -= int64(len(n.data))
	d.set(change{name: key})
	return nil
}

// RemoveAll is os.RemoveAll.
func (d *Disk) RemoveAll(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken(All) {
		return fails("remove", name, syscall.EIO)
	}
	key := clean(name)
	for _, inner := range slices.Backward(d.below(key)) {
		d.used -= int64(len(d.names[inner].data))
		d.set(change{name: inner})
	}
	if n := d.names[key]; n != nil && key != "" {
		d.used -= int64(len(n.data))
		d.set(change{name: key})
	}
	return nil
}

// Rename is os.Rename: after a crash, the new name is of the one file or of the other.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken(All) {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: syscall.EIO}
	}
	linkFails := func(err error) error { return &os.LinkError{Op: "rename", Old: from, New: to, Err: err} }
	a, b := clean(from), clean(to)
	n, old := d.names[a], d.names[b]
	for _, key := range []string{a, b} {
		if err := d.parent(key); err != nil {
			return linkFails(err)
		}
	}
	switch {
	case n == nil:
		return linkFails(syscall.ENOENT)
	case old != nil && old.mode.IsDir():
		return linkFails(syscall.EEXIST)
	case a == b:
		return nil
	case strings.HasPrefix(b, a+"/"):
		return linkFails(syscall.EINVAL)
	case old != nil && n.mode.IsDir():
		return linkFails(syscall.ENOTDIR)
	}
	if old != nil {
		d.used -= int64(len(old.data))
	}
	changes := []change{{name: a}, {name: b, node: n}}
	for _, inner := range d.below(a) {
		changes = append(changes, change{name: inner}, change{name: b + inner[len(a):], node: d.names[inner]})
	}
	d.set(changes...)
	return nil
}

// Stat is os.Stat.
func (d *Disk) Stat(name string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken(All) {
		return nil, fails("stat", name, syscall.EIO)
	}
	n := d.names[clean(name)]
	if n == nil {
		return nil, fails("stat", name, d.missing(clean(name)))
	}
	return n.info(clean(name)), nil
}

// ReadDir is os.ReadDir.
func (d *Disk) ReadDir(name string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken(All) {
		return nil, fails("open", name, syscall.EIO)
	}
	key := clean(name)
	switch n := d.names[key]; {
	case n == nil:
		return nil, fails("open", name, d.missing(key))
	case !n.mode.IsDir():
		return nil, fails("readdirent", name, syscall.ENOTDIR)
	}
	return d.entries(key), nil
}

func (d *Disk) entries(key string) []fs.DirEntry {
	var entries []fs.DirEntry
	for _, inner := range d.below(key) {
		if path.Dir("/" + inner)[1:] == key {
			entries = append(entries, fs.FileInfoToDirEntry(d.names[inner].info(inner)))
		}
	}
	return entries
}

// SyncDir has the names in a directory last, and all that was done to names before it.
func (d *Disk) SyncDir(name string) error {
	f, err := d.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return f.Sync()
}

// resize cuts or lengthens a file. It reports whether there is room.
func (d *Disk) resize(n *node, size int) bool {
	grown := int64(size - len(n.data))
	if grown > 0 && d.limit > 0 && d.used+grown > d.limit {
		return false
	}
	d.used += grown
	if grown <= 0 {
		// A copy, as what was cut off is still on the disk.
		n.data = slices.Clone(n.data[:size])
	} else {
		n.data = append(n.data, make([]byte, grown)...)
	}
	n.changed = time.Now()
	return true
}

// AfterCrash implements sim.Crasher.
func (d *Disk) AfterCrash(powerLoss bool, chance *rand.Rand) any {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := maps.Clone(d.names)
	journal := d.journal
	if powerLoss {
		kept := chance.IntN(len(journal) + 1)
		for _, changes := range slices.Backward(journal[kept:]) {
			for _, c := range slices.Backward(changes) {
				names[c.name] = c.was
				if c.was == nil {
					delete(names, c.name)
				}
			}
		}
		journal = nil
	}
	after := &Disk{names: make(map[string]*node, len(names)), limit: d.limit, failing: d.failing, slow: d.slow, slowed: d.slowed}
	copies := make(map[*node]*node)
	copied := func(n *node) *node {
		if n == nil {
			return nil
		}
		c := copies[n]
		if c == nil {
			c = &node{mode: n.mode, data: slices.Clone(n.data), synced: n.synced, dropped: n.dropped, changed: n.changed}
			if powerLoss && !n.mode.IsDir() {
				c.data = torn(n.synced, n.data, chance)
				c.synced, c.dropped = slices.Clone(c.data), nil
			}
			copies[n] = c
		}
		return c
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c := copied(names[name])
		after.names[name] = c
		after.used += int64(len(c.data))
	}
	for _, changes := range journal {
		var of []change
		for _, c := range changes {
			of = append(of, change{c.name, copied(c.was), copied(c.node)})
		}
		after.journal = append(after.journal, of)
	}
	return after
}

// torn returns what loss of power leaves of a file: each block that was written since the last sync is
// as it was, or as it is.
func torn(was, is []byte, chance *rand.Rand) []byte {
	size := len(was)
	if len(is) != len(was) && chance.IntN(2) == 0 {
		size = len(is)
	}
	out := make([]byte, size)
	for at := 0; at < size; at += block {
		end := min(at+block, size)
		from := was
		if chance.IntN(2) == 0 {
			from = is
		}
		if at < len(from) {
			copy(out[at:end], from[at:])
		}
	}
	return out
}

package sim

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"

	"github.com/frayrpc/fray/sim/disk"
	"github.com/frayrpc/fray/sim/order"
)

// Where goroutines follow the seed, code that calls package net by itself has the simulation's
// network: goroutines know which incarnation they belong to.
var (
	marks uint64
	// Incarnations by their marks. A mutex guards it: the way of a sync.Map depends on the key, and
	// with it how often others may run meanwhile.
	marked   = make(map[uint64]*Host)
	markedMu sync.Mutex
	network  = sync.OnceFunc(func() {
		order.Connect(order.Network{
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				return here().DialContext(ctx, network, address)
			},
			Listen: func(_ context.Context, network, address string) (net.Listener, error) {
				return here().Listen(network, address)
			},
			Lookup: func(name string) ([]string, error) {
				nodes, err := here().inc.node.resolve(name)
				if err != nil {
					return nil, err
				}
				addrs := make([]string, len(nodes))
				for i, n := range nodes {
					addrs[i] = n.ip().String()
				}
				return addrs, nil
			},
			Addrs: func() []string { return []string{here().IP().String()} },
			Hostname: func() string {
				if h := here(); h != nil {
					return h.Name()
				}
				return ""
			},
		})
		order.Mount(order.Disk{
			Open: func(name string, flag int, perm fs.FileMode) (any, bool, error) {
				d := diskOf(name, flag == os.O_RDONLY)
				if d == nil {
					return nil, false, nil
				}
				f, err := d.OpenFile(name, flag, perm)
				return f, true, err
			},
			Stat: func(name string) (fs.FileInfo, bool, error) {
				d := diskOf(name, true)
				if d == nil {
					return nil, false, nil
				}
				info, err := d.Stat(name)
				return info, true, err
			},
			Do: func(op, name, to string, perm fs.FileMode, size int64) (bool, error) {
				d := diskOf(name, op == "readlink")
				if d == nil {
					return false, nil
				}
				return true, change(d, op, name, to, perm, size)
			},
		})
	})
)

// machineDirs are what a host sees of this machine: time zones, certificates, devices.
var machineDirs = []string{"/dev", "/etc", "/proc", "/sys", "/usr"}

// diskOf returns the disk that a name is on, for the calling goroutine; nil: this machine's, which
// goroutines of no host have, and a host's for what it reads of some directories.
func diskOf(name string, reads bool) *disk.Disk {
	h := here()
	if h == nil || !h.inc.node.sim.cfg.Unmodified {
		return nil
	}
	if reads && strings.HasPrefix(name, "/") {
		for _, dir := range machineDirs {
			if rest, ok := strings.CutPrefix(path.Clean(name), dir); ok && (rest == "" || rest[0] == '/') {
				return nil
			}
		}
	}
	return h.inc.node.ownFiles()
}

// change does something to names of a disk.
func change(d *disk.Disk, op, name, to string, perm fs.FileMode, size int64) error {
	switch op {
	case "mkdir":
		return d.Mkdir(name, perm)
	case "remove":
		return d.Remove(name)
	case "removeall":
		return d.RemoveAll(name)
	case "rename":
		return d.Rename(name, to)
	case "truncate":
		f, err := d.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return f.Truncate(size)
	case "chmod", "chown", "chtimes":
		_, err := d.Stat(name)
		return err
	case "getwd":
		return nil
	case "readlink":
		if _, err := d.Stat(name); err != nil {
			return err
		}
		return &fs.PathError{Op: op, Path: name, Err: syscall.EINVAL}
	}
	return &fs.PathError{Op: op, Path: name, Err: errors.New("a simulated disk has none of this")}
}

// adopted returns the mark for the goroutines of an incarnation.
func adopted(i *incarnation) uint64 {
	if !order.Followed() {
		return 0
	}
	network()
	markedMu.Lock()
	defer markedMu.Unlock()
	marks++
	marked[marks] = &Host{inc: i}
	i.node.sim.marks = append(i.node.sim.marks, marks)
	return marks
}

// here returns the host of the calling goroutine, or nil.
func here() *Host {
	mark := order.Host()
	if mark == 0 {
		return nil // Before the lock: who is no host's must not be in the way of who is.
	}
	markedMu.Lock()
	defer markedMu.Unlock()
	return marked[mark]
}

// forgetMarks forgets the incarnations of a run.
func (s *Sim) forgetMarks() {
	markedMu.Lock()
	defer markedMu.Unlock()
	for _, mark := range s.marks {
		delete(marked, mark)
	}
}

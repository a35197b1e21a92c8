package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
)

const (
	// dataDir is where the controller keeps its records, and backupDir copies of them.
	dataDir   = "/data"
	backupDir = "/backups"
	// diskBytes is the size of a disk that is not full.
	diskBytes = 1 << 40
	// diskLog is how much is written to one log.
	diskLog = 192 << 10
	// diskMemory is what a store in memory needs of a store on disk: runs are short, and restarts
	// many.
	diskMemory = 1 << 20
)

// A machine is the disk of a host: a filesystem that knows what was synced, and what a crash
// therefore leaves.
type machine struct {
	fs *vfs.MemFS
	// What the next power loss leaves is torn.
	torn bool
	// It outlives a crash.
	full *atomic.Bool
}

func newMachine() *machine {
	fs := vfs.NewCrashableMem()
	err := fs.MkdirAll(backupDir, 0o700)
	if err == nil {
		err = syncRoot(fs)
	}
	if err != nil {
		panic(fmt.Sprintf("make a directory in memory: %v", err))
	}
	return &machine{fs: fs, full: new(atomic.Bool)}
}

func syncRoot(fs vfs.FS) error {
	root, err := fs.OpenDir("/")
	if err != nil {
		return err
	}
	return errors.Join(root.Sync(), root.Close())
}

// AfterCrash implements sim.Crasher.
func (m *machine) AfterCrash(powerLoss bool, chance *rand.Rand) any {
	// All of what is unsynced takes no chance, but it is drawn for each file, whose number is up to
	// what Pebble does in the background.
	everything := vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))}
	next := &machine{fs: m.fs.CrashClone(everything), full: m.full}
	if !powerLoss {
		return next
	}
	synced := m.fs.CrashClone(vfs.CrashCloneCfg{})
	// Which blocks of a file a power loss leaves is up to chance in earnest. Here the log decides,
	// whose tail is what is mostly in the air: nothing of it is left, all, or some.
	left := chance.IntN(3)
	switch {
	case m.torn || left == 2:
		tear(next.fs, synced, dataDir, chance)
	case left == 1:
		next.fs = synced
	}
	return next
}

// tear cuts the logs below dir somewhere in what was not synced.
func tear(fs, synced *vfs.MemFS, dir string, chance *rand.Rand) {
	names, err := fs.List(dir)
	if err != nil {
		return // It was not there yet.
	}
	slices.Sort(names)
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		switch {
		case err != nil:
		case info.IsDir():
			tear(fs, synced, path, chance)
		case strings.HasSuffix(name, ".log"):
			least := 0
			if s, err := synced.Stat(path); err == nil {
				least = int(s.Size())
			}
			if all := int(info.Size()); all > least {
				cut(fs, path, least+chance.IntN(all-least))
			}
		}
	}
}

// cut keeps the first bytes of a file.
func cut(fs *vfs.MemFS, path string, size int) {
	data := make([]byte, size)
	read := func() error {
		f, err := fs.Open(path)
		if err != nil {
			return err
		}
		_, err = io.ReadFull(f, data)
		return errors.Join(err, f.Close())
	}
	write := func() error {
		f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Sync(), f.Close())
	}
	err := read()
	if err == nil {
		err = write()
	}
	if err != nil {
		panic(fmt.Sprintf("cut a file in memory: %v", err))
	}
}

// store opens what the controller keeps its records in.
func (s *System) store(ctx context.Context, h *sim.Host) (store.Store, error) {
	if s.Topology.Controller.Store == cluster.StoreMemory {
		return store.NewMemory(), nil
	}
	m, ok := h.Disk().(*machine)
	if !ok {
		m = newMachine()
		h.SetDisk(m)
	}
	s.mu.Lock()
	s.machine = m
	s.mu.Unlock()
	latency := s.Topology.Controller.SyncLatency
	return pebblestore.Open(pebblestore.Config{
		Dir: dataDir, MemTableBytes: diskMemory, LogBytes: diskLog, CacheBytes: diskMemory,
		FS: &diskFS{FS: m.fs, ctx: ctx, system: s, machine: m, latency: time.Duration(latency), random: h.Rand("disk")},
	})
}

// disk returns that of the controller as it is now; nil: it has none.
func (s *System) disk() *machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine
}

// Fill implements engine.Disks: the controller alone has one.
func (s *System) Fill(_ string, full bool) {
	if m := s.disk(); m != nil {
		m.full.Store(full)
	}
}

// Tear implements engine.Disks.
func (s *System) Tear(_ string, torn bool) {
	if m := s.disk(); m != nil {
		m.torn = torn
	}
}

// diskFS is what an incarnation sees of a machine's disk: syncs take their time and are told of,
// and there may be no room.
type diskFS struct {
	vfs.FS

	ctx     context.Context //nolint:containedctx // The life of the incarnation.
	system  *System
	machine *machine
	latency time.Duration
	random  *rand.Rand // of the one goroutine that syncs the log
}

func (d *diskFS) file(f vfs.File, err error, name string) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	// A backup has a copy of the log, which is no commit, and which another goroutine writes.
	return &diskFile{File: f, disk: d, log: strings.HasSuffix(name, ".log") && strings.HasPrefix(name, dataDir+"/")}, nil
}

func (d *diskFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.room(); err != nil {
		return nil, err
	}
	f, err := d.FS.Create(name, category)
	return d.file(f, err, name)
}

func (d *diskFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.FS.OpenReadWrite(name, category, options...)
	return d.file(f, err, name)
}

func (d *diskFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(oldname, newname, category)
	return d.file(f, err, newname)
}

// GetDiskUsage implements vfs.FS.
func (d *diskFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if d.machine.full.Load() {
		return vfs.DiskUsage{TotalBytes: diskBytes, UsedBytes: diskBytes}, nil
	}
	return vfs.DiskUsage{AvailBytes: diskBytes, TotalBytes: diskBytes}, nil
}

// Unwrap implements vfs.FS.
func (d *diskFS) Unwrap() vfs.FS { return d.FS }

func (d *diskFS) room() error {
	if d.machine.full.Load() {
		return syscall.ENOSPC
	}
	return nil
}

// sync takes the time of a sync of the log, before which what is written is in the air, and after
// which it is not.
func (d *diskFS) sync(op func() error) error {
	d.system.Happen(cluster.EventCommitWritten)
	if d.latency > 0 {
		// One that stops is not slowed down: it closes files under locks.
		_ = sleep.For(d.ctx, d.latency+1+time.Duration(d.random.Int64N(int64(engine.Jitter))))
	}
	if err := op(); err != nil {
		return err
	}
	d.system.Happen(cluster.EventCommitSynced)
	return nil
}

type diskFile struct {
	vfs.File

	disk *diskFS
	log  bool
}

func (f *diskFile) Write(p []byte) (int, error) {
	if err := f.disk.room(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *diskFile) WriteAt(p []byte, offset int64) (int, error) {
	if err := f.disk.room(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, offset)
}

func (f *diskFile) Sync() error {
	if !f.log {
		return f.File.Sync()
	}
	return f.disk.sync(f.File.Sync)
}

func (f *diskFile) SyncData() error {
	if !f.log {
		return f.File.SyncData()
	}
	return f.disk.sync(f.File.SyncData)
}

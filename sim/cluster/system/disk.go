package system

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

const (
	// dataDir is where the controller keeps its records, and backupDir copies of them.
	dataDir   = "/data"
	backupDir = "/backups"
	// diskBytes is the size of a disk that is not full.
	diskBytes = 1 << 40
	// diskLog is how much is written to one log, and diskLogTask how much for each task where that is more: many tasks
	// would make a store that is busy with nothing but its tables.
	diskLog     = 192 << 10
	diskLogTask = 40
	// diskMemory is what a store in memory needs of a store on disk: runs are short, and restarts
	// many.
	diskMemory = 1 << 20
)

// store opens what the controller keeps its records in.
func (s *System) store(ctx context.Context, h *sim.Host) (store.Store, error) {
	if s.Topology.Controller.Store == cluster.StoreMemory {
		return store.NewSpilling("") // In unnamed files of the machine that simulates.
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
	disk := &diskFS{FS: m.fs, ctx: ctx, system: s, machine: m, latency: time.Duration(latency), random: h.Rand("disk")}
	log := max(diskLog, diskLogTask*int64(s.Tasks()))
	memory := max(diskMemory, 4*log)
	records, err := pebblestore.Open(pebblestore.Config{
		Dir: dataDir, MemTableBytes: memory, LogBytes: log, CacheBytes: memory, FS: disk, NoTableStats: true,
	})
	if err != nil {
		return nil, err
	}
	return &apart{records, disk}, nil
}

// apart is a store of which two calls do not read at one instant while reads fail: which of them
// comes to the disk first, and finds it failing, would be up to the Go scheduler.
type apart struct {
	*pebblestore.Store

	disk *diskFS
}

// Get implements store.Store.
func (a *apart) Get(k store.Key) ([]byte, error) {
	if a.disk.machine.wrong.strikes(scenario.DiskReads) {
		a.disk.wait(time.Duration(chance.Mix(k.Num<<8|uint64(k.Kind))%uint64(engine.Jitter)) | 1)
	}
	return a.Store.Get(k)
}

// diskFS is what an incarnation sees of a machine's disk: syncs take their time and are told of,
// and there may be no room, or operations that fail.
type diskFS struct {
	vfs.FS

	ctx     context.Context //nolint:containedctx // The life of the incarnation.
	system  *System
	machine *machine
	latency time.Duration
	random  *rand.Rand // of the one goroutine that syncs the log
}

// fails returns an error if an operation is to fail. What goroutines of a crashed incarnation still do
// is not counted.
func (d *diskFS) fails(on string) error {
	if d.crashed() {
		return nil
	}
	return d.machine.wrong.fails(on)
}

func (d *diskFS) crashed() bool { return errors.Is(context.Cause(d.ctx), sim.ErrCrashed) }

func (d *diskFS) file(f vfs.File, err error, name string) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	// A backup has a copy of the log, which is no commit, and which another goroutine writes.
	return &diskFile{File: f, disk: d, name: name, log: strings.HasSuffix(name, ".log") && strings.HasPrefix(name, dataDir+"/")}, nil
}

// Create implements vfs.FS.
func (d *diskFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, tableSuffix) {
		d.wait(tableTakes + time.Duration(chance.Hash(chance.HashBasis, name)%uint64(engine.Jitter)) | 1)
	}
	if err := cmp.Or(d.room(), d.fails(scenario.DiskWrites)); err != nil {
		return nil, err
	}
	f, err := d.FS.Create(name, category)
	if err == nil {
		d.machine.forget(name)
	}
	return d.file(f, err, name)
}

// Open implements vfs.FS.
func (d *diskFS) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	if err := d.fails(scenario.DiskAll); err != nil {
		return nil, err
	}
	f, err := d.FS.Open(name, options...)
	return d.file(f, err, name)
}

// OpenDir implements vfs.FS.
func (d *diskFS) OpenDir(name string) (vfs.File, error) {
	if err := d.fails(scenario.DiskAll); err != nil {
		return nil, err
	}
	f, err := d.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, disk: d, name: name, dir: true}, nil
}

// OpenReadWrite implements vfs.FS.
func (d *diskFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	if err := d.fails(scenario.DiskAll); err != nil {
		return nil, err
	}
	f, err := d.FS.OpenReadWrite(name, category, options...)
	return d.file(f, err, name)
}

// ReuseForWrite implements vfs.FS.
func (d *diskFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.fails(scenario.DiskWrites); err != nil {
		return nil, err
	}
	f, err := d.FS.ReuseForWrite(oldname, newname, category)
	if err == nil {
		d.machine.forget(oldname)
		d.machine.forget(newname)
	}
	return d.file(f, err, newname)
}

// Remove implements vfs.FS.
func (d *diskFS) Remove(name string) error {
	err := d.fails(scenario.DiskAll)
	if err == nil {
		err = d.FS.Remove(name)
	}
	if err == nil {
		d.machine.forget(name)
	}
	return err
}

// Rename implements vfs.FS.
func (d *diskFS) Rename(oldname, newname string) error {
	err := d.fails(scenario.DiskAll)
	if err == nil {
		err = d.FS.Rename(oldname, newname)
	}
	if err == nil {
		d.machine.forget(oldname)
		d.machine.forget(newname)
	}
	return err
}

// List implements vfs.FS.
func (d *diskFS) List(dir string) ([]string, error) {
	if err := d.fails(scenario.DiskAll); err != nil {
		return nil, err
	}
	return d.FS.List(dir)
}

// Stat implements vfs.FS.
func (d *diskFS) Stat(name string) (vfs.FileInfo, error) {
	if err := d.fails(scenario.DiskAll); err != nil {
		return nil, err
	}
	return d.FS.Stat(name)
}

// GetDiskUsage implements vfs.FS.
func (d *diskFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if d.machine.wrong.full.Load() {
		return vfs.DiskUsage{TotalBytes: diskBytes, UsedBytes: diskBytes}, nil
	}
	return vfs.DiskUsage{AvailBytes: diskBytes, TotalBytes: diskBytes}, nil
}

// Unwrap implements vfs.FS.
func (d *diskFS) Unwrap() vfs.FS { return d.FS }

func (d *diskFS) room() error {
	if d.machine.wrong.full.Load() {
		return syscall.ENOSPC
	}
	return nil
}

// syncLog takes the time of a sync of the log, before which what is written is in the air, and after
// which it is not.
func (d *diskFS) syncLog(name string, op func() error) error {
	d.system.Happen(cluster.EventCommitWritten)
	if d.latency > 0 {
		d.wait(d.latency + 1 + time.Duration(d.random.Int64N(int64(engine.Jitter))))
	}
	if err := d.sync(name, op); err != nil {
		return err
	}
	d.system.Happen(cluster.EventCommitSynced)
	return nil
}

// sync takes a file to the disk, unless its pages have been dropped.
func (d *diskFS) sync(name string, op func() error) error {
	d.slowDown(name)
	if err := d.fails(scenario.DiskSyncs); err != nil {
		d.machine.drop(name)
		return err
	}
	if !d.crashed() && !d.machine.synced(name) {
		return nil
	}
	return op()
}

// syncDir takes the names in a directory to the disk.
func (d *diskFS) syncDir(name string, op func() error) error {
	d.slowDown(name)
	if err := d.fails(scenario.DiskSyncs); err != nil {
		return err
	}
	return op()
}

// slowDown takes the time that a slow disk needs for a sync.
func (d *diskFS) slowDown(name string) {
	if by := d.machine.wrong.slow.Load(); by > 0 {
		// Syncs of different kinds that begin at one instant do not end at one.
		d.wait(time.Duration(by) + time.Duration(chance.Hash(chance.HashBasis, kindOf(name))%uint64(engine.Jitter)))
	}
}

// kindOf returns what is like in the names of files of a kind: all but their numbers.
func kindOf(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, name)
}

const (
	// tableSuffix is what names of the store's tables end with.
	tableSuffix = ".sst"
	// tableTakes is how long it takes to begin a table, about: who reads at the instant at which the
	// store begins to rewrite its tables reads the old ones, whichever goroutine runs first.
	tableTakes = 100 * time.Microsecond
)

// giveUp is how long it takes until a read fails, about.
const giveUp = 200 * time.Microsecond

// unread returns an error if a read is to fail. That takes a while, and of two reads of one instant
// each another: what the one of a compaction brings down, and what a commit still does before, is not
// up to the order in which goroutines run.
func (d *diskFS) unread(name string, offset int64) error {
	err := d.fails(scenario.DiskReads)
	if err != nil {
		d.wait(giveUp + time.Duration(chance.Mix(chance.Hash(chance.HashBasis, name)^uint64(offset))%uint64(engine.Jitter)) | 1) //nolint:gosec // Any bits will do.
	}
	return err
}

// wait lets time pass, unless its host crashes. One that is told to stop is not slowed down any more, for
// it closes files under locks; but what had begun before takes its time, or all of it would end at the
// instant of the stop.
func (d *diskFS) wait(by time.Duration) {
	if d.ctx.Err() != nil {
		return
	}
	begun := time.Now()
	if sleep.For(d.ctx, by) != nil && !d.crashed() {
		time.Sleep(by - time.Since(begun))
	}
}

type diskFile struct {
	vfs.File

	disk *diskFS
	name string
	// It is a log, or a directory.
	log, dir bool
}

func (f *diskFile) writes() error { return cmp.Or(f.disk.room(), f.disk.fails(scenario.DiskWrites)) }

// Read implements io.Reader.
func (f *diskFile) Read(p []byte) (int, error) {
	if err := f.disk.unread(f.name, 0); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

// ReadAt implements io.ReaderAt.
func (f *diskFile) ReadAt(p []byte, offset int64) (int, error) {
	if err := f.disk.unread(f.name, offset); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, offset)
}

// Write implements io.Writer.
func (f *diskFile) Write(p []byte) (int, error) {
	if err := f.writes(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

// WriteAt implements vfs.File.
func (f *diskFile) WriteAt(p []byte, offset int64) (int, error) {
	if err := f.writes(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, offset)
}

// Sync implements vfs.File.
func (f *diskFile) Sync() error { return f.sync(f.File.Sync) }

// SyncData implements vfs.File.
func (f *diskFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *diskFile) sync(op func() error) error {
	switch {
	case f.log:
		return f.disk.syncLog(f.name, op)
	case f.dir:
		return f.disk.syncDir(f.name, op)
	}
	return f.disk.sync(f.name, op)
}

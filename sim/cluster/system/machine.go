package system

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/sim/scenario"
)

// A machine is the disk of a host: a filesystem that knows what was synced, and what a crash
// therefore leaves.
type machine struct {
	fs *vfs.MemFS
	// What the next power loss leaves is torn.
	torn bool
	// It outlives a crash.
	wrong *wrong

	mu sync.Mutex
	// Files whose sync failed, or that were not synced when a process died: what of them is on the
	// disk. The filesystem takes them for synced, or would.
	lost map[string][]byte
	// Those of them whose pages are taken for written, so that no later sync helps.
	dropped map[string]bool
}

// wrong is what is wrong with a disk.
type wrong struct {
	full atomic.Bool
	slow atomic.Int64 // nanoseconds that each sync takes longer

	mu      sync.Mutex
	failing map[string]int // by what fails, how often; below 0: always
}

func newWrong() *wrong { return &wrong{failing: map[string]int{}} }

// fails returns an error if an operation is to fail.
func (w *wrong) fails(on string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, kind := range []string{on, scenario.DiskAll} {
		if n := w.failing[kind]; n != 0 {
			w.failing[kind] = max(n-1, -1)
			return syscall.EIO
		}
	}
	return nil
}

// strikes says whether the next operation of a kind is to fail.
func (w *wrong) strikes(on string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failing[on] != 0 || w.failing[scenario.DiskAll] != 0
}

// fail has the next operations of a kind fail.
func (w *wrong) fail(on string, first int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing[on] = first
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
	return machineOf(fs, newWrong())
}

func machineOf(fs *vfs.MemFS, w *wrong) *machine {
	return &machine{fs: fs, wrong: w, lost: map[string][]byte{}, dropped: map[string]bool{}}
}

func syncRoot(fs vfs.FS) error {
	root, err := fs.OpenDir("/")
	if err != nil {
		return err
	}
	return errors.Join(root.Sync(), root.Close())
}

// drop notes that a sync of a file failed: what it was to sync never is.
func (m *machine) drop(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.lost[path]; !known {
		m.lost[path] = content(m.fs.CrashClone(vfs.CrashCloneCfg{}), path)
	}
	m.dropped[path] = true
}

// synced notes that a file was, and says whether that takes it to the disk.
func (m *machine) synced(path string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dropped[path] {
		return false
	}
	delete(m.lost, path)
	return true
}

// forget notes that a file of a name is another one now, or none.
func (m *machine) forget(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.lost, path)
	delete(m.dropped, path)
}

// AfterCrash implements sim.Crasher.
func (m *machine) AfterCrash(powerLoss bool, random *rand.Rand) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	// All of what is unsynced takes no chance, but it is drawn for each file, whose number is up to
	// what Pebble does in the background.
	everything := vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))}
	next := machineOf(m.fs.CrashClone(everything), m.wrong)
	for path := range files(next.fs, "/") {
		if _, err := m.fs.Stat(path); err != nil {
			remove(next.fs, path) // The clone has what was removed, unless that was synced.
		}
	}
	synced := m.fs.CrashClone(vfs.CrashCloneCfg{})
	for _, path := range slices.Sorted(maps.Keys(m.lost)) {
		if _, err := synced.Stat(path); err == nil {
			write(synced, path, m.lost[path])
		}
	}
	if !powerLoss {
		// The clone takes all for synced. It is in the memory of the machine yet.
		next.dropped = m.dropped
		for path, size := range files(next.fs, "/") {
			if was := content(synced, path); len(was) != size || !bytes.Equal(was, content(next.fs, path)) {
				next.lost[path] = was
			}
		}
		return next
	}
	// Which blocks of a file a power loss leaves is up to chance in earnest. Here the log decides,
	// whose tail is what is mostly in the air: nothing of it is left, all, or some.
	left := random.IntN(3)
	switch {
	case m.torn || left == 2:
		tear(next.fs, synced, random)
	case left == 1:
		next.fs = synced
	}
	return next
}

// files returns the paths of the files below a directory, sorted, and their sizes.
func files(fs *vfs.MemFS, dir string) func(yield func(string, int) bool) {
	return func(yield func(string, int) bool) {
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
				for path, size := range files(fs, path) {
					if !yield(path, size) {
						return
					}
				}
			case !yield(path, int(info.Size())):
				return
			}
		}
	}
}

// tornBlock is what a disk writes at once, in bytes.
const tornBlock = 4096

// tear has chance decide what of the files is on the disk that was not synced: of the logs their
// beginning, of others each block by itself, and of a name that was not synced whether it is there.
// What was synced stays. What is drawn of others hangs on their names and not on how many there are,
// which is up to what Pebble does in the background.
func tear(fs, synced *vfs.MemFS, random *rand.Rand) {
	others := map[string]bool{}
	for path, all := range files(fs, dataDir) {
		if !strings.HasSuffix(path, ".log") {
			others[path] = true
			continue
		}
		if least := len(content(synced, path)); all > least {
			write(fs, path, content(fs, path)[:least+random.IntN(all-least)])
		}
	}
	for path := range files(synced, dataDir) {
		if _, err := fs.Stat(path); err != nil {
			others[path] = true
		}
	}
	seed := random.Uint64()
	for _, path := range slices.Sorted(maps.Keys(others)) {
		was, is := content(synced, path), content(fs, path)
		own := chance.New(seed, "torn/"+path, 0)
		switch stays := own.IntN(2) == 0; {
		case was != nil && is != nil, was == nil && stays:
			if !bytes.Equal(was, is) {
				write(fs, path, blocks(was, is, own))
			}
		case was == nil:
			remove(fs, path)
		case stays: // It was removed.
			write(fs, path, was)
		}
	}
}

// blocks returns a file of which each block is as it was, or as it is.
func blocks(was, is []byte, random *rand.Rand) []byte {
	out := slices.Clone(was)
	for at := 0; at < len(is); at += tornBlock {
		block := is[at:min(at+tornBlock, len(is))]
		if random.IntN(2) == 0 {
			continue
		}
		if grow := at + len(block) - len(out); grow > 0 {
			out = append(out, make([]byte, grow)...)
		}
		copy(out[at:], block)
	}
	return out
}

// content returns what is in a file; nil: there is none.
func content(fs *vfs.MemFS, path string) []byte {
	f, err := fs.Open(path)
	if err != nil {
		return nil
	}
	data, err := io.ReadAll(f) // It is not nil.
	if err := errors.Join(err, f.Close()); err != nil {
		panic(fmt.Sprintf("read a file in memory: %v", err))
	}
	return data
}

// write has a file hold some data, and synced.
func write(fs *vfs.MemFS, path string, data []byte) {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write(data)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		panic(fmt.Sprintf("write a file in memory: %v", err))
	}
}

func remove(fs *vfs.MemFS, path string) {
	if err := fs.Remove(path); err != nil {
		panic(fmt.Sprintf("remove a file in memory: %v", err))
	}
}

// wrongWith returns what is wrong with the one disk that there is, the controller's or the database's;
// nil: there is none yet.
func (s *System) wrongWith() *wrong {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.machine != nil {
		return s.machine.wrong
	}
	return s.shared.wrong
}

// Fill implements engine.Disks.
func (s *System) Fill(_ string, full bool) {
	if w := s.wrongWith(); w != nil {
		w.full.Store(full)
	}
}

// Fail implements engine.Disks.
func (s *System) Fail(_, on string, first int) {
	if w := s.wrongWith(); w != nil {
		w.fail(on, first)
	}
}

// Slow implements engine.Disks.
func (s *System) Slow(_ string, by time.Duration) {
	if w := s.wrongWith(); w != nil {
		w.slow.Store(int64(by))
	}
}

// Tear implements engine.Disks.
func (s *System) Tear(_ string, torn bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.machine != nil {
		s.machine.torn = torn
	}
}

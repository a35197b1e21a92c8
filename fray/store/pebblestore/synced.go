package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// syncedFile is the name of the file with the number of a commit up to which all commits are on
// disk.
//
// It is what tells a log that lost its end, by damage, from one whose end was being written when
// the process died: the number is written after each fsync of the log, so it never promises too
// much. It is not synced itself each time, so a power loss can take it back by up to sealInterval.
const syncedFile = "SYNCED"

const (
	slotBytes = 12   // the number and its checksum
	slotApart = 4096 // so that a write that tears damages one slot only
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// synced writes the file. Its methods may be called concurrently.
type synced struct {
	file    vfs.File
	reached atomic.Uint64
	dirty   atomic.Bool // written since the last seal

	mu      sync.Mutex // never held across a wait: a goroutine that finds it held leaves the work to its holder
	written uint64
	slot    int64
}

// openSynced opens the file, creating it if it is missing.
func openSynced(fs vfs.FS, path string) (*synced, error) {
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	return &synced{file: f}, nil
}

// reach notes that all commits up to n are on disk, and tells whether a seal is due that was not
// due before.
func (s *synced) reach(n uint64) (sealDue bool) {
	for {
		old := s.reached.Load()
		if old >= n || s.reached.CompareAndSwap(old, n) {
			break
		}
	}
	for s.mu.TryLock() {
		done := s.reached.Load()
		if done > s.written {
			_ = s.write(done) // The disk keeps the error.
		}
		s.mu.Unlock()
		if s.reached.Load() == done {
			break
		}
	}
	return !s.dirty.Swap(true)
}

// write files n in the slot that was not written last.
func (s *synced) write(n uint64) error {
	slot := binary.BigEndian.AppendUint64(make([]byte, 0, slotBytes), n)
	slot = binary.BigEndian.AppendUint32(slot, crc32.Checksum(slot, castagnoli))
	_, err := s.file.WriteAt(slot, s.slot*slotApart)
	s.written, s.slot = n, 1-s.slot
	return err
}

// seal syncs what was reached.
func (s *synced) seal() {
	s.dirty.Store(false)
	_ = s.file.SyncData() // The disk keeps the error.
}

func (s *synced) close() error { return s.file.Close() }

// createSynced writes a file that promises all commits up to n, and syncs it.
func createSynced(fs vfs.FS, path string, n uint64) error {
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	s := synced{file: f}
	return errors.Join(s.write(n), s.write(n), f.Sync(), f.Close())
}

// readSynced returns the number in the file.
func readSynced(fs vfs.FS, path string) (uint64, error) {
	data, err := readFile(fs, path)
	if err != nil {
		return 0, err
	}
	var n uint64
	valid := false
	for slot := range 2 {
		start := slot * slotApart
		if len(data) < start+slotBytes {
			continue
		}
		b := data[start : start+slotBytes]
		if crc32.Checksum(b[:8], castagnoli) == binary.BigEndian.Uint32(b[8:]) {
			n, valid = max(n, binary.BigEndian.Uint64(b)), true
		}
	}
	if !valid {
		return 0, damaged(path, fmt.Errorf("neither of its two numbers has a valid checksum"))
	}
	return n, nil
}

func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

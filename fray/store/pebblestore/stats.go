package pebblestore

import (
	"sync/atomic"
	"time"
)

// Stats is what a store did since it was opened.
type Stats struct {
	// Commits is the number of batches, Records that of the records set and deleted by them, and
	// CommitBytes their size.
	Commits, Records, CommitBytes uint64
	// Syncs is the number of fsyncs of the log, and SyncTime the time that they took.
	Syncs    uint64
	SyncTime time.Duration
	// WrittenBytes is all that was written to files, compaction included.
	WrittenBytes uint64
	// Stalls is how often commits had to wait for recent records to be written to tables.
	Stalls uint64
}

type counters struct{ commits, records, bytes atomic.Uint64 }

func (c *counters) add(records, bytes int) {
	c.commits.Add(1)
	c.records.Add(uint64(records)) //nolint:gosec // Not negative.
	c.bytes.Add(uint64(bytes))     //nolint:gosec // Not negative.
}

// Stats returns what the store did so far. It costs no more than loading its numbers.
func (s *Store) Stats() Stats {
	return Stats{
		Commits:      s.committed.commits.Load(),
		Records:      s.committed.records.Load(),
		CommitBytes:  s.committed.bytes.Load(),
		Syncs:        uint64(s.disk.syncs.Load()), //nolint:gosec // Not negative.
		SyncTime:     time.Duration(s.disk.syncNanos.Load()),
		WrittenBytes: uint64(s.disk.written.Load()), //nolint:gosec // Not negative.
		Stalls:       s.disk.stalls.Load(),
	}
}

// DiskUsage returns how many bytes the store takes on disk, with what was deleted and not yet
// compacted away, but for what was written to the current log.
func (s *Store) DiskUsage() (uint64, error) {
	if err := s.gate.enter(); err != nil {
		return 0, err
	}
	defer s.gate.leave()
	return s.db.Metrics().DiskSpaceUsage(), nil
}

package pebblestore

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/frayrpc/fray/fray/store"
)

// flag is set once until it is cleared.
type flag struct{ atomic.Bool }

// raise tells whether the flag was down.
func (f *flag) raise() bool { return !f.Swap(true) }

// Commit implements store.Store. Commits of concurrent callers share an fsync. While the disk is
// full it waits. After an error the store has failed, unless the batch was refused: what the commit
// did is unknown until the store is opened again, and every later commit returns the same error.
func (s *Store) Commit(b *store.Batch) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	if s.cfg.ReadOnly {
		return errReadOnly
	}
	if err := s.disk.failure(); err != nil {
		return err
	}
	ops := b.Ops()
	if len(ops) == 0 {
		return nil
	}
	batch, err := s.encode(ops)
	if err != nil {
		return err
	}
	size := batch.Len()
	if err := s.commit(batch, b.Lazy || s.cfg.Durability == store.Relaxed); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.committed.add(len(ops), size)
	return nil
}

// encode makes Pebble's batch of ops. There is room left in it for the number of the commit.
func (s *Store) encode(ops []store.Op) (*pebble.Batch, error) {
	const opBytes = keyBytes + 12 // with its kind and lengths
	size := 2 * opBytes
	for _, op := range ops {
		if op.Key.Kind == 0 {
			return nil, fmt.Errorf("commit: key %d has kind 0, which is the store's own", op.Key.Num)
		}
		size += opBytes + len(op.Value)
	}
	if size > MaxBatchBytes {
		return nil, fmt.Errorf("commit: batch of %d bytes; at most %d are allowed", size, MaxBatchBytes)
	}
	batch := s.db.NewBatchWithSize(size)
	var key [keyBytes]byte
	for _, op := range ops {
		k := appendKey(key[:0], op.Key)
		var err error
		if op.Delete {
			err = batch.Delete(k, nil)
		} else {
			err = batch.Set(k, op.Value, nil)
		}
		if err != nil {
			return nil, err
		}
	}
	return batch, nil
}

// commit gives a batch the next number, and returns when it is durable, or if it is lazy at once.
func (s *Store) commit(batch *pebble.Batch, lazy bool) error {
	if !lazy {
		s.syncing.Add(1)
		defer s.syncing.Add(-1)
	}
	n, err := s.enqueue(batch, lazy)
	if err != nil {
		return err
	}
	if lazy {
		if s.flushDue.raise() {
			s.flushTimer.Reset(RelaxedInterval)
		}
		if err := s.disk.failure(); err != nil {
			return err
		}
		return batch.Close()
	}
	return s.finish(batch, n)
}

// enqueue writes a batch after all before it, and returns its number.
func (s *Store) enqueue(batch *pebble.Batch, lazy bool) (uint64, error) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if err := s.rotate(batch); err != nil {
		return 0, err
	}
	n := s.last + 1
	var value [commitsBytes]byte
	if err := batch.Merge(commitsKey, commits{count: 1, last: n}.append(value[:0]), nil); err != nil {
		return 0, err
	}
	var err error
	if lazy {
		err = s.db.Apply(batch, pebble.NoSync)
	} else {
		err = s.db.ApplyNoSyncWait(batch, pebble.Sync)
	}
	if err == nil {
		s.last = n
	}
	return n, err
}

// rotate begins a new log if the batch is too much for the current one.
func (s *Store) rotate(batch *pebble.Batch) error {
	if s.cfg.LogBytes == 0 {
		return nil
	}
	size := int64(batch.Len()) + int64(batch.Count()+1)*logOverhead
	s.logBytes = min(max(s.logBytes, firstLogBytes), s.cfg.LogBytes)
	if s.logged += size; s.logged <= s.logBytes {
		return nil
	}
	s.logged, s.logBytes = size, 2*s.logBytes
	if _, err := s.db.AsyncFlush(); err != nil {
		return err
	}
	s.settle()
	return nil
}

// settle lets the writer of a log that has just begun come to rest, where LogBytes asks for the same
// files each time. What finds it at work is written at once, even if it is lazy; and at an instant at
// which the clock stands still, who is first is up to the Go scheduler.
func (s *Store) settle() {
	if s.cfg.LogBytes > 0 {
		time.Sleep(time.Nanosecond)
	}
}

// finish waits until a batch is on disk, and with it all commits up to n.
func (s *Store) finish(batch *pebble.Batch, n uint64) error {
	if err := batch.SyncWait(); err != nil {
		s.disk.fail(err)
	}
	if err := s.disk.failure(); err != nil {
		return err
	}
	if s.synced.reach(n) {
		s.sealTimer.Reset(sealInterval)
	}
	return batch.Close()
}

// flushRelaxed syncs the commits so far.
func (s *Store) flushRelaxed() {
	if s.gate.enter() != nil {
		return // Close syncs.
	}
	defer s.gate.leave()
	s.flushDue.Store(false)
	if err := s.flush(); err != nil {
		s.disk.fail(err)
	}
}

// flush returns when all commits so far are on disk. A commit that is under way, or the one that
// follows upon it, takes the earlier ones with it, so that a sync of its own is for a log that is
// at rest. That saves syncs, and it keeps simulations repeatable: with two waiting for one sync, it
// would be up to the Go scheduler whether what the one does next catches the next sync, together
// with the other.
func (s *Store) flush() error {
	s.turn <- struct{}{}
	last := s.last
	<-s.turn
	for pause := minFlushPause; s.synced.reached.Load() < last && s.syncing.Load() > 0; pause = min(2*pause, maxFlushPause) {
		time.Sleep(pause)
	}
	if err := s.disk.failure(); err != nil || s.synced.reached.Load() >= last {
		return err
	}
	batch := s.db.NewBatch()
	if err := batch.LogData(nil, nil); err != nil {
		return err
	}
	n, err := func() (uint64, error) {
		s.turn <- struct{}{}
		defer func() { <-s.turn }()
		return s.last, s.db.ApplyNoSyncWait(batch, pebble.Sync)
	}()
	if err != nil {
		return err
	}
	return s.finish(batch, n)
}

// seal syncs the number of commits that are on disk.
func (s *Store) seal() {
	if s.gate.enter() != nil {
		return // Close seals.
	}
	defer s.gate.leave()
	s.synced.seal()
}

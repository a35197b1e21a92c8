package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/frayrpc/fray/fray/store"
)

// Store is a store.Store in a directory. Its methods may be called concurrently. Close may be
// called while commits wait for room on a full disk, and ends them.
type Store struct {
	cfg    Config
	disk   *disk
	lock   *pebble.Lock
	place  *place // nil: it is only read, or not on the machine's disk
	db     *pebble.DB
	damage error // of one opened for reading
	gate   gate

	turn chan struct{} // holds one token while a batch is put in the order of commits; no mutex, for a full disk is waited for
	// Of the goroutine that has the turn: the number of the latest batch, how much the current log has,
	// and how much it may have of Config.LogBytes.
	last             uint64
	logged, logBytes int64

	syncing atomic.Int32 // commits that wait for the disk

	backups  sync.Map      // the directories of those that are being made
	copyTurn chan struct{} // holds one token while one is

	synced     *synced
	sealTimer  *time.Timer
	flushTimer *time.Timer
	flushDue   flag

	room struct {
		mu      sync.Mutex
		checked time.Time
		err     error
	}
	committed counters
	metrics   *metrics // nil: nobody asked for them
}

var (
	_ store.Roomer    = (*Store)(nil)
	_ store.Abandoner = (*Store)(nil)
	_ store.Failer    = (*Store)(nil)
	_ store.Backuper  = (*Store)(nil)
)

const keyBytes = 9

func appendKey(b []byte, k store.Key) []byte {
	return binary.BigEndian.AppendUint64(append(b, byte(k.Kind)), k.Num)
}

// Get implements store.Store. The value is the caller's.
func (s *Store) Get(k store.Key) ([]byte, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	var key [keyBytes]byte
	value, closer, err := s.db.Get(appendKey(key[:0], k))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, store.ErrNotFound
	}
	if err != nil {
		return nil, s.readError(err)
	}
	value = append(make([]byte, 0, len(value)), value...)
	return value, closer.Close()
}

// Scan implements store.Store.
func (s *Store) Scan(kind store.RecordKind, from uint64, f func(num uint64, value []byte) error) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	bounds := &pebble.IterOptions{LowerBound: appendKey(nil, store.Key{Kind: kind, Num: from})}
	if end := kind + 1; end != 0 {
		bounds.UpperBound = appendKey(nil, store.Key{Kind: end})
	}
	it, err := s.db.NewIter(bounds)
	if err != nil {
		return s.readError(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			break // Close returns it.
		}
		if err := f(binary.BigEndian.Uint64(it.Key()[1:]), value); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	if err := it.Close(); err != nil {
		return s.readError(err)
	}
	return nil
}

// readError says what became of a read that failed.
func (s *Store) readError(err error) error {
	if pebble.IsCorruptionError(err) {
		return explain(err, s.cfg.FS, s.dbPath(), "")
	}
	if cause := s.disk.failure(); cause != nil {
		return cause
	}
	return fmt.Errorf("read %s: %w", s.dbPath(), err)
}

// Damage says which acknowledged commits a store that was opened for reading has lost, or nil if
// none.
func (s *Store) Damage() error { return s.damage }

// Durability implements store.Store.
func (s *Store) Durability() store.Durability { return s.cfg.Durability }

// Failed implements store.Failer.
func (s *Store) Failed() <-chan struct{} { return s.disk.dead }

// Failure implements store.Failer.
func (s *Store) Failure() error { return s.disk.failure() }

// Abandon implements store.Abandoner.
func (s *Store) Abandon() { s.disk.giveUp() }

// Close implements store.Store. It returns why the store failed, if it did.
func (s *Store) Close() error {
	empty, err := s.gate.shut()
	if err != nil {
		return err
	}
	if s.metrics != nil {
		s.cfg.Registerer.Unregister(s.metrics)
	}
	s.disk.giveUp()
	<-empty
	if s.cfg.ReadOnly {
		return errors.Join(s.db.Close(), s.lock.Close())
	}
	s.sealTimer.Stop()
	s.flushTimer.Stop()
	err = s.db.Close() // Syncs the log.
	if s.disk.failure() == nil && err == nil {
		s.synced.reach(s.last)
		s.synced.seal()
	}
	err = errors.Join(err, s.synced.close(), s.place.Close(), s.lock.Close())
	if cause := s.disk.failure(); cause != nil {
		return cause
	}
	return err
}

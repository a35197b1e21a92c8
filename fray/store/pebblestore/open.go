package pebblestore

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/frayrpc/fray/fray/store"
)

// Open opens the store in a directory, or creates one there if it is missing or empty. It changes
// nothing before it knows that the directory is one of Fray's, that no other process has it open
// and that no acknowledged commit is missing; the error says which file is at fault and what to do.
func Open(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("open data directory %s: %w", cfg.Dir, err)
	}
	return s, nil
}

func open(cfg Config) (*Store, error) {
	if err := trusted(cfg.FS, cfg.Dir); err != nil && !cfg.ReadOnly {
		return nil, err
	}
	exists, err := inspect(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	if !exists {
		if cfg.ReadOnly {
			return nil, errors.New("there is no Fray data directory")
		}
		if err := makeDir(cfg.FS, cfg.FS.PathJoin(cfg.Dir, dbDir)); err != nil {
			return nil, err
		}
	}
	if cfg.Dir, err = canonical(cfg.FS, cfg.Dir); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, disk: newDisk(cfg, cfg.ReadOnly), turn: make(chan struct{}, 1), copyTurn: make(chan struct{}, 1)}
	if cfg.Registerer != nil {
		s.metrics = newMetrics(s)
		s.disk.synced = s.metrics.synced
	}
	if s.lock, err = pebble.LockDirectory(s.dbPath(), s.disk); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = damaged(s.dbPath(), errors.New("it is missing"))
		}
		return nil, err
	}
	if !cfg.ReadOnly {
		if s.place, err = occupy(cfg.FS, cfg.Dir, s.disk.fail); err != nil {
			return nil, errors.Join(err, s.lock.Close())
		}
	}
	if err := s.openLocked(); err != nil {
		return nil, errors.Join(err, s.place.Close(), s.lock.Close())
	}
	if s.metrics != nil {
		if err := cfg.Registerer.Register(s.metrics); err != nil {
			return nil, errors.Join(fmt.Errorf("register metrics: %w", err), s.Close())
		}
	}
	return s, nil
}

// openLocked opens or creates the database. That nobody had it open does not say that nobody
// created it just now.
func (s *Store) openLocked() error {
	fsys, dir := s.cfg.FS, s.cfg.Dir
	exists, err := inspect(fsys, dir)
	if err != nil {
		return err
	}
	switch {
	case s.cfg.ReadOnly:
		return s.openToRead()
	case exists:
		if err := s.verify(); err != nil {
			return err
		}
		if err := fsys.Remove(fsys.PathJoin(dir, beginFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	default:
		if err := begin(fsys, dir); err != nil {
			return err
		}
	}
	later := newCompactions(s.disk)
	if s.db, err = openPebble(s.cfg, s.disk, later, s.lock, exists); err == nil {
		err = s.start(exists)
	}
	if err == nil {
		later.begin()
	}
	if cause := s.disk.failure(); cause != nil {
		if err == nil && exists && errors.Is(cause, store.ErrCorrupt) {
			return nil // Compaction happened upon a damaged table. It was not asked for; the first commit tells.
		}
		err = cause // What came after it means nothing.
	}
	if err != nil && s.db != nil {
		if s.synced != nil {
			err = errors.Join(err, s.synced.close())
		}
		err = errors.Join(err, s.db.Close())
	}
	return err
}

// start makes the rest of a store whose database is open.
func (s *Store) start(exists bool) error {
	c, err := readCommits(s.db)
	if err != nil {
		return err
	}
	s.last = c.last
	fsys, dir := s.cfg.FS, s.cfg.Dir
	if !exists {
		// What Pebble created must be there before the directory counts as complete.
		if err := s.disk.failure(); err != nil {
			return err
		}
		if err := complete(fsys, dir, c.last); err != nil {
			return err
		}
	}
	s.synced, err = openSynced(s.disk, fsys.PathJoin(dir, syncedFile))
	if err != nil {
		return err
	}
	s.sealTimer = idleTimer(s.seal)
	s.flushTimer = idleTimer(s.flushRelaxed)
	if s.synced.reach(c.last) { // Pebble moved what was in the logs to tables, and synced these.
		s.sealTimer.Reset(sealInterval)
	}
	s.disk.patient.Store(true)
	s.settle()
	return nil
}

// idleTimer returns a timer that calls f once it is reset.
func idleTimer(f func()) *time.Timer {
	t := time.AfterFunc(math.MaxInt64, f)
	t.Stop()
	return t
}

// openToRead opens the database without writing.
func (s *Store) openToRead() error {
	db, err := openPebble(s.cfg, s.disk, newCompactions(s.disk), s.lock, true)
	if err != nil {
		return s.explain(err, s.disk)
	}
	s.db = db
	s.damage = s.check(db)
	return nil
}

// verify opens the database without writing, checks it, and closes it again.
func (s *Store) verify() error {
	reader := newDisk(s.cfg, true)
	db, err := openPebble(s.cfg, reader, newCompactions(reader), s.lock, true)
	if err != nil {
		return s.explain(err, reader)
	}
	return errors.Join(s.check(db), db.Close())
}

// check returns an error if an acknowledged commit is missing.
func (s *Store) check(db *pebble.DB) error {
	fsys := s.cfg.FS
	path := fsys.PathJoin(s.cfg.Dir, syncedFile)
	synced, err := readSynced(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		err = damaged(path, errors.New("it is missing"))
	}
	if err != nil {
		return err
	}
	c, err := readCommits(db)
	if err != nil {
		return s.explain(err, s.disk)
	}
	return checkCommits(c, synced, fsys, s.dbPath())
}

func (s *Store) explain(err error, d *disk) error {
	last := ""
	if p := d.lastOpened.Load(); p != nil {
		last = *p
	}
	return explain(err, s.cfg.FS, s.dbPath(), last)
}

func (s *Store) dbPath() string { return s.cfg.FS.PathJoin(s.cfg.Dir, dbDir) }

// openPebble opens the database, which exists already or is to be created.
func openPebble(cfg Config, d *disk, c *compactions, lock *pebble.Lock, exists bool) (db *pebble.DB, err error) {
	defer func() { // Pebble panics on some kinds of damage.
		if r := recover(); r != nil {
			err = asError(r)
		}
	}()
	return pebble.Open(cfg.FS.PathJoin(cfg.Dir, dbDir), options(cfg, d, c, lock, exists))
}

// asError returns what Pebble panicked with.
func asError(r any) error {
	if err, ok := r.(error); ok {
		return err
	}
	return fmt.Errorf("pebble: %v", r)
}

// options are Pebble's. All that would use the wall clock, start a ticker or depend on chance is
// off.
func options(cfg Config, d *disk, c *compactions, lock *pebble.Lock, exists bool) *pebble.Options {
	opts := &pebble.Options{
		FS:                          d,
		Lock:                        lock,
		Merger:                      commitsMerger,
		Logger:                      logger{d},
		ReadOnly:                    d.readOnly,
		ErrorIfExists:               !exists,
		ErrorIfNotExists:            exists,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		CacheSize:                   cfg.CacheBytes,
		MemTableSize:                uint64(cfg.MemTableBytes), //nolint:gosec // Not negative.
		MemTableStopWritesThreshold: maxMemTables,
		L0StopWritesThreshold:       maxLevel0Tables,
		MaxOpenFiles:                maxOpenTables,
		MaxManifestFileSize:         maxManifestBytes,
		DisableTableStats:           cfg.NoTableStats,
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) {
				if !isStarved(err) { // Pebble does that work again, and opening files has waited.
					d.fail(fmt.Errorf("background work: %w", err))
				}
			},
			WriteStallBegin: func(pebble.WriteStallBeginInfo) { d.stalls.Add(1) },
			DataCorruption:  func(info pebble.DataCorruptionInfo) { d.fail(damaged(info.Path, info.Details)) },
		},
	}
	opts.Experimental.CompactionScheduler = c
	opts.Experimental.ReadSamplingMultiplier = -1 // No compactions because of reads.
	opts.Experimental.FileCacheShards = 1
	return opts
}

// logger takes the one thing that Pebble says by logging: that it cannot go on. Pebble expects
// Fatalf to end the process; on a dead disk it can go on all the same, until it is closed.
type logger struct{ disk *disk }

func (logger) Infof(string, ...any)                {}
func (logger) Errorf(string, ...any)               {}
func (l logger) Fatalf(format string, args ...any) { l.disk.fail(fmt.Errorf(format, args...)) }

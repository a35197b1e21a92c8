package pebblestore

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/store"
)

const (
	// RelaxedInterval bounds how long a commit that is lazy, or to a store of store.Relaxed, is in
	// memory only.
	RelaxedInterval = 200 * time.Millisecond
	// DefaultReserveBytes is the free space below which Room says that the store is full. What is
	// left serves the commits of work that was accepted already, and compaction, which frees what
	// was deleted.
	DefaultReserveBytes = 64 << 20
	// DefaultMemTableBytes is the size of a table of recent records in memory. As soon as one is
	// full, it is written to disk in the background.
	DefaultMemTableBytes = 16 << 20
	// DefaultCacheBytes is how much of the stored records is kept in memory for reading. It is
	// small: a controller reads a record about once, soon after it wrote it.
	DefaultCacheBytes = 8 << 20

	// firstLogBytes is how much Config.LogBytes lets the first log have: less than the first table, for
	// which Pebble has 256 KiB.
	firstLogBytes = 192 << 10
	// logOverhead is what a record takes at most in a table of recent records beside its key and
	// value.
	logOverhead = 256
	// maxMemTables bounds the tables of recent records; commits wait when the disk falls behind by
	// so many.
	maxMemTables = 3
	// maxLevel0Tables is where commits would wait for compaction. It is out of reach on a disk that
	// keeps up at all.
	maxLevel0Tables = 1000
	// maxOpenTables bounds the file descriptors used for tables.
	maxOpenTables = 500
	// maxManifestBytes bounds the log of tables; past it a new one begins.
	maxManifestBytes = 8 << 20
	// MaxBatchBytes bounds the keys and values of one batch.
	MaxBatchBytes = 1 << 30
	// sealInterval bounds how far the copy on disk of the number in SYNCED is behind while commits
	// come in.
	sealInterval = time.Second
	// minFlushPause and maxFlushPause bound how often it is looked whether a commit under way made
	// another sync needless.
	minFlushPause = time.Millisecond
	maxFlushPause = 128 * time.Millisecond
	// spaceInterval is how often a write that found the disk full is tried again.
	spaceInterval = 500 * time.Millisecond
	// maxOpenTries bounds how often a file that could not be opened for want of descriptors is
	// tried again before who reads is told.
	maxOpenTries = 4
	// roomInterval is how old the answer of Room may be.
	roomInterval = 250 * time.Millisecond
)

// Config is what a store needs. The zero value of each field but Dir is its default.
type Config struct {
	// Dir is the data directory. It is created if it is missing or empty.
	Dir string
	// FS holds Dir. Default: the disk.
	FS vfs.FS
	// ReadOnly opens an existing directory without writing to it. Commit returns an error. A
	// directory that lost acknowledged commits opens all the same; see Store.Damage.
	ReadOnly bool
	// Durability is store.Sync, the default, or store.Relaxed: commits are on disk within
	// RelaxedInterval and by Close, and a crash takes at most those of the last RelaxedInterval,
	// the latest ones, each as a whole.
	Durability store.Durability
	// ReserveBytes is the free space below which Room says that the store is full; negative: there
	// is none. Default: DefaultReserveBytes.
	ReserveBytes int64
	// MemTableBytes is the size of a table of recent records, of which there are up to three.
	// Default: DefaultMemTableBytes.
	MemTableBytes int64
	// LogBytes, if not 0, is how much is written to one log at most, and must be less than
	// MemTableBytes. Without it a log ends when a table of recent records is full, which depends on
	// chance: how such a table is built does. A simulation sets it, so that the sync of a log that ends
	// comes at the same commit each time. Tables have 256 KiB at first, and then each has twice as much as
	// the one before, and so have logs, from firstLogBytes on. Each record counts logOverhead bytes extra.
	LogBytes int64
	// NoTableStats has compactions chosen without statistics of what tables hold. A simulation sets
	// it: the goroutine that collects them waits for a lock that is held while the database is
	// opened, however slow the disk is, so that virtual time could not go on.
	NoTableStats bool
	// CacheBytes is how much of the stored records is kept in memory. Default: DefaultCacheBytes.
	CacheBytes int64
	// Registerer takes the store's metrics, whose names begin with fray_store_, until Close.
	// Default: there are none.
	Registerer prometheus.Registerer
	// Logger is told when the disk is full, has room again or failed. Default: nobody is.
	Logger *slog.Logger
}

// Validate returns what is wrong with c, all of it.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("pebblestore: Dir is required"))
	}
	for _, n := range []struct {
		name  string
		value int64
	}{{"MemTableBytes", c.MemTableBytes}, {"LogBytes", c.LogBytes}, {"CacheBytes", c.CacheBytes}} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("pebblestore: %s is %d, and must not be negative", n.name, n.value))
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	c.FS = cmp.Or(c.FS, vfs.Default)
	if c.Durability == store.None {
		c.Durability = store.Sync
	}
	c.ReserveBytes = cmp.Or(c.ReserveBytes, DefaultReserveBytes)
	c.MemTableBytes = cmp.Or(c.MemTableBytes, DefaultMemTableBytes)
	c.CacheBytes = cmp.Or(c.CacheBytes, DefaultCacheBytes)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	return c
}

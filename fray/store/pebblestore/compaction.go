package pebblestore

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactions decides when Pebble compacts, as many at once as Pebble allows itself, but none
// before begin: what opens a database may fail yet, and then has changed no table. And none on a dead
// disk: Pebble does one that has failed again, at once and for ever.
type compactions struct {
	pebble.CompactionScheduler

	isDead func() bool

	mu    sync.Mutex
	begun bool
	owed  bool // one was asked for before
}

func newCompactions(d *disk) *compactions {
	return &compactions{CompactionScheduler: pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest(), isDead: d.isDead}
}

// Register implements pebble.CompactionScheduler.
func (c *compactions) Register(goroutines int, db pebble.DBForCompaction) {
	c.CompactionScheduler.Register(goroutines, waiting{db, c})
}

// waiting is a database whose compactions wait for permission.
type waiting struct {
	pebble.DBForCompaction

	c *compactions
}

// GetWaitingCompaction implements pebble.DBForCompaction.
func (w waiting) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	if w.c.isDead() {
		return false, pebble.WaitingCompaction{}
	}
	return w.DBForCompaction.GetWaitingCompaction()
}

// TrySchedule implements pebble.CompactionScheduler.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	c.mu.Lock()
	begun := c.begun
	c.owed = c.owed || !begun
	c.mu.Unlock()
	if !begun || c.isDead() {
		return false, nil
	}
	return c.CompactionScheduler.TrySchedule()
}

// begin permits compactions, and has those begin that were refused.
func (c *compactions) begin() {
	c.mu.Lock()
	c.begun = true
	owed := c.owed
	c.mu.Unlock()
	if !owed {
		return
	}
	if ok, permission := c.CompactionScheduler.TrySchedule(); ok {
		permission.Done() // It is handed to who waits.
	}
}

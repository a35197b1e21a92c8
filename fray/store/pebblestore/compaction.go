package pebblestore

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// compactions decides when Pebble compacts, as many at once as Pebble allows itself, but none
// before begin: what opens a database may fail yet, and then has changed no table.
type compactions struct {
	pebble.CompactionScheduler

	mu    sync.Mutex
	begun bool
	owed  bool // one was asked for before
}

func newCompactions() *compactions {
	return &compactions{CompactionScheduler: pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()}
}

// TrySchedule implements pebble.CompactionScheduler.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	c.mu.Lock()
	begun := c.begun
	c.owed = c.owed || !begun
	c.mu.Unlock()
	if !begun {
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

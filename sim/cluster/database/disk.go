package database

import (
	"maps"
	"math/rand/v2"
	"sync"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
)

// Disk is what the database has written. It outlives the host's incarnations, and has what the
// standby has, too.
type Disk struct {
	mu   sync.Mutex
	kept state    // what is durable
	air  []change // what was written since, oldest first
	// Whose it is: each primary has a number. Those of others change nothing any longer.
	primary int
}

// state is a seat and records.
type state struct {
	seat    lead.Seat
	records map[store.Key][]byte
}

// change is the seat as it is after one, and what it did to records.
type change struct {
	seat lead.Seat
	ops  []store.Op
}

// NewDisk returns that of a new database, whose first epoch comes after the given one.
func NewDisk(epoch uint64) *Disk {
	return &Disk{kept: state{lead.Seat{Epoch: epoch, Vacant: true}, map[store.Key][]byte{}}}
}

// apply makes a change.
func (s *state) apply(c *change) {
	s.seat = c.seat
	for _, op := range c.ops {
		if op.Delete {
			delete(s.records, op.Key)
		} else {
			s.records[op.Key] = op.Value
		}
	}
}

// write notes a change of a primary that is not durable yet, and says whether the disk is its own.
func (d *Disk) write(primary int, c *change) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.primary != primary {
		return false
	}
	d.air = append(d.air, *c)
	return true
}

// sync makes all that a primary has written durable, and says whether it has.
func (d *Disk) sync(primary int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.primary != primary {
		return false
	}
	d.keep(len(d.air))
	return true
}

// keep makes the first n of what is in the air durable, and forgets the rest.
func (d *Disk) keep(n int) {
	for i := range d.air[:n] {
		d.kept.apply(&d.air[i])
	}
	d.air = nil
}

// open has the next primary take the disk, and returns its number and what it finds.
func (d *Disk) open() (primary int, found state) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keep(len(d.air))
	d.primary++
	return d.primary, state{d.kept.seat, maps.Clone(d.kept.records)}
}

// lose leaves of what is in the air the beginning, if that.
func (d *Disk) lose(random *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keep(random.IntN(len(d.air) + 1))
	d.primary++
}

// AfterCrash implements sim.Crasher. A process that died leaves what it had written, and a power
// loss some of it.
func (d *Disk) AfterCrash(powerLoss bool, random *rand.Rand) any {
	if powerLoss {
		d.lose(random)
		return d
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.air); n > 0 {
		d.keep(n - random.IntN(2)) // Whether the last had been written.
	}
	d.primary++
	return d
}

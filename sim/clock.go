package sim

import (
	"fmt"
	"sync"
	"time"
)

const (
	// maxAsked is how often a host may ask its monotonic clock at one instant; a goroutine that
	// asks more often spins.
	maxAsked = 1_000_000
	// Those who waited for a clock that stood still go on one after the other, in the order in
	// which they asked: the first after thawFirst, each further one thawNext later. Sums of other
	// short times do not meet these.
	thawFirst = 411 * time.Nanosecond
	thawNext  = 1037 * time.Nanosecond
)

// hostClock is the two clocks of a host. They are those of the machine: a crash of the software
// does not touch them.
type hostClock struct {
	mu sync.Mutex
	// What the wall clock was set by.
	set time.Duration
	// How long the monotonic clock has stood still, and since when it does; 0: it runs.
	slept, asleep time.Duration
	// Not nil: the host is paused, and who asks waits until it is closed.
	thaw    chan struct{}
	waiting int
	// How often the clock was asked at an instant.
	instant time.Duration
	asked   int
}

// Now returns the time of day by the host's wall clock: virtual time, and all that StepClock has
// set it by.
func (h *Host) Now() time.Time {
	c := &h.inc.node.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.set)
}

// Monotonic returns the time since the simulation began by the host's monotonic clock, which does
// not run while the host is suspended. A goroutine that asks while the host is paused or suspended
// stands still until it is resumed, as all would that have a processor; so it must hold no lock
// then. Software that asks for ever at one instant spins, which ends the run with ErrSpins.
func (h *Host) Monotonic() time.Duration {
	s, c := h.inc.node.sim, &h.inc.node.clock
	c.mu.Lock()
	now := s.Elapsed()
	if c.instant != now {
		c.instant, c.asked = now, 0
	}
	c.asked++
	spins := c.asked > maxAsked
	thaw, place := c.thaw, c.waiting
	if thaw != nil {
		c.waiting++
	}
	c.mu.Unlock()
	if spins {
		s.spins.CompareAndSwap(nil, h.inc.node)
		<-h.inc.ctx.Done()
		return h.inc.node.clock.read(s)
	}
	if thaw != nil {
		select {
		case <-thaw:
			time.Sleep(thawFirst + time.Duration(place)*thawNext)
		case <-h.inc.ctx.Done(): // It is dead, or about to end.
		}
	}
	return c.read(s)
}

func (c *hostClock) read(s *Sim) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asleep != 0 {
		return c.asleep - c.slept
	}
	return s.Elapsed() - c.slept
}

// freeze has who asks wait; with sleeping, the monotonic clock stands still.
func (c *hostClock) freeze(now time.Duration, sleeping bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.thaw == nil {
		c.thaw, c.waiting = make(chan struct{}), 0
	}
	if sleeping && c.asleep == 0 {
		c.asleep = max(now, 1)
	}
}

func (c *hostClock) melt(now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asleep != 0 {
		c.slept += now - c.asleep
		c.asleep = 0
	}
	if c.thaw != nil {
		close(c.thaw)
		c.thaw = nil
	}
}

// StepClock sets a host's wall clock by so much, ahead or back. Its monotonic clock does not
// notice.
func (s *Sim) StepClock(host string, by time.Duration) {
	s.control("step clock")
	c := &s.mustNode(host).clock
	c.mu.Lock()
	c.set += by
	c.mu.Unlock()
	s.emit(&Event{Kind: EventClock, From: host, Code: by.String()})
}

// Suspend is Pause of a machine that sleeps: its monotonic clock stands still, too, and its wall
// clock goes on. Resume undoes it.
func (s *Sim) Suspend(host string) {
	s.control("suspend")
	s.freeze(s.mustNode(host), true)
}

func (s *Sim) freeze(n *node, sleeping bool) {
	n.paused = true
	n.clock.freeze(s.Elapsed(), sleeping)
	kind := EventPause
	if sleeping {
		kind = EventSuspend
	}
	s.note(kind, n.name, "")
}

// errSpins is the failure of the host that spins, if there is one.
func (s *Sim) errSpins() error {
	if n := s.spins.Load(); n != nil {
		return fmt.Errorf("%w: %s has asked its clock more than %d times at %v", ErrSpins, n.name, maxAsked, s.Elapsed())
	}
	return nil
}

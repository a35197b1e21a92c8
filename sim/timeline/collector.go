package timeline

import (
	"sync"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

// A Collector keeps what a page shows of one run. Its methods are safe for concurrent use.
type Collector struct {
	scenario *scenario.Scenario

	mu       sync.Mutex
	messages messages
	attempts attempts
	faults   faultLog
	states   states
	// When everything was put right, and when the work was over and the closing audit began; below
	// 0: not yet.
	healed, judged time.Duration
}

// New returns a collector for one run of s.
func New(s *scenario.Scenario) *Collector {
	return &Collector{
		scenario: s, messages: newMessages(), attempts: newAttempts(), faults: newFaultLog(s), states: newStates(),
		healed: -1, judged: -1,
	}
}

// Listen has the run with these options tell the collector what happens, besides whom it tells
// already, and its result of tasks that failed.
func (c *Collector) Listen(o *virtual.Options) {
	o.OnEvent = both(o.OnEvent, c.event)
	o.OnFault = both(o.OnFault, c.onset)
	o.Observe = both(o.Observe, c.observe)
	o.Failed = true
}

// both returns a function that calls first, which may be nil, and second.
func both[T any](first, second func(T)) func(T) {
	if first == nil {
		return second
	}
	return func(v T) {
		first(v)
		second(v)
	}
}

// event takes in what happens in the simulation.
func (c *Collector) event(e sim.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Kind {
	case sim.EventSend:
		c.messages.sent(&e)
	case sim.EventDeliver:
		c.messages.arrived(&e, fateDelivered)
	case sim.EventDrop:
		c.messages.arrived(&e, e.Code)
	case sim.EventFault:
		if f := c.faults.fire(&e); f != nil && f.loses() {
			c.messages.lost(&e, f.index)
		}
	case sim.EventStop:
		if c.judged < 0 {
			c.judged = e.Time
		}
	default:
		c.states.take(&e)
	}
}

// onset takes in that a fault begins.
func (c *Collector) onset(o engine.Onset) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.begin(o)
}

// observe takes in what clients and workers see.
func (c *Collector) observe(event any) {
	if other, ok := event.(*engine.Event); ok && other.Kind == engine.EventHeal {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.healed = other.At
		return
	}
	e, ok := event.(*check.Event)
	if !ok {
		return // Of a subject that is no cluster.
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Kind == check.Heal {
		c.healed = e.At
		return
	}
	if task := c.attempts.take(e); task != "" {
		c.messages.mention(e, task)
	}
}

package sim

import (
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/sim/order"
)

// A Sim is a network of hosts in virtual time. It belongs to the goroutine that made it, inside a
// testing/synctest bubble: that goroutine steps, and calls the verbs between steps. See [Host.Do]
// for software that wants to call them.
type Sim struct {
	cfg    Config
	start  time.Time
	trace  tracer
	labels context.Context //nolint:containedctx // Only its pprof labels are used: those of idle goroutines.

	nodes []*node
	links map[uint64]*link
	flows map[flowKey]*flow

	// Only the stepping goroutine uses these.
	queue    queue
	seq      uint64
	calls    uint64
	lastAt   int64 // arrival of the message that was released last
	activity int64 // when something was last sent, released or at an end
	clients  int   // software of clients that has not ended
	failures []error
	stats    Stats
	ordered  order.Stats // when it began
	timer    *time.Timer // has fired; nil: none has
	woken    bool        // something was released outside of a step: there may be more to wait for
	// What lets software go on, once all that was parked with it is taken in. Done at once, it
	// would have software run while the state of the others' messages is read.
	later  []func()
	marks  []uint64 // of all incarnations, see adopted
	closed bool
	// Whose goroutines run no more.
	stopped map[incarnationKey]bool
	leaks   []Leak

	injector atomic.Pointer[faults.Injector]
	keepers  []*socket    // that keep messages, since when
	keeping  atomic.Int32 // how many
	dateline atomic.Pointer[dateline]

	// Software is at work, or may be: verbs are not to be called.
	released atomic.Bool
	spins    atomic.Pointer[node] // the first host that does
	wake     chan struct{}

	mu      sync.Mutex
	byName  map[string]*node
	aliases map[string]*alias
	inbox   []*packet
	spare   []*packet
	asleep  bool
	idle    []*runner
}

// Stats counts what has happened in a run.
type Stats struct {
	Steps     int `json:"steps"`     // messages released
	Calls     int `json:"calls"`     // requests sent
	Delivered int `json:"delivered"` // messages that arrived
	Dropped   int `json:"dropped"`   // messages that did not
	Duplicate int `json:"duplicate"` // copies of requests
	// Connections that hosts wanted to make.
	Connections int `json:"connections,omitzero"`
	// Order is what goroutines did, where they follow the seed too, see package order. It counts those
	// of all simulations of the process that ran meanwhile.
	Order order.Stats `json:"order,omitzero"`
}

// runs numbers the simulations of a process, to tell their goroutines apart.
var runs atomic.Uint64

// New returns a simulation without hosts. It must be called in a testing/synctest bubble, by the
// goroutine that will step, and closed with Close. It panics if the configuration is not valid, and
// outside of a bubble.
func New(cfg Config) *Sim {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	if cfg.Unmodified && !order.Followed() {
		panic("sim: Config.Unmodified wants goroutines that follow the seed: run the test with fray-sim test")
	}
	mustBubble()
	s := &Sim{
		cfg: cfg.withDefaults(), start: time.Now(), trace: tracer{hash: chance.HashBasis},
		links: make(map[uint64]*link), flows: make(map[flowKey]*flow), byName: make(map[string]*node), aliases: make(map[string]*alias), stopped: make(map[incarnationKey]bool),
		wake: make(chan struct{}, 1),
	}
	s.labels = pprof.WithLabels(context.Background(), pprof.Labels(
		labelRun, strconv.FormatUint(runs.Add(1), 10), labelSeed, strconv.FormatUint(cfg.Seed, 10)))
	if cfg.Name != "" {
		labelTracebacks()
		s.labels = pprof.WithLabels(s.labels, pprof.Labels(labelTest, cfg.Name))
	}
	cfg.Watchdog.begin()
	// Where goroutines follow a seed, it is that of the run.
	order.Begin(cfg.Seed)
	s.ordered = order.Count()
	return s
}

// mustBubble panics outside of a bubble, and waits for nothing within one: only the root's goroutine
// is running as yet.
func mustBubble() {
	defer func() {
		if v := recover(); v != nil {
			panic("sim: New is called outside of a testing/synctest bubble, where time is real: call it in synctest.Test, or use sim.Test, which has a bubble of its own, or a bubble of package sim/bubble outside of tests")
		}
	}()
	synctest.Wait()
}

// Seed returns the seed of the run.
func (s *Sim) Seed() uint64 { return s.cfg.Seed }

// Elapsed returns how much virtual time has passed since New.
func (s *Sim) Elapsed() time.Duration { return time.Since(s.start) }

// Stats returns what has happened so far.
func (s *Sim) Stats() Stats {
	stats := s.stats
	stats.Order = order.Count().Since(s.ordered)
	return stats
}

// InFlight returns how many messages are under way, those that Hold and Pause keep left out.
func (s *Sim) InFlight() int { return len(s.queue) }

// now is Elapsed in the unit of arrivals.
func (s *Sim) now() int64 { return int64(time.Since(s.start)) }

// At has f called by the goroutine that steps once that much virtual time has passed since the
// start, between two messages. f may call the verbs.
func (s *Sim) At(elapsed time.Duration, f func()) {
	s.control("schedule")
	s.seq++
	s.queue.push(&packet{kind: kindTimer, fn: f, at: max(int64(elapsed), s.now()), seq: s.seq})
}

// After is At, counted from now.
func (s *Sim) After(d time.Duration, f func()) { s.At(s.Elapsed()+d, f) }

// control panics when a verb is called while software is at work: what it did would depend on how
// goroutines are scheduled.
func (s *Sim) control(verb string) {
	if s.closed {
		panic("sim: " + verb + ": the simulation is closed")
	}
	if s.released.Load() {
		panic("sim: " + verb + ": called by software while the simulation steps; use Host.Do")
	}
}

// park takes in a packet from software.
func (s *Sim) park(p *packet) {
	s.mu.Lock()
	s.inbox = append(s.inbox, p)
	wake := s.asleep
	s.asleep = false
	s.mu.Unlock()
	if wake {
		s.wake <- struct{}{} // Has room for the one token per sleep.
	}
}

// Close ends the run: it stops all hosts at once, waits until their goroutines have ended, for
// Config.LeakGrace at most, and returns what was wrong with the run: its first failure, goroutines
// that go on (a *LeakError), an error of the trace's writer. The bubble cannot end while such
// goroutines are left. Calling it again does nothing.
func (s *Sim) Close() error {
	if s.closed {
		return nil
	}
	hash, count := s.trace.hash, s.trace.count
	s.settle()
	for _, n := range s.nodes {
		s.end(n, "closed", false)
	}
	s.settle()
	if i := s.injector.Load(); i != nil {
		i.Close()
	}
	s.awaitEnd()
	s.closed = true
	s.forgetMarks()
	s.mu.Lock()
	for _, r := range s.idle {
		close(r.calls)
	}
	s.idle = nil
	s.mu.Unlock()
	// How the end went is no part of what is compared.
	s.trace.hash, s.trace.count = hash, count
	var errs []error
	errs = append(errs, s.failures...)
	if len(s.leaks) > 0 {
		errs = append(errs, &LeakError{Leaks: s.leaks})
	}
	if s.trace.err != nil {
		errs = append(errs, fmt.Errorf("write trace: %w", s.trace.err))
	}
	return errors.Join(errs...)
}

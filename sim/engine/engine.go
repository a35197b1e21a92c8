package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/scenario"
)

// Options are what a run on any backend can be given besides its scenario and seed. The zero value
// is ready to use.
type Options struct {
	// OnFault is told of each fault that begins to act, on the goroutine that steps. Nil: nobody.
	OnFault func(Onset)
	// Observe is given each event of the system's history, which is of the subject's own type: of a
	// Fray cluster it is a *check.Event, of a Blank an *Event. Events of one instant may come in
	// another order when the run is repeated, and from several goroutines at once. Nil: nobody is.
	Observe func(event any)
	// History is given the same events as any system has them, each right after Observe. Nil:
	// nobody is.
	History func(event Event)
	// Failed has results tell of tasks that failed also if the run passed.
	Failed bool
	// MaxTime is how much time the run may take, if that is less than the scenario's
	// maxVirtualTime. 0: as the scenario says.
	MaxTime time.Duration
}

// Bounds of the end of a run, in its time.
const (
	// MaxAudit is how long a system may ask at the end how things stand.
	MaxAudit    = 2 * time.Minute
	maxShutdown = 5 * time.Minute
	// EndSlack is what the end of a run may take on top of its own time.
	EndSlack = 2 * (MaxAudit + maxShutdown)
)

// Jitter is what times are lengthened by at random, so that no two timers of a host end at the same
// instant.
const Jitter = 20 * time.Microsecond

// RunOn runs a scenario of a subject under one seed, on a backend that is named as the scenario's
// run.backends has it, and that the function opens. Its Close is called in the end; an error of it
// says that something outlived the run.
func RunOn(
	ctx context.Context, of *Subject, s *scenario.Scenario, seed uint64, options Options, name string, open func(*Run) (Backend, func() error, error),
) (*Result, error) {
	e, err := New(ctx, of, s, seed, options, name)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	backend, closeBackend, err := open(e)
	if err != nil {
		return nil, err
	}
	_ = e.Drive(backend)
	e.Closed(closeBackend())
	if ctx.Err() != nil {
		return nil, fmt.Errorf("run scenario: %w", context.Cause(ctx))
	}
	result := e.Judge(nil)
	result.Backend = name
	result.Wall = time.Since(began)
	return result, nil
}

// A Run is one run of a scenario. A backend's package makes it with New, gives its hosts what
// System has, tells it what happens, drives it, and asks for the result. All but Over, Ended and
// Elapsed are for one goroutine.
type Run struct {
	*scenario.Scenario

	ctx     context.Context //nolint:containedctx // It is only asked whether it is done: its channels are of another bubble.
	seed    uint64
	options Options
	hosts   []scenario.Host

	backend  Backend
	injector Injector
	system   System
	common   scenario.Common
	changes  uint64 // of common
	worked   atomic.Uint64
	clients  uint64

	// For the goroutine that steps.
	strikes []*strike
	targets map[string]*rand.Rand
	chosen  map[string][]string
	turns   map[string]int    // whose turn is next, by target
	leaving map[string]*leave // by host
	drained map[string]*leave // those of drains, whether they are over or not
	// How long supervised hosts are down, by host.
	supervised map[string]time.Duration
	status     []faults.RuleStatus
	healed     bool
	over       bool // nothing is to start again
	ended      bool // nothing counts any longer
	conditions

	// What came of it.
	runErr, closeErr error
	flaws            []flaw
	hash             uint64
	stats            sim.Stats
	elapsed          time.Duration
	own              any // facts of the subject
}

// A flaw is something wrong that the system found and no claim covers.
type flaw struct{ verdict, broken, text string }

// New returns a run of a scenario of a subject, which was read by Parse, under one seed, on the
// backend of that name. It ends early when ctx does.
func New(ctx context.Context, of *Subject, s *scenario.Scenario, seed uint64, options Options, backend string) (*Run, error) {
	switch {
	case !s.Parsed():
		return nil, errors.New("run scenario: it was not read by Parse")
	case s.About() != of.Format:
		return nil, fmt.Errorf("run scenario: it is about the subject %s, and not about %s", s.About().Name, of.Format.Name)
	}
	if err := s.RunsOn(backend); err != nil {
		return nil, err
	}
	e := &Run{
		Scenario: s, ctx: ctx, seed: seed, options: options, hosts: s.Hosts(),
		targets: map[string]*rand.Rand{}, chosen: map[string][]string{}, turns: map[string]int{}, leaving: map[string]*leave{}, drained: map[string]*leave{}, supervised: map[string]time.Duration{},
		common: scenario.Common{Faults: map[string]int{}},
	}
	for i := range s.Faults {
		e.common.Faults[s.Faults[i].ID] = 0
	}
	e.clients = uint64(len(s.HostsOf(scenario.RoleClient)))
	var err error
	if e.conditions, err = newConditions(of.Format, &s.Expect); err != nil {
		return nil, err
	}
	if e.system, err = of.Begin(e); err != nil {
		return nil, err
	}
	return e, nil
}

// Seed is the run's.
func (e *Run) Seed() uint64 { return e.seed }

// System is what the subject has for the run.
func (e *Run) System() System { return e.system }

// Backend is where the run takes place; nil: it does not yet.
func (e *Run) Backend() Backend { return e.backend }

// Elapsed returns the time since the start, or 0 before it. It is safe for concurrent use.
func (e *Run) Elapsed() time.Duration {
	if e.backend == nil {
		return 0
	}
	return e.backend.Elapsed()
}

// Work returns what a client of the scenario does. Backends run it.
func (e *Run) Work(h scenario.Host) Work {
	work := e.system.Client(h)
	return func(ctx context.Context, m Machine) error {
		defer e.worked.Add(1)
		return work(ctx, m)
	}
}

// Worked says whether all clients of the scenario have ended.
func (e *Run) Worked() bool { return e.worked.Load() >= e.clients }

// Crashed tells the run that a host has crashed, as it was to.
func (e *Run) Crashed(host string) {
	l := e.leaving[host]
	if l != nil && l.telling {
		e.Left(host)
		return
	}
	if !e.over {
		e.common.Hosts.Crashed++
		e.changes++
		e.system.Crashed(host)
	}
	if l != nil {
		e.gone(host, l)
	}
}

// Paused tells the run that a host stands still.
func (e *Run) Paused(host string) {
	if e.over {
		return
	}
	e.common.Hosts.Paused++
	e.changes++
	e.system.Paused(host)
}

// Injected tells the run how often a rule of the injector acted since it was told last.
func (e *Run) Injected(rule string, times int) {
	if !e.over {
		e.acted(faultID(rule), times)
	}
}

func (e *Run) acted(fault string, times int) {
	e.common.Faults[fault] += times
	e.changes++
	e.system.Injected(fault, times)
}

// Flaw tells the run of something wrong that no claim covers: the verdict that it means, what is
// broken in a word, and how.
func (e *Run) Flaw(verdict, broken, text string) {
	e.flaws = append(e.flaws, flaw{verdict, broken, text})
}

// Observed tells of an event of the system's history.
func (e *Run) Observed(event any) {
	if e.options.Observe != nil {
		e.options.Observe(event)
	}
	if e.options.History != nil {
		e.options.History(e.system.Event(event))
	}
}

// Over says whether the run is past the point from which nothing starts again and no fault counts.
func (e *Run) Over() bool { return e.over }

// Ended says whether nothing counts any longer. What software says while its backend is closed is
// no part of the run.
func (e *Run) Ended() bool { return e.ended }

// Drive is the run, on the goroutine that steps. Its error is kept for the result.
func (e *Run) Drive(b Backend) error {
	e.backend = b
	e.runErr = e.perform()
	return e.runErr
}

// Closed tells what came of closing the backend: an error says that something outlived the run.
func (e *Run) Closed(err error) { e.closeErr = err }

func (e *Run) perform() error {
	defer e.end()
	e.injector = e.backend.Injector()
	for _, t := range e.Targets {
		e.targets[t.Name] = e.backend.Rand("target/" + t.Name)
	}
	if err := e.arm(); err != nil {
		return err
	}
	if err := e.backend.Start(); err != nil {
		return err
	}
	if at := e.HealAt(); at > 0 {
		e.backend.At(at, e.heal)
	} else {
		e.heal()
	}
	if err := e.backend.RunUntil(e.done); err != nil {
		return err
	}
	e.over = true
	e.status = append(e.status, e.injector.Status().Rules...)
	if e.stopped() {
		return nil // It is broken already, or nobody waits for it.
	}
	e.injector.Clear()
	e.backend.RepairAll()
	if err := e.awaitLeaving(); err != nil {
		return err
	}
	return e.system.Finish()
}

// end closes the books.
func (e *Run) end() {
	e.over = true
	e.elapsed = e.backend.Elapsed()
	e.hash, e.stats = e.backend.Hash(), e.backend.Stats()
	e.system.End()
	e.ended = true
	e.own = e.system.Facts(e.elapsed)
	e.common.Times.Now = e.elapsed
}

// done takes a look between two events, and says whether the run is over.
func (e *Run) done() bool {
	e.awaitEvents()
	return e.ctx.Err() != nil || len(e.broken()) > 0 || e.judgeConditions()
}

// stopped says whether the run is over before its end.
func (e *Run) stopped() bool {
	return e.ctx.Err() != nil || len(e.broken()) > 0 || e.late != nil || e.unfinished
}

// Stop asks hosts to end, as an operator would, and waits for that.
func (e *Run) Stop(hosts []scenario.Host) error {
	until := maxShutdown
	if e.options.MaxTime > 0 {
		until = min(until, e.options.MaxTime)
	}
	until += e.backend.Elapsed()
	for _, h := range hosts {
		if e.backend.Running(h.Name) {
			e.backend.Stop(h.Name)
		}
	}
	runs := func(h scenario.Host) bool { return e.backend.Running(h.Name) }
	return e.backend.RunUntil(func() bool {
		return e.backend.Elapsed() >= until || !slices.ContainsFunc(hosts, runs)
	})
}

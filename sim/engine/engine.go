package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/scenario"
)

// Options are what a run on any backend can be given besides its scenario and seed. The zero value
// is ready to use.
type Options struct {
	// OnFault is told of each fault that begins to act, on the goroutine that steps. Nil: nobody.
	OnFault func(Onset)
	// Observe is given each event of the history under the conditions of [check.HistoryConfig].
	// Events of one instant may come in another order when the run is repeated. Nil: nobody is.
	Observe func(*check.Event)
	// Oracles look at every event after those of package check.
	Oracles []check.Oracle
	// MaxTime is how much time the run may take, if that is less than the scenario's
	// maxVirtualTime. 0: as the scenario says.
	MaxTime time.Duration
}

// Bounds of the end of a run, in its time.
const (
	maxAudit    = 2 * time.Minute
	maxShutdown = 5 * time.Minute
	// endSlack is what the end of a run may take on top of its own time.
	EndSlack = 2 * (maxAudit + maxShutdown)
)

// auditHost is the host that asks at the end how things stand.
const auditHost = "auditor"

// RunOn runs a scenario that [Parse] returned, under one seed, on a backend that is named as the
// scenario's run.backends has it, and that the function opens. Its Close is called in the end; an
// error of it says that something outlived the run.
func RunOn(
	ctx context.Context, s *scenario.Scenario, seed uint64, options Options, name string, open func(*Play) (Backend, func() error, error),
) (*Result, error) {
	e, err := New(ctx, s, seed, options, name)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	backend, closeBackend, err := open(e.Play())
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

// A Run is one run of a scenario. A backend's package makes it with New, gives what Play returns to
// what it runs, drives it, and asks for the result. All but Over and Ended are for one goroutine.
type Run struct {
	*scenario.Scenario

	ctx     context.Context //nolint:containedctx // It is only asked whether it is done: its channels are of another bubble.
	seed    uint64
	options Options
	hosts   []scenario.Host

	backend  Backend
	injector Injector
	history  *check.History
	oracles  *check.Oracles
	tally    *tally

	// For the goroutine that steps.
	strikes []*strike
	targets map[string]*rand.Rand
	chosen  map[string][]string
	status  []faults.RuleStatus
	healed  bool
	over    bool // nothing is to start again
	ended   bool // nothing counts any longer; set while the history stands still
	conditions

	backups []*backup
	readers int

	// What came of it.
	runErr, closeErr, auditErr, backupErr error
	hash                                  uint64
	stats                                 sim.Stats
	elapsed                               time.Duration
	facts                                 scenario.Facts
	last                                  []check.Event
}

// New returns a run of a scenario that [scenario.Parse] returned, under one seed, on the backend of
// that name. It ends early when ctx does.
func New(ctx context.Context, s *scenario.Scenario, seed uint64, options Options, backend string) (*Run, error) {
	if !s.Parsed() {
		return nil, errors.New("run scenario: it was not read by Parse")
	}
	if err := s.RunsOn(backend); err != nil {
		return nil, err
	}
	e := &Run{
		Scenario: s, ctx: ctx, seed: seed, options: options, hosts: s.Hosts(),
		targets: map[string]*rand.Rand{}, chosen: map[string][]string{},
	}
	var err error
	if e.conditions, err = newConditions(&s.Expect); err != nil {
		return nil, err
	}
	e.tally = newTally(s, func() time.Duration { return e.backend.Elapsed() })
	e.oracles = check.New(e.promises())
	return e, nil
}

// promises returns what the oracles hold the system to in this scenario.
func (e *Run) promises() check.Config {
	c := check.Config{
		AllowLossAfterRestart: e.Topology.Controller.Store == scenario.StoreMemory || e.LosesDisk(),
		Retention:             time.Duration(e.Topology.Controller.Retention),
		WatchGrace:            2 * time.Duration(e.Topology.Controller.WatchGrace), // After a stall there are two.
		ForgetsEarly:          e.forgetsEarly(),
		FairnessBound:         e.Expect.Always.Fairness,
		Extra:                 e.options.Oracles,
	}
	for _, v := range e.eventually {
		c.LivenessBound = max(c.LivenessBound, v.within)
	}
	for i := range e.Faults {
		c.Redelivery = c.Redelivery || e.Faults[i].Action.Duplicate != nil
	}
	for i := range e.Workload.Mix {
		if k := &e.Workload.Mix[i]; k.Children > 0 {
			c.Lending = append(c.Lending, k.Name)
		}
	}
	return c
}

// forgetsEarly says whether the bounds on ended tasks are there to be reached.
func (e *Run) forgetsEarly() bool {
	usual, c := scenario.Default[scenario.Controller](), &e.Topology.Controller
	return c.MaxRetainedTasks < usual.MaxRetainedTasks || c.MaxRetainedBytes < usual.MaxRetainedBytes
}

// Play begins the history, and returns what a backend is told of the run.
func (e *Run) Play() *Play {
	clock := func() time.Duration { return e.backend.Elapsed() }
	e.history = check.NewHistory(check.HistoryConfig{Clock: clock, Observe: func(event *check.Event) {
		if !e.ended {
			e.oracles.Observe(event)
			e.tally.observe(event)
			if e.options.Observe != nil {
				e.options.Observe(event)
			}
		}
	}})
	unlessOver := func(f func(host string)) func(string) {
		return func(host string) {
			if !e.over {
				f(host)
			}
		}
	}
	return &Play{
		Scenario: e.Scenario, Seed: e.seed, History: e.history, Client: e.client,
		Crashed: unlessOver(func(host string) { e.tally.struck(host, true) }),
		Paused:  unlessOver(func(host string) { e.tally.struck(host, false) }),
		Poisoned: unlessOver(func(host string) {
			e.backend.Crash(host, scenario.DiskKept)
			e.startAgain(host, scenario.PoisonDown)
		}),
		Happened: e.tally.happen,
		Injected: func(rule string, times int) {
			if !e.over {
				e.tally.change(func(f *scenario.Facts) { f.Faults[faultID(rule)] += times })
			}
		},
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
	return e.finish()
}

// end closes the books.
func (e *Run) end() {
	e.over = true
	e.elapsed = e.backend.Elapsed()
	e.hash, e.stats = e.backend.Hash(), e.backend.Stats()
	e.history.Add(e.tally.toldValues()...)
	e.history.Still(func() { e.ended = true })
	e.last = e.history.Last(maxLast)
	e.facts = e.tally.final(e.elapsed)
}

// done takes a look between two events, and says whether the run is over.
func (e *Run) done() bool {
	e.awaitEvents()
	return e.ctx.Err() != nil || len(e.broken()) > 0 || e.judgeConditions()
}

// stopped says whether the run is over before its end.
func (e *Run) stopped() bool {
	return e.ctx.Err() != nil || len(e.broken()) > 0 || e.late != nil
}

// finish stops clients and workers, asks how things stand, and stops the controller.
func (e *Run) finish() error {
	e.injector.Clear()
	e.backend.RepairAll()
	if !e.backend.Running(scenario.ControllerHost) {
		e.backend.Bounce(scenario.ControllerHost)
	}
	// Workers deliver their last reports, which metrics count too.
	if err := e.stop(e.hosts[1:]); err != nil {
		return err
	}
	e.history.Quiesce()
	if err := e.audit(); err != nil {
		return err
	}
	scraped := map[string]float64{}
	if err := e.backend.Scrape(scraped); err != nil {
		return err
	}
	e.oracles.Metrics(scraped)
	if err := e.stop(e.hosts[:1]); err != nil {
		return err
	}
	e.backupErr = e.checkBackups()
	return nil
}

func (e *Run) audit() error {
	var unsettled []string
	e.history.Still(func() { unsettled = e.oracles.Unsettled() })
	over := false
	e.backend.Client(auditHost, func(ctx context.Context, m Machine) error {
		defer m.Do(func() { over = true })
		ctx, cancel := context.WithTimeout(ctx, maxAudit)
		defer cancel()
		client, err := fray.NewClient(ControllerURL, fray.WithHTTPClient(m.Client()), fray.WithRand(m.Rand("client")),
			fray.WithLogger(nil), fray.WithToken(""),
			fray.WithClientOptions(e.observed(m)))
		if err == nil {
			err = errors.Join(check.Audit(ctx, client, unsettled), client.Close())
		}
		e.auditErr = err
		return nil
	})
	err := e.backend.RunUntil(func() bool { return over })
	if e.auditErr != nil || err != nil {
		e.history.Still(e.oracles.Unaudited)
	}
	return err
}

// stop asks hosts to end, as an operator would, and waits for that.
func (e *Run) stop(hosts []scenario.Host) error {
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

package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/check"
)

// Options are what a run can be given besides its scenario and seed. The zero value is ready to use.
type Options struct {
	// Bubble makes the bubbles that runs live in. Nil: bubble.Run, which is not for tests; those give bubble.In(t).
	Bubble sim.Bubble
	// Trace is written each event of the simulation, as one line of JSON. Nil: nobody.
	Trace io.Writer
	// OnEvent is told of each event of the simulation until the run is over, on the goroutine that steps. Nil: nobody.
	OnEvent func(sim.Event)
	// OnFault is told of each fault that begins to act, on the goroutine that steps. Nil: nobody.
	OnFault func(Onset)
	// Observe is given each event of the history under the conditions of [check.HistoryConfig]. Events of one instant may come
	// in another order when the run is repeated. Nil: nobody is.
	Observe func(*check.Event)
	// Oracles look at every event after those of package check.
	Oracles []check.Oracle
	// Controller wraps what the controller serves, to plant a bug. Nil: nothing does.
	Controller func(http.Handler) http.Handler
}

// Bounds of the end of a run, in virtual time.
const (
	maxAudit    = 2 * time.Minute
	maxShutdown = 5 * time.Minute
	// endSlack is what the end of a run may take on top of its own time.
	endSlack = 2 * (maxAudit + maxShutdown)
)

// auditHost is the host that asks at the end how things stand.
const auditHost = "auditor"

// Run runs a scenario that [Parse] returned, under one seed, in virtual time. What goes wrong within the run is the result's
// verdict; an error says that there was no run, or that ctx ended it.
func Run(ctx context.Context, s *Scenario, seed uint64, options Options) (*Result, error) {
	e, err := newEngine(ctx, s, seed, options)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	err = e.options.Bubble(func() {
		e.sim = sim.New(e.config())
		if options.Trace != nil {
			e.sim.Trace(options.Trace)
		}
		e.runErr = e.drive()
		e.closeErr = e.sim.Close()
	})
	if ctx.Err() != nil {
		return nil, fmt.Errorf("run scenario: %w", context.Cause(ctx))
	}
	result := e.judge(err)
	result.Wall = time.Since(began)
	return result, nil
}

// Verify runs a scenario once for each number of processors, by default one and as many as there are, and compares the traces.
// It returns the result of the first run, whose verdict becomes nondeterminism if another differs from it. Only the first run is
// traced and told of to the functions of the options.
func Verify(ctx context.Context, s *Scenario, seed uint64, options Options, procs ...int) (*Result, error) {
	first, err := newEngine(ctx, s, seed, options)
	if err != nil {
		return nil, err
	}
	var current *engine
	config := first.config()
	config.OnEvent = func(event sim.Event) { current.onEvent(event) }
	began := time.Now()
	replay, err := sim.Verify(first.options.Bubble, config, func(s *sim.Sim) error {
		if current == nil {
			current = first
			if options.Trace != nil {
				s.Trace(options.Trace)
			}
		} else {
			again := options
			again.OnEvent, again.OnFault, again.Observe = nil, nil, nil
			other, err := newEngine(ctx, first.Scenario, seed, again)
			if err != nil {
				return err
			}
			current = other
		}
		e := current
		e.sim = s
		e.runErr = e.drive()
		return e.runErr
	}, procs...)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("verify scenario: %w", context.Cause(ctx))
	}
	var diverged *sim.DivergenceError
	var leak *sim.LeakError
	if errors.As(replay.Err, &leak) {
		first.closeErr = leak
	}
	if errors.As(err, &diverged) {
		err = nil
	}
	result := first.judge(err)
	if diverged != nil {
		result.Verdict, result.Broken, result.Text = VerdictNondeterminism, "determinism", diverged.Error()
	}
	result.Verified = true
	result.Wall = time.Since(began)
	return result, nil
}

// An engine is one run.
type engine struct {
	*Scenario

	ctx     context.Context //nolint:containedctx // It is only asked whether it is done: its channels are of another bubble.
	seed    uint64
	options Options
	hosts   []Host

	sim      *sim.Sim
	injector *faults.Injector
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

	mu         sync.Mutex
	recorders  map[string]*check.Recorder
	registries []*prometheus.Registry
	// The disk of the controller's last incarnation; nil: it has none.
	machine *machine
	backups []*backup

	// What came of it.
	runErr, closeErr, auditErr, backupErr error
	hash                                  uint64
	stats                                 sim.Stats
	elapsed                               time.Duration
	facts                                 Facts
	last                                  []check.Event
}

func newEngine(ctx context.Context, s *Scenario, seed uint64, options Options) (*engine, error) {
	if s.source == nil {
		return nil, errors.New("run scenario: it was not read by Parse")
	}
	if !slices.Contains(s.Run.Backends, BackendSim) {
		return nil, fmt.Errorf("run scenario: it is for the backends %v, not for %s", s.Run.Backends, BackendSim)
	}
	if options.Bubble == nil {
		options.Bubble = bubble.Run
	}
	e := &engine{
		Scenario: s, ctx: ctx, seed: seed, options: options, hosts: s.Hosts(),
		targets: map[string]*rand.Rand{}, chosen: map[string][]string{}, recorders: map[string]*check.Recorder{},
	}
	var err error
	if e.conditions, err = newConditions(&s.Expect); err != nil {
		return nil, err
	}
	e.tally = newTally(s, func() time.Duration { return e.sim.Elapsed() })
	e.oracles = check.New(e.promises())
	return e, nil
}

// config returns that of the simulation.
func (e *engine) config() sim.Config {
	latency := e.Topology.Network.Latency
	return sim.Config{
		Seed: e.seed, MaxSteps: e.Run.MaxSteps, MaxTime: time.Duration(e.Run.MaxVirtualTime) + endSlack,
		Link: sim.Link{
			Latency: sim.Latency{Min: time.Duration(latency.Min), Mean: time.Duration(latency.Mean), Max: time.Duration(latency.Max)},
			Loss:    float64(e.Topology.Network.Loss),
		},
		OnEvent: e.onEvent,
	}
}

// promises returns what the oracles hold the system to in this scenario.
func (e *engine) promises() check.Config {
	c := check.Config{
		AllowLossAfterRestart: e.Topology.Controller.Store == storeMemory || e.losesDisk(),
		Retention:             time.Duration(e.Topology.Controller.Retention),
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

// onEvent takes in what happens in the simulation, on the goroutine that steps.
func (e *engine) onEvent(event sim.Event) {
	if !e.over {
		switch event.Kind {
		case sim.EventCrash:
			e.crashed(event.From)
		case sim.EventPause:
			e.tally.struck(event.From, false)
		case sim.EventFault:
			e.tally.change(func(f *Facts) { f.Faults[faultID(event.Fault)]++ })
		}
	}
	if e.options.OnEvent != nil && !e.ended {
		e.options.OnEvent(event)
	}
}

func (e *engine) crashed(host string) {
	e.tally.struck(host, true)
	if host == ControllerHost {
		e.history.Crash(host)
		return
	}
	e.mu.Lock()
	r := e.recorders[host]
	e.mu.Unlock()
	if r != nil {
		r.Crash()
	}
}

// drive is the run, on the goroutine that steps.
func (e *engine) drive() error {
	e.history = check.NewHistory(check.HistoryConfig{Clock: e.sim.Elapsed, Observe: func(event *check.Event) {
		if !e.ended {
			e.oracles.Observe(event)
			e.tally.observe(event)
			if e.options.Observe != nil {
				e.options.Observe(event)
			}
		}
	}})
	defer e.end()
	e.injector = e.sim.Injector()
	for _, t := range e.Targets {
		e.targets[t.Name] = e.sim.Rand("target/" + t.Name)
	}
	if err := e.arm(); err != nil {
		return err
	}
	e.start()
	if at := e.HealAt(); at > 0 {
		e.sim.At(at, e.heal)
	} else {
		e.heal()
	}
	if err := e.sim.RunUntil(e.done); err != nil {
		return err
	}
	e.over = true
	e.status = append(e.status, e.injector.Status().Rules...)
	if e.stopped() {
		return nil // It is broken already, or nobody waits for it.
	}
	return e.finish()
}

// end closes the books. What software says while the simulation is closed is no part of the run.
func (e *engine) end() {
	e.over = true
	e.hash, e.stats, e.elapsed = e.sim.Hash(), e.sim.Stats(), e.sim.Elapsed()
	e.history.Still(func() { e.ended = true })
	e.last = e.history.Last(maxLast)
	e.facts = e.tally.final(e.elapsed)
}

// done takes a look between two events, and says whether the run is over.
func (e *engine) done() bool {
	e.awaitEvents()
	return e.ctx.Err() != nil || e.oracles.Violated() > 0 && len(e.broken()) > 0 || e.judgeConditions()
}

// stopped says whether the run is over before its end.
func (e *engine) stopped() bool {
	return e.ctx.Err() != nil || len(e.broken()) > 0 || e.late != nil
}

// finish stops clients and workers, asks how things stand, and stops the controller.
func (e *engine) finish() error {
	e.injector.Clear()
	e.sim.RepairAll()
	if !e.sim.Running(ControllerHost) {
		e.sim.Bounce(ControllerHost)
	}
	// Workers deliver their last reports, which metrics count too.
	if err := e.stop(e.hosts[1:]); err != nil {
		return err
	}
	e.history.Quiesce()
	if err := e.audit(); err != nil {
		return err
	}
	if err := e.scrape(); err != nil {
		return err
	}
	if err := e.stop(e.hosts[:1]); err != nil {
		return err
	}
	e.backupErr = e.checkBackups()
	return nil
}

func (e *engine) audit() error {
	var unsettled []string
	e.history.Still(func() { unsettled = e.oracles.Unsettled() })
	over := false
	e.sim.Client(auditHost, func(ctx context.Context, h *sim.Host) error {
		defer h.Do(func() { over = true })
		ctx, cancel := context.WithTimeout(ctx, maxAudit)
		defer cancel()
		client, err := fray.NewClient(controllerURL, fray.WithHTTPClient(h.Client()), fray.WithRand(h.Rand("client")),
			fray.WithClientOptions(e.observed(h)))
		if err == nil {
			err = errors.Join(check.Audit(ctx, client, unsettled), client.Close())
		}
		e.auditErr = err
		return nil
	})
	return e.sim.RunUntil(func() bool { return over })
}

func (e *engine) scrape() error {
	scraped := map[string]float64{}
	for _, r := range e.registries {
		if err := check.Scrape(scraped, r); err != nil {
			return err
		}
	}
	e.oracles.Metrics(scraped)
	return nil
}

// stop asks hosts to end, as an operator would, and waits for that.
func (e *engine) stop(hosts []Host) error {
	until := e.sim.Elapsed() + maxShutdown
	for _, h := range hosts {
		if e.sim.Running(h.Name) {
			e.sim.Stop(h.Name)
		}
	}
	return e.sim.RunUntil(func() bool {
		for _, h := range hosts {
			if e.sim.Running(h.Name) && e.sim.Elapsed() < until {
				return false
			}
		}
		return true
	})
}

package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/check"
)

// Options are what a run can be given besides its scenario and seed. The zero value is ready to use. All but Oracles and MaxTime
// are for runs in virtual time.
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
	// MaxTime is how much time the run may take, if that is less than the scenario's maxVirtualTime. 0: as the scenario says.
	MaxTime time.Duration
	// OnStall is told of a run that goes no further in real time for so long as Stall says, as [sim.NewWatchdog] has it: of its name, seed
	// and virtual time, and of what is in the way. Nothing can end such a run but the end of the process. It is called on a goroutine
	// of its own. Nil: nobody watches. A run that ctx was to end is told of in the same way, once it has not ended stopGrace later.
	OnStall func(*Result)
	Stall   time.Duration
	// Controller wraps what the controller serves, to plant a bug. Nil: nothing does.
	Controller func(http.Handler) http.Handler
}

// Bounds of the end of a run, in its time.
const (
	maxAudit    = 2 * time.Minute
	maxShutdown = 5 * time.Minute
	// endSlack is what the end of a run may take on top of its own time.
	endSlack = 2 * (maxAudit + maxShutdown)
)

// auditHost is the host that asks at the end how things stand.
const auditHost = "auditor"

// Run runs a scenario that [Parse] returned, under one seed, in virtual time. What goes wrong within the run is the result's
// verdict; an error says that there was no run, or that ctx ended it. In the latter case the result is what had come of it by then.
func Run(ctx context.Context, s *Scenario, seed uint64, options Options) (*Result, error) {
	e, err := newEngine(ctx, s, seed, options, BackendSim)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	watchdog, release := e.watch(ctx)
	defer release()
	err = e.options.Bubble(func() {
		config := virtualConfig(s, seed, e.onEvent)
		config.Watchdog = watchdog
		simulation := sim.New(config)
		if options.Trace != nil {
			simulation.Trace(options.Trace)
		}
		e.runErr = e.simulate(simulation)
		e.closeErr = simulation.Close()
	})
	result := e.judge(err)
	result.Wall = time.Since(began)
	if ctx.Err() != nil {
		if result.Verdict == VerdictPass {
			result.Verdict = VerdictInterrupted
		}
		return result, fmt.Errorf("run scenario: %w", context.Cause(ctx))
	}
	return result, nil
}

// RunOn runs a scenario that [Parse] returned, under one seed, on a backend that is named as the scenario's run.backends has it,
// and that the function opens. Its Close is called in the end; an error of it says that something outlived the run.
func RunOn(
	ctx context.Context, s *Scenario, seed uint64, options Options, name string, open func(*Play) (Backend, func() error, error),
) (*Result, error) {
	e, err := newEngine(ctx, s, seed, options, name)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	e.newHistory()
	backend, closeBackend, err := open(e.play())
	if err != nil {
		return nil, err
	}
	e.backend = backend
	e.runErr = e.drive()
	e.closeErr = closeBackend()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("run scenario: %w", context.Cause(ctx))
	}
	result := e.judge(nil)
	result.Backend = name
	result.Wall = time.Since(began)
	return result, nil
}

// Verify runs a scenario once for each number of processors, by default one and as many as there are, and compares the traces.
// It returns the result of the first run, whose verdict becomes nondeterminism if another differs from it. Only the first run is
// traced and told of to the functions of the options.
func Verify(ctx context.Context, s *Scenario, seed uint64, options Options, procs ...int) (*Result, error) {
	first, err := newEngine(ctx, s, seed, options, BackendSim)
	if err != nil {
		return nil, err
	}
	var current *engine
	config := virtualConfig(s, seed, func(event sim.Event) { current.onEvent(event) })
	watchdog, release := first.watch(ctx)
	defer release()
	config.Watchdog = watchdog
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
			other, err := newEngine(ctx, first.Scenario, seed, again, BackendSim)
			if err != nil {
				return err
			}
			current = other
		}
		e := current
		e.runErr = e.simulate(s)
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

	backend  Backend
	virtual  *virtual // the same in virtual time
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
	facts                                 Facts
	last                                  []check.Event
}

func newEngine(ctx context.Context, s *Scenario, seed uint64, options Options, backend string) (*engine, error) {
	if s.source == nil {
		return nil, errors.New("run scenario: it was not read by Parse")
	}
	if err := s.RunsOn(backend); err != nil {
		return nil, err
	}
	if options.Bubble == nil {
		options.Bubble = bubble.Run
	}
	e := &engine{
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
func (e *engine) promises() check.Config {
	c := check.Config{
		AllowLossAfterRestart: e.Topology.Controller.Store == StoreMemory || e.losesDisk(),
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
func (e *engine) forgetsEarly() bool {
	usual, c := fresh[Controller](), &e.Topology.Controller
	return c.MaxRetainedTasks < usual.MaxRetainedTasks || c.MaxRetainedBytes < usual.MaxRetainedBytes
}

// simulate is the run on a simulation.
func (e *engine) simulate(s *sim.Sim) error {
	e.newHistory()
	e.virtual = newVirtual(s, e.play(), &e.options)
	e.backend = e.virtual
	return e.drive()
}

// play returns what a backend is told of the run.
func (e *engine) play() *Play {
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
			e.backend.Crash(host, DiskKept)
			e.startAgain(host, poisonDown)
		}),
		Happened: e.tally.happen,
		Injected: func(rule string, times int) {
			if !e.over {
				e.tally.change(func(f *Facts) { f.Faults[faultID(rule)] += times })
			}
		},
	}
}

// onEvent takes in what happens in the simulation, on the goroutine that steps.
func (e *engine) onEvent(event sim.Event) {
	if !e.over {
		e.virtual.event(event)
	}
	if e.options.OnEvent != nil && !e.ended {
		e.options.OnEvent(event)
	}
}

// newHistory begins the history, which the oracles watch.
func (e *engine) newHistory() {
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
}

// drive is the run, on the goroutine that steps.
func (e *engine) drive() error {
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

// end closes the books. What software says while the simulation is closed is no part of the run.
func (e *engine) end() {
	e.over = true
	e.elapsed = e.backend.Elapsed()
	if e.virtual != nil {
		e.hash, e.stats = e.virtual.Hash(), e.virtual.Stats()
	}
	e.history.Add(e.tally.toldValues()...)
	e.history.Still(func() { e.ended = true })
	e.last = e.history.Last(maxLast)
	e.facts = e.tally.final(e.elapsed)
}

// done takes a look between two events, and says whether the run is over.
func (e *engine) done() bool {
	e.awaitEvents()
	return e.ctx.Err() != nil || len(e.broken()) > 0 || e.judgeConditions()
}

// stopped says whether the run is over before its end.
func (e *engine) stopped() bool {
	return e.ctx.Err() != nil || len(e.broken()) > 0 || e.late != nil
}

// finish stops clients and workers, asks how things stand, and stops the controller.
func (e *engine) finish() error {
	e.injector.Clear()
	e.backend.RepairAll()
	if !e.backend.Running(ControllerHost) {
		e.backend.Bounce(ControllerHost)
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

func (e *engine) scrape() error {
	scraped := map[string]float64{}
	if err := e.backend.Scrape(scraped); err != nil {
		return err
	}
	e.oracles.Metrics(scraped)
	return nil
}

// maxShutdown is how long hosts may take to end.
func (e *engine) maxShutdown() time.Duration {
	if e.options.MaxTime > 0 {
		return min(maxShutdown, e.options.MaxTime)
	}
	return maxShutdown
}

// stop asks hosts to end, as an operator would, and waits for that.
func (e *engine) stop(hosts []Host) error {
	until := e.backend.Elapsed() + e.maxShutdown()
	for _, h := range hosts {
		if e.backend.Running(h.Name) {
			e.backend.Stop(h.Name)
		}
	}
	return e.backend.RunUntil(func() bool {
		for _, h := range hosts {
			if e.backend.Running(h.Name) && e.backend.Elapsed() < until {
				return false
			}
		}
		return true
	})
}

package system

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

// Options are what a run of a cluster can be given besides what any run can. The zero value is
// ready to use.
type Options struct {
	// Options are those of runs in virtual time.
	virtual.Options

	// Oracles look at every event after those of package check.
	Oracles []check.Oracle
	// Busy is how much longer than a scenario says a message may be on its way where nothing is
	// faulty, because the machine is real and has other things to do.
	Busy time.Duration
	// Controller wraps what a simulated controller serves, to plant a bug. Nil: nothing does.
	Controller func(http.Handler) http.Handler
}

// On a real machine a client is served within so many times its bound, and so many messages that are
// late because the machine is busy.
const (
	busyServed   = 5
	busyMessages = 15
)

// Subject returns Fray as what scenarios are run of. Each Subject is for scenarios that package
// cluster has read, and may be used for many runs.
func Subject(o Options) *engine.Subject {
	return &engine.Subject{
		Format:  cluster.Format(),
		Begin:   func(r *engine.Run) (engine.System, error) { return newSystem(r, o), nil },
		Tell:    tell,
		Sum:     func() engine.Sum { return new(work) },
		Reach:   func() engine.Reacher { return check.NewReach() },
		NotLive: "the oracles of a cluster need what its workers see: run it on processes, or inject faults alone with fray faults",
	}
}

// FactsOf returns the facts of a run of a cluster.
func FactsOf(r *engine.Result) (f cluster.Facts) {
	if len(r.Facts) > 0 {
		if err := r.Facts.Read(&f); err != nil {
			panic(err) // They were written from such.
		}
	}
	return f
}

// A Place is where a cluster runs, as far as it is more than a backend.
type Place interface {
	// OpenBackup opens a backup that the controller made, for reading.
	OpenBackup(name string) (store.Store, error)
	// Scrape adds up the metrics of all hosts, as check.Scrape has them.
	Scrape(into map[string]float64) error
}

// A System is a cluster in one run: what clients submit, what functions do, what workers and
// clients see, and what oracles say of it.
type System struct {
	*cluster.Scenario

	run     *engine.Run
	options Options
	place   Place
	history *check.History
	oracles *check.Oracles
	tally   *tally

	// Set while the history stands still: nothing counts any longer.
	ended bool
	// The number of the history's last event before the books were closed.
	last    uint64
	backups []*backup
	readers int
	drains  int
	callers atomic.Int64 // clients that call actors and are not done
	leaked  leakedLeases

	// Of a simulated cluster.
	mu         sync.Mutex
	recorders  map[string]*check.Recorder // of workers
	registries []*prometheus.Registry
	// The disk of the controller's last incarnation; nil: it has none.
	machine *machine
	shared  shared
	unsound error // what a host's own account of its state said first
}

func newSystem(r *engine.Run, o Options) *System {
	s := &System{
		Scenario: cluster.Of(r.Scenario), run: r, options: o, recorders: map[string]*check.Recorder{},
	}
	s.place = s
	for i := range s.Workload.Clients {
		if g := &s.Workload.Clients[i]; s.calls(g) {
			s.callers.Add(int64(g.Count))
		}
	}
	s.tally = newTally(s.Scenario, r.Elapsed)
	s.oracles = check.New(s.promises())
	s.history = check.NewHistory(check.HistoryConfig{Clock: r.Elapsed, Observe: func(event *check.Event) {
		if !s.ended {
			s.oracles.Observe(event)
			s.tally.observe(event)
			s.leaked.observe(event)
			r.Observed(event)
		}
	}})
	return s
}

// Of returns the cluster of a run.
func Of(r *engine.Run) *System { return r.System().(*System) } //nolint:errcheck // It is that of its subject.

// At has the cluster run elsewhere than in a simulation.
func (s *System) At(place Place) { s.place = place }

// History is what workers and clients see.
func (s *System) History() *check.History { return s.history }

// promises returns what the oracles hold the system to in this scenario.
func (s *System) promises() check.Config {
	c := check.Config{
		AllowLossAfterRestart: s.allowsLoss(),
		Retention:             time.Duration(s.Topology.Controller.Retention),
		WatchGrace:            2 * time.Duration(s.Topology.Controller.WatchGrace), // After a stall there are two.
		ForgetsEarly:          s.forgetsEarly(),
		FirstFault:            s.FirstFault(),
		FaultsGoOn:            !s.Heals(),
		Latency:               time.Duration(s.Scenario.Scenario.Topology.Network.Latency.Max) + s.options.Busy,
		Extra:                 s.options.Oracles,
	}
	if !slices.ContainsFunc(s.Faults, func(f scenario.Fault) bool { return f.Action.ClockStep != nil }) {
		c.Wall = time.Now
	}
	c.Sleeps = slices.ContainsFunc(s.Faults, func(f scenario.Fault) bool { return f.Action.Suspend != nil })
	c.MayFill = s.mayFill()
	c.NamesByHost = s.AsksWho()
	c.Lossless = s.lossless()
	c.FairnessBound = s.Always.Fairness
	if c.FairnessBound == 0 && s.Jobs() > 1 {
		c.FairnessBound, c.FairnessDerived = s.underWay(), true
	}
	eventually := s.Expect.Eventually
	if len(eventually) == 0 {
		eventually = []scenario.Eventually{cluster.Format().Eventually}
	}
	for _, v := range eventually {
		c.LivenessBound = max(c.LivenessBound, time.Duration(v.Within))
	}
	for i := range s.Faults {
		c.Redelivery = c.Redelivery || s.Faults[i].Action.Duplicate != nil
		c.MayStall = c.MayStall || s.Faults[i].Action.DiskFull != nil
	}
	visitors := 0
	for i := range s.Workload.Visitors {
		g := &s.Workload.Visitors[i]
		visitors += g.Count
		c.Forgeries = c.Forgeries || g.Forger
		if g.Floods != nil {
			addAll(&c.Deaf, g.Hosts(), true)
		}
	}
	for i := range s.Workload.Clients {
		g := &s.Workload.Clients[i]
		if g.Within > 0 {
			within := time.Duration(g.Within)
			if s.options.Busy > 0 { // A call is some messages, and on a busy machine work takes longer, too.
				within = busyServed*within + busyMessages*s.options.Busy
			}
			addAll(&c.Within, g.Hosts(), within)
		}
		c.Watchers += visitors * g.Count * g.Jobs
		if g.Leaves != nil {
			c.Watchers += g.Count * g.Jobs
		}
	}
	c.ClientsMiss = s.refusesCalls() || slices.ContainsFunc(s.Workload.Clients, func(g cluster.ClientGroup) bool { return g.Leaves != nil })
	for i := range s.Workload.Mix {
		if k := &s.Workload.Mix[i]; k.Children > 0 || k.Needs > 0 {
			c.Lending = append(c.Lending, k.Name)
		}
		if k := &s.Workload.Mix[i]; k.Actors != nil && k.Actors.Checkpoints {
			c.Counters = append(c.Counters, callName(k))
		}
	}
	return c
}

// addAll puts a value for hosts into a map.
func addAll[T any](into *map[string]T, hosts []string, value T) {
	if *into == nil {
		*into = map[string]T{}
	}
	for _, host := range hosts {
		(*into)[host] = value
	}
}

// allowsLoss says whether the controller may come back without what it had acknowledged.
func (s *System) allowsLoss() bool {
	return s.Topology.Controller.Store == cluster.StoreMemory || s.LosesDisk()
}

// refusesCalls says whether the bounds on what waits are there to be reached.
func (s *System) refusesCalls() bool {
	usual, c := scenario.Default[cluster.Controller](), &s.Topology.Controller
	return c.MaxWatchers < usual.MaxWatchers || c.MaxCalls < usual.MaxCalls
}

// mayFill says whether there may be no room for a task.
func (s *System) mayFill() bool {
	usual, c := scenario.Default[cluster.Controller](), &s.Topology.Controller
	return c.MaxOpenTasks < usual.MaxOpenTasks || c.MaxQueuedBytes < usual.MaxQueuedBytes || c.MaxClasses < usual.MaxClasses || c.MaxJobs < usual.MaxJobs ||
		slices.ContainsFunc(s.Workload.Visitors, func(g cluster.VisitorGroup) bool { return g.Floods != nil })
}

// fetchedFor is how much work a worker fetches ahead at most, in time of its slots.
const fetchedFor = 50 * time.Millisecond

// underWay returns how many tasks may be on their way to workers, or wait there for a slot.
func (s *System) underWay() int {
	shortest := time.Duration(math.MaxInt64)
	for i := range s.Workload.Mix {
		shortest = min(shortest, time.Duration(s.Workload.Mix[i].Work.Min))
	}
	each := 1 + int(fetchedFor/max(shortest, time.Millisecond)) // in a slot, and for it
	n := 1
	for i := range s.Topology.Workers {
		g := &s.Topology.Workers[i]
		n += g.Count * min(g.Slots*each, g.Slots+max(g.MaxPrefetch, 0))
	}
	return n
}

// harmlessDelay is by how much a message may be late so that the answer to its call is in time.
const harmlessDelay = 2 * time.Second

// lossless says whether messages are late at most.
func (s *System) lossless() bool {
	if slices.ContainsFunc(s.Workload.Mix, func(k cluster.TaskKind) bool { return k.CrashesWorker }) {
		return false
	}
	return s.Scenario.Scenario.Topology.Network.Loss == 0 && len(s.Faults) > 0 && !slices.ContainsFunc(s.Faults, func(f scenario.Fault) bool {
		d := f.Action.Delay
		return d == nil || d.Mean > 0 || time.Duration(max(d.For, d.To)) > harmlessDelay
	})
}

// forgetsEarly says whether the bounds on ended tasks are there to be reached.
func (s *System) forgetsEarly() bool {
	usual, c := scenario.Default[cluster.Controller](), &s.Topology.Controller
	return c.MaxRetainedTasks < usual.MaxRetainedTasks || c.MaxRetainedBytes < usual.MaxRetainedBytes
}

// Begun implements engine.System: everything was submitted.
func (s *System) Begun() bool { return s.tally.unsent() == 0 }

// Facts implements engine.System.
func (s *System) Facts(now time.Duration) any {
	if s.ended {
		f := s.tally.final(now)
		return &f
	}
	f := s.tally.snapshot()
	return &f
}

// Changes implements engine.System.
func (s *System) Changes() uint64 { return s.tally.changed() }

// Happened implements engine.System.
func (s *System) Happened(event string) int { return s.tally.happened(event) }

// Happen tells of an event that only a machine's owner can see, such as cluster.EventCommitSynced.
// Anybody may call it.
func (s *System) Happen(event string) { s.tally.happen(event) }

// Does implements engine.System.
func (s *System) Does(host, state string) bool {
	running, holding := s.tally.state(host)
	switch state {
	case cluster.WhenLeading:
		return s.leads(host)
	case cluster.WhenStandingBy:
		return !s.leads(host)
	case cluster.WhenIdle:
		return holding == 0 && running == 0
	case cluster.WhenHolding:
		return holding > 0
	case cluster.WhenRunning:
		return running > 0
	}
	return true
}

// Crashed implements engine.System.
func (s *System) Crashed(host string) {
	s.tally.struck(host, true)
	if s.ends(host) {
		return
	}
	s.mu.Lock()
	r := s.recorders[host]
	s.mu.Unlock()
	if r != nil {
		r.Crash()
	}
}

// Leaving implements engine.System: a worker that is told to leave may stop what it runs after a
// while.
func (s *System) Leaving(host string) {
	for i := range s.Topology.Workers {
		if g := &s.Topology.Workers[i]; slices.Contains(g.Hosts(), host) {
			s.history.Add(check.Event{Kind: check.LeaveOrder, Host: host, Worker: host, TTL: time.Duration(g.DrainGrace)})
		}
	}
}

// Ended implements engine.System. What a worker still ran has ended with its process, as in a crash;
// and a controller that has ended has forgotten what one that crashed forgets.
func (s *System) Ended(host string, failed bool) {
	running := s.tally.over(host, failed)
	if s.ends(host) {
		return
	}
	if running == 0 {
		return
	}
	s.mu.Lock()
	r := s.recorders[host]
	s.mu.Unlock()
	if r != nil {
		r.Crash()
		return
	}
	s.history.Add(check.Event{Kind: check.WorkerCrash, Host: host, Worker: host})
}

// ends notes the end of a host that is none of workers and clients, and says whether it is. Of controllers
// that share a database the history tells when another leads, and not when one ends.
func (s *System) ends(host string) bool {
	if host == cluster.DatabaseHost && s.isShared() {
		return true
	}
	if !s.isController(host) {
		return false
	}
	if !s.isShared() {
		s.history.Crash(host)
	}
	return true
}

// Paused implements engine.System.
func (s *System) Paused(host string) { s.tally.struck(host, false) }

// Poisoned is told that a task takes down the worker that runs it.
func (s *System) Poisoned(host string) {
	if s.run.Over() {
		return
	}
	s.run.Backend().Crash(host, scenario.DiskKept)
	s.run.StartAgain(host, cluster.PoisonDown)
}

// Injected implements engine.System.
func (s *System) Injected(fault string, times int) {
	s.tally.change(func(f *cluster.Facts) { f.Faults[fault] += times })
}

// Healed implements engine.System.
func (s *System) Healed() {
	s.history.Heal()
	s.tally.change(func(f *cluster.Facts) { f.Times.Healed = s.run.Elapsed() })
}

// Finish implements engine.System: it stops clients and workers, asks how things stand, and stops
// the controller.
func (s *System) Finish() error {
	backend := s.run.Backend()
	controllers, others := s.HostsOf(cluster.RoleController), s.Hosts()
	databases := s.HostsOf(cluster.RoleDatabase)
	others = slices.DeleteFunc(others, func(h scenario.Host) bool { return slices.Contains(controllers, h) || slices.Contains(databases, h) })
	for _, h := range slices.Concat(databases, controllers) {
		if !backend.Running(h.Name) {
			backend.Bounce(h.Name)
		}
	}
	s.tellLeaving()
	// Workers deliver their last reports, which metrics count too.
	if err := s.run.Stop(others); err != nil {
		return err
	}
	s.history.Quiesce()
	if err := s.audit(); err != nil {
		return err
	}
	scraped, err := s.scrape()
	if err != nil {
		return err
	}
	s.oracles.Metrics(scraped)
	if err := errors.Join(s.run.Stop(controllers), s.run.Stop(databases)); err != nil {
		return err
	}
	if err := s.checkBackups(); err != nil {
		s.run.Flaw(scenario.VerdictInvariant, "backup", err.Error())
	}
	return nil
}

// tellLeaving notes that the workers are told to leave.
func (s *System) tellLeaving() {
	for _, h := range s.Hosts() {
		s.Leaving(h.Name)
	}
}

// brokenState is what a controller or worker breaks whose own account of its state does not add up.
const brokenState = "state-sound"

// inspect returns what takes in what of a host's state does not add up.
func (s *System) inspect(h *sim.Host) func(error) {
	return func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.unsound == nil {
			s.unsound = fmt.Errorf("%s, at %v: %w", h.Name(), s.run.Elapsed(), err)
		}
	}
}

// scrape reads the controller's metrics once what the last workers said as they went has come: the
// cancellations of their calls may still be on their way.
func (s *System) scrape() (map[string]float64, error) {
	scraped := map[string]float64{}
	if err := s.place.Scrape(scraped); err != nil || scraped["fray_waiting_calls"] == 0 {
		return scraped, err
	}
	over := false
	s.run.Backend().Client(lastWordsHost, func(ctx context.Context, m engine.Machine) error {
		defer m.Do(func() { over = true })
		return sleep.For(ctx, lastWords)
	})
	if err := s.run.Backend().RunUntil(func() bool { return over }); err != nil {
		return nil, err
	}
	clear(scraped)
	return scraped, s.place.Scrape(scraped)
}

// lastWords is how long what was sent before everybody left may be on its way, and lastWordsHost
// the host that waits for it.
const (
	lastWords     = 2 * time.Second
	lastWordsHost = "auditor-waits"
)

// auditHost is the host that asks at the end how things stand.
const auditHost = "auditor"

func (s *System) audit() error {
	var unsettled []string
	s.history.Still(func() { unsettled = s.oracles.Unsettled() })
	over := false
	var auditErr error
	s.run.Backend().Client(auditHost, func(ctx context.Context, m engine.Machine) error {
		defer m.Do(func() { over = true })
		ctx, cancel := context.WithTimeout(ctx, engine.MaxAudit)
		defer cancel()
		client, err := fray.NewClient(s.ControllerURL(), fray.WithHTTPClient(m.Client()), fray.WithRand(m.Rand("client")),
			fray.WithLogger(nil), fray.WithToken(s.TokenOf(ReaderName)),
			fray.WithClientOptions(s.observed(m)))
		if err == nil {
			err = errors.Join(check.Audit(ctx, client, unsettled), client.Close())
		}
		auditErr = err
		return nil
	})
	err := s.run.Backend().RunUntil(func() bool { return over })
	if auditErr != nil {
		s.run.Flaw(scenario.VerdictLiveness, engine.BrokenLiveness, auditErr.Error())
	}
	if auditErr != nil || err != nil {
		s.history.Still(s.oracles.Unaudited)
	}
	return err
}

// End implements engine.System. What software says while its backend is closed is no part of the
// run.
func (s *System) End() {
	s.mu.Lock()
	if s.unsound != nil {
		s.run.Flaw(scenario.VerdictInvariant, brokenState, s.unsound.Error())
	}
	s.mu.Unlock()
	s.last = s.history.Len() // What futures told is known only now, and was told before.
	s.history.Add(s.tally.toldValues()...)
	s.history.Still(func() { s.ended = true })
}

// Judge implements engine.System.
func (s *System) Judge(elapsed time.Duration, leak error) {
	s.oracles.Leaks(func() error { return leak })
	s.history.Still(func() { s.oracles.Finish(elapsed) })
}

// Broken implements engine.System.
func (s *System) Broken() (all []engine.Violation) {
	s.history.Still(func() {
		if s.oracles.Violated() == 0 {
			return
		}
		for _, v := range s.oracles.Violations() {
			all = append(all, engine.Violation{
				Oracle: v.Oracle, Task: v.Task, Text: v.Text, Events: events(v.Events), Undecided: v.Undecided,
			})
		}
	})
	return all
}

// Counts implements engine.System.
func (s *System) Counts() []engine.Count {
	counts := s.oracles.Counts()
	all := make([]engine.Count, len(counts))
	for i, c := range counts {
		all[i] = engine.Count(c)
	}
	return all
}

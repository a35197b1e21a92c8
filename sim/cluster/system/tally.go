package system

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
)

// A tally makes facts of what clients and workers see. It is safe for concurrent use; what it is
// told of at one instant may come in any order.
type tally struct {
	clock func() time.Duration

	mu    sync.Mutex
	facts cluster.Facts
	// Rises with every change.
	version uint64
	events  map[string]int
	workers map[string]*workerState
	// Hosts of controllers.
	controllers map[string]bool
	// What is known by token, task and session.
	leased   map[uint64]bool
	starts   map[string]int
	sessions map[uint64]bool
	gone     map[uint64]bool
	took     []time.Duration
	waiting  map[string][]*recovery // by task that they wait for
	// Tasks whose submission was acknowledged, in order; only where backups are to have them, or an
	// operator or a visitor asks for them.
	acknowledged []string
	keepsThem    bool
	// Values that futures told their clients.
	told []check.Event
}

// workerState is what a worker does, by what it and its functions say.
type workerState struct {
	running int
	// Attempts that it holds, and their tasks.
	held map[uint64]string
}

// recovery is a fault on a worker whose tasks have not all ended.
type recovery struct {
	at   time.Duration
	open int // tasks
}

func newTally(s *cluster.Scenario, clock func() time.Duration) *tally {
	t := &tally{
		clock: clock, events: map[string]int{}, workers: map[string]*workerState{}, controllers: map[string]bool{},
		leased: map[uint64]bool{}, starts: map[string]int{}, sessions: map[uint64]bool{}, gone: map[uint64]bool{},
		waiting: map[string][]*recovery{},
	}
	for _, h := range s.HostsOf(cluster.RoleController) {
		t.controllers[h.Name] = true
	}
	t.facts.Kinds, t.facts.Faults = map[string]cluster.TaskFacts{}, map[string]int{}
	for _, k := range s.Workload.Mix {
		t.facts.Kinds[k.Name] = cluster.TaskFacts{}
	}
	t.facts.Calls = map[string]int{}
	methods := frayv1.File_fray_v1_controller_proto.Services().ByName("ControllerService").Methods()
	for i := range methods.Len() {
		t.facts.Calls[string(methods.Get(i).Name())] = 0
	}
	t.keepsThem = len(s.Workload.Visitors) > 0
	for i := range s.Faults {
		t.keepsThem = t.keepsThem || s.Faults[i].Action.OnDisk()
		t.facts.Faults[s.Faults[i].ID] = 0
	}
	t.facts.Tasks.Unsent = s.Tasks()
	return t
}

// change has facts changed under the lock.
func (t *tally) change(f func(*cluster.Facts)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version++
	f(&t.facts)
}

// snapshot returns the facts as of now.
func (t *tally) snapshot() cluster.Facts {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.facts
	f.Kinds, f.Faults, f.Calls = maps.Clone(f.Kinds), maps.Clone(f.Faults), maps.Clone(f.Calls)
	f.Times.Now = t.clock()
	return f
}

// final returns the facts at the end of a run.
func (t *tally) final(end time.Duration) cluster.Facts {
	f := t.snapshot()
	f.Times.Now = end
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.took) > 0 {
		slices.Sort(t.took)
		f.Times.Median = t.took[len(t.took)/2]
	}
	return f
}

// tell notes the value that a future told its client.
func (t *tally) tell(host, task string, value []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = append(t.told, check.Event{
		Kind: check.FutureEnd, Host: host, Task: task, Digest: check.DigestValue("raw", value),
	})
}

// toldValues returns what futures told their clients, in an order that does not depend on when.
func (t *tally) toldValues() []check.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.SortFunc(t.told, func(a, b check.Event) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Task, b.Task), cmp.Compare(a.Digest, b.Digest))
	})
	return t.told
}

// read returns what f does, under the lock.
func read[T any](t *tally, f func() T) T {
	t.mu.Lock()
	defer t.mu.Unlock()
	return f()
}

// changed returns the number of changes so far.
func (t *tally) changed() uint64 { return read(t, func() uint64 { return t.version }) }

// unsent returns how many tasks have not been submitted yet.
func (t *tally) unsent() int { return read(t, func() int { return t.facts.Tasks.Unsent }) }

// happened returns how often an event that faults can wait for has happened.
func (t *tally) happened(event string) int { return read(t, func() int { return t.events[event] }) }

// happen notes an event of the controller's machine, which changes no fact.
func (t *tally) happen(event string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events[event]++
}

// acknowledgedTasks returns the tasks that the controller has promised to keep.
func (t *tally) acknowledgedTasks() []string {
	return read(t, func() []string { return slices.Clone(t.acknowledged) })
}

// state returns what a worker does.
func (t *tally) state(host string) (running, holding int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.worker(host)
	return w.running, len(w.held)
}

func (t *tally) worker(host string) *workerState {
	w := t.workers[host]
	if w == nil {
		w = &workerState{held: map[uint64]string{}}
		t.workers[host] = w
	}
	return w
}

// count changes the counts of all tasks and of one kind.
func (t *tally) count(kind string, f func(*cluster.TaskFacts)) {
	of := t.facts.Kinds[kind]
	f(&of)
	t.facts.Kinds[kind] = of
	f(&t.facts.Tasks)
}

// submitted notes that a client knows its task to be accepted, or refused for good.
func (t *tally) submitted(kind string, accepted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version++
	t.facts.Tasks.Unsent--
	t.count(kind, func(f *cluster.TaskFacts) {
		if !accepted {
			f.Refused++
			return
		}
		f.Submitted++
		f.Open++
	})
	if accepted {
		t.events[cluster.EventTaskSubmitted]++
	}
}

// found notes that a client knows that another task has the key of its.
func (t *tally) found(kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version++
	t.facts.Tasks.Unsent--
	t.count(kind, func(f *cluster.TaskFacts) { f.Found++ })
}

// ended notes that a client knows how its task ended: with a value, unless there is a failure.
func (t *tally) ended(kind, task string, took time.Duration, failure *fray.TaskError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(kind, task, failure)
	t.facts.Times.Slowest = max(t.facts.Times.Slowest, took)
	t.took = append(t.took, took)
}

// ran notes that a client knows how a run of its schedule ended, of which it had not known before.
func (t *tally) ran(kind, task string, failure *fray.TaskError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count(kind, func(f *cluster.TaskFacts) {
		f.Submitted++
		f.Open++
	})
	t.end(kind, task, failure)
}

// ranAll notes that a client's schedule has ended, and all of its runs.
func (t *tally) ranAll(kind, schedule string, failure *fray.TaskError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(kind, schedule, failure)
}

// end notes how a task ended, with t.mu held.
func (t *tally) end(kind, task string, failure *fray.TaskError) {
	t.version++
	t.events[cluster.EventTaskFinished]++
	t.count(kind, func(f *cluster.TaskFacts) {
		f.Open--
		switch {
		case failure == nil:
			f.Completed++
		case failure.Reason == fray.ReasonCancelled:
			f.Cancelled++
		case failure.Reason == fray.ReasonTaskLost:
			f.Lost++
		default:
			f.Failed++
		}
	})
	if failure != nil {
		t.failed(failure.Reason)
	}
	now := t.clock()
	times := &t.facts.Times
	times.LastEnd = now
	for _, r := range t.waiting[task] {
		if r.open--; r.open == 0 {
			times.Recovered = max(times.Recovered, now-r.at)
		}
	}
	delete(t.waiting, task)
}

// failed counts a failure by its reason.
func (t *tally) failed(reason fray.Reason) {
	f := &t.facts.Failures
	switch reason {
	case fray.ReasonCancelled, fray.ReasonTaskLost:
	case fray.ReasonTimeout:
		f.Timeout++
	case fray.ReasonWorkerLost:
		f.WorkerLost++
	case fray.ReasonSchedulingTimeout:
		f.SchedulingTimeout++
	case fray.ReasonUndecodable:
		f.Undecodable++
	case fray.ReasonActorRestarted:
		f.ActorRestarted++
	case fray.ReasonActorDead:
		f.ActorDead++
	default:
		f.Application++
	}
}

// struck notes that a host crashed or pauses.
func (t *tally) struck(host string, crashed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version++
	w := t.worker(host)
	r := &recovery{at: t.clock()}
	for _, task := range w.held { // order-free: each for itself
		if !slices.Contains(t.waiting[task], r) { // A worker can hold two attempts of one task.
			t.waiting[task] = append(t.waiting[task], r)
			r.open++
		}
	}
	if crashed {
		t.facts.Hosts.Crashed++
		if t.controllers[host] {
			t.facts.Hosts.Restarts++
		}
		t.facts.Attempts.Vanished += w.running
		delete(t.workers, host)
	} else {
		t.facts.Hosts.Paused++
	}
}

// over notes that a host has ended, as it was told to or with an error, and returns how many
// functions it left.
func (t *tally) over(host string, failed bool) (left int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version++
	if failed {
		t.facts.Hosts.Failed++
	} else {
		t.facts.Hosts.Stopped++
	}
	left = t.worker(host).running
	t.facts.Attempts.Vanished += left
	delete(t.workers, host)
	return left
}

// observe takes in an event of the history.
func (t *tally) observe(e *check.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version++
	a := &t.facts.Attempts
	switch e.Kind {
	case check.SubmitReply:
		if t.keepsThem && (e.Answer == check.Created || e.Answer == check.Existing || e.Answer == check.Acknowledged) {
			t.acknowledged = append(t.acknowledged, e.Task)
		}
		t.version-- // It changes no fact.
	case check.RegisterReply:
		if !t.sessions[e.Session] {
			t.sessions[e.Session] = true
			t.facts.Sessions.Opened++
			t.events[cluster.EventWorkerRegistered]++
		}
	case check.SessionStale:
		if !t.gone[e.Session] {
			t.gone[e.Session] = true
			t.facts.Sessions.Lost++
		}
	case check.GrantReply:
		t.worker(e.Host).held[e.Token] = e.Task
		if !t.leased[e.Token] {
			t.leased[e.Token] = true
			a.Leased++
			t.events[cluster.EventTaskLeased]++
		}
	case check.ExecutionStart:
		t.worker(e.Host).running++
		t.starts[e.Task]++
		a.Started++
		if t.starts[e.Task] > 1 {
			a.Repeated++
		}
		a.MostOfOne = max(a.MostOfOne, t.starts[e.Task])
		t.events[cluster.EventTaskStarted]++
	case check.ExecutionEnd:
		t.worker(e.Host).running--
		if e.Outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED {
			a.Succeeded++
		} else {
			a.Failed++
		}
		t.events[cluster.EventTaskEnded]++
	case check.ReportReply:
		t.reported(e)
	default:
		t.version-- // It changes no fact.
	}
}

func (t *tally) reported(e *check.Event) {
	switch e.Outcome {
	case frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STARTED, frayv1.AttemptOutcome_ATTEMPT_OUTCOME_READY:
		return
	default:
	}
	r := &t.facts.Reports
	switch e.Answer {
	case check.Accepted:
		r.Accepted++
	case check.Duplicate:
		r.Duplicate++
	case check.Stale:
		r.Stale++
	default:
		return
	}
	delete(t.worker(e.Host).held, e.Token)
}

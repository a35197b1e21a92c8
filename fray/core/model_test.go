package core_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/core"
)

// TestSchedulerModel has workers, clients and a bad network do as they please with a scheduler, and
// holds it against a model of what it should do. Then one good worker comes, the rest falls silent,
// and every task must end.
func TestSchedulerModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		d := newModelDriver(rt)
		for range d.int("steps", 1, 150) {
			modelActions[pick(d, "action", modelOften)](d)
		}
		d.recover()
	})
}

// modelDriver is the world around the scheduler.
type modelDriver struct {
	t        *rapid.T
	s        *core.Scheduler
	m        *model
	calls    core.CallID
	tasks    int
	listed   int
	granted  []*modelAttempt
	recorded map[core.TaskNum]core.RecordKind
	ids      []string
	workers  map[string]*modelWorker
	late     []core.Event // Calls that are still under way.
	ledger   *ledger
	specs    map[core.TaskNum]modelSpec
	disk     *modelDisk // What is durable.
	doomed   string     // The next step's effects are lost in this way, and the scheduler with them.
	unsynced bool       // What is written is lost.
	// Those that waited to run alone when the step began, while none of them has been granted or has ended.
	alone []*modelTask
	// Actors that were offered, and the last numbers of calls to them.
	lives   []string
	numbers map[modelCaller]uint64
}

// modelWorker is a worker's own idea of its session.
type modelWorker struct {
	id                   string
	registrations        int
	session              core.Token
	seq, received, beats uint64
	held                 []*modelAttempt // delivered, not given up
	awaited              core.CallID
	awaitedSeq           uint64
}

func newModelDriver(t *rapid.T) *modelDriver {
	d := &modelDriver{
		t: t, recorded: make(map[core.TaskNum]core.RecordKind), workers: make(map[string]*modelWorker),
		ledger: newLedger(), specs: make(map[core.TaskNum]modelSpec), disk: &modelDisk{}, numbers: make(map[modelCaller]uint64),
	}
	cfg := core.Config{
		Incarnation: 1, Seed: 7, Durable: d.chance("durable", 80), SessionTTL: 15 * time.Second,
		DeliveryTimeout: time.Duration(d.int("delivery timeout", 2, 20)) * time.Second,
		TimeoutGrace:    3 * time.Second, CancelGrace: 5 * time.Second,
		Retention:   time.Duration(d.int("retention", 1, 120)) * time.Second,
		MaxRetained: d.int("retained", 1, 30), MaxRetainedBytes: 1 << 30,
		WatchGrace: time.Duration(d.int("grace", 1, 40)) * time.Second, MaxWatchers: 4,
		MaxOpenTasks: d.int("open", 1, 60), MaxQueuedBytes: 300, MaxClasses: 6, MaxJobs: 3, MaxSessions: 3,
		RetryHint: time.Second, BlackHoleFailures: 2, FastFailure: time.Second,
		BlackHoleBackoff: 250 * time.Millisecond, BlackHoleCap: 2 * time.Second,
	}
	d.s = core.NewScheduler(cfg)
	d.m = &model{
		cfg: cfg, now: epoch, jobs: make(map[string]*modelJob), payers: make(map[string]string), attempts: make(map[core.Token]*modelAttempt), met: make(map[string]bool),
		reading: make(map[core.CallID][]*modelTask), numbers: make(map[modelCaller]uint64), turns: make(map[modelCaller]modelTurn),
	}
	for _, id := range []string{"w1", "w2", "w3", "w4"} {
		d.workers[id] = &modelWorker{id: id}
	}
	return d
}

var modelActions = map[string]func(d *modelDriver){
	"submit": (*modelDriver).submit, "poll": (*modelDriver).poll, "report": (*modelDriver).report,
	"beat": (*modelDriver).beat, "register": (*modelDriver).register, "advance": (*modelDriver).pass,
	"odd report": (*modelDriver).oddReport, "odd poll": (*modelDriver).oddPoll, "late": (*modelDriver).deliverLate,
	"cancel": (*modelDriver).cancel, "watch": (*modelDriver).watch, "get job": (*modelDriver).getJob, "await": (*modelDriver).await, "await any": (*modelDriver).awaitAny,
	"forsake": (*modelDriver).forsake, "drain": (*modelDriver).drain, "unregister": (*modelDriver).unregister,
	"restart": func(d *modelDriver) { d.restart(modelKill) }, "power": func(d *modelDriver) { d.restart(modelPower) },
	"doom": (*modelDriver).doom, "actors": (*modelDriver).listActors, "cancel actor": (*modelDriver).cancelActor, "host": (*modelDriver).host,
}

// modelOften names each action as often as it is to happen.
var modelOften = slices.Concat(
	slices.Repeat([]string{"submit", "poll", "report", "host"}, 4),
	slices.Repeat([]string{"beat", "register", "advance"}, 3),
	[]string{"odd report", "odd poll", "late", "cancel", "watch", "get job", "await", "await any", "forsake", "drain", "unregister"},
	[]string{"restart", "power", "doom", "actors", "cancel actor"},
)

func (d *modelDriver) call() core.CallID {
	d.calls++
	return d.calls
}

// int draws from, to, or what lies between, each as likely; rapid's own ranges prefer small numbers
// by far.
func (d *modelDriver) int(name string, from, to int) int {
	const bits = 12
	return rapid.Custom(func(t *rapid.T) int {
		n := 0
		for range bits {
			n <<= 1
			if rapid.Bool().Draw(t, "bit") {
				n |= 1
			}
		}
		return from + n*(to-from+1)>>bits
	}).Draw(d.t, name)
}

func pick[T any](d *modelDriver, name string, of []T) T { return of[d.int(name, 0, len(of)-1)] }

func (d *modelDriver) chance(name string, percent int) bool { return d.int(name, 1, 100) <= percent }

func (d *modelDriver) until() core.Time {
	return d.m.now.Add(time.Duration(d.int("wait", 0, 20)) * time.Second)
}

func (d *modelDriver) worker() *modelWorker {
	return d.workers[pick(d, "worker", []string{"w1", "w2", "w3", "w4"})]
}

var modelShapes = []core.Shape{
	{},
	{MaxRetries: 2, BackoffBase: time.Second, BackoffFactor: 2, BackoffCap: 3 * time.Second, MaxWorkerLosses: 1},
	{Priority: 1, ExecutionTimeout: 4 * time.Second, MaxRetries: 1, BackoffBase: time.Second, BackoffFactor: 1, BackoffCap: time.Second},
	{SchedulingTimeout: 10 * time.Second, MaxWorkerLosses: 3},
	{Resources: []core.Resource{{Name: "cpu", Amount: 400}}, MaxWorkerLosses: 2},
	{Resources: []core.Resource{{Name: "cpu", Amount: 700}}, Priority: 1, MaxRetries: 1},
	{Labels: []core.Label{{Name: "zone", Value: "eu"}}, MaxWorkerLosses: 1, SchedulingTimeout: 30 * time.Second},
}

// owner is whose jobs a call is confined to.
func (d *modelDriver) owner() string { return pick(d, "owner", []string{"", "", "", "ann", "ben"}) }

func (d *modelDriver) submit() {
	sh := modelShapes[d.int("shape", 0, len(modelShapes)-1)]
	sh.Function = pick(d, "function", []string{"f", "g"})
	e := &core.Submit{Call: d.call(), Job: pick(d, "job", []string{"j", "k", "l", "m"}), By: d.owner()}
	if !d.chance("any job", 30) {
		e.Owner = e.By
	}
	if d.chance("watcher", 30) {
		e.Watcher = pick(d, "name", []string{"a", "b"})
		e.Confirmed = uint64(d.int("confirmed", 0, 8))
	}
	if d.chance("waits", 40) {
		e.Until, e.Read = d.until(), d.chance("read", 50)
	}
	role := pick(d, "role", []string{"plain", "plain", "actors", "calls", "calls"})
	for range d.int("tasks", 1, 5) {
		id := fmt.Sprintf("t%d", d.tasks)
		if len(d.ids) > 0 && d.chance("again", 15) {
			id = pick(d, "id", d.ids)
		} else {
			d.ids = append(d.ids, id)
			d.tasks++
		}
		n := core.NewTask{ID: id, Shape: &sh, Spec: make([]byte, d.int("bytes", 0, 10))}
		own := sh
		switch {
		case role == "actors" && d.chance("life", 60):
			n.Shape = &own
			d.life(&own, &n)
		case role == "calls" || role == "actors":
			n.Shape = &own
			d.mailed(&own, &n)
		}
		if d.chance("not before", 15) {
			n.NotBefore = d.m.now.Add(time.Duration(d.int("delay", -5, 30)) * time.Second)
		}
		for d.chance("needs", 25) && len(n.NeedsTasks) < 4 {
			// Mostly what was submitted lately, or along with it.
			other := d.ids[max(0, len(d.ids)-1-d.int("before", 0, 8))]
			if d.chance("nobody's", 3) {
				other = "nobody's"
			}
			if other != id && !slices.Contains(n.NeedsTasks, other) {
				n.NeedsTasks = append(n.NeedsTasks, other)
			}
		}
		e.Tasks = append(e.Tasks, n)
	}
	d.step(e)
}

func (d *modelDriver) register() {
	w := d.worker()
	again := w.registrations > 0 && d.chance("again", 20)
	if d.m.worker(w.id) != nil && !again && !d.chance("replace", 20) {
		return
	}
	if !again {
		w.registrations++
	}
	e := &core.Register{
		WorkerID: w.id, Slots: d.int("slots", 1, 4), Functions: []string{"f", "g"}[:d.int("functions", 1, 2)],
		Labels: map[string]string{"zone": pick(d, "zone", []string{"eu", "us"})},
	}
	if d.chance("cpu", 70) {
		e.Resources = []core.Resource{{Name: "cpu", Amount: int64(d.int("amount", 0, 12) * 100)}}
	}
	e.Held, e.Fresh, e.Process = d.held(w), d.chance("fresh", 30), pick(d, "process", []string{"", "p", "q"})
	e.Number = uint64(d.int("number", 0, 3))
	d.registered(w, e)
}

func (d *modelDriver) registered(w *modelWorker, e *core.Register) {
	e.Call, e.RegistrationID = d.call(), fmt.Sprintf("r%d", w.registrations)
	if live := d.m.worker(w.id); live != nil && len(live.former) > 0 && d.chance("late copy", 10) {
		e.RegistrationID = pick(d, "former", live.former)
	}
	for _, r := range d.step(e).Replies {
		if b, ok := r.Body.(core.RegisterReply); ok && b.Session != w.session {
			held := slices.DeleteFunc(w.held, func(a *modelAttempt) bool { return !slices.Contains(b.Kept, a.token) })
			*w = modelWorker{id: w.id, registrations: w.registrations, session: b.Session, held: held}
		}
	}
}

// poll asks for work as a worker does. The answer may be lost.
func (d *modelDriver) poll() {
	w := d.worker()
	if w.session == 0 {
		return
	}
	free := d.int("free", 0, 4)
	d.pollFor(w, free, free+d.int("prefetch", 0, 3))
}

func (d *modelDriver) pollFor(w *modelWorker, free, most int) {
	if w.seq == w.received {
		w.seq++
	}
	var items []core.ReportItem
	if d.chance("carries", 40) {
		var ended []*modelAttempt
		items, ended = d.items(w)
		for _, a := range ended {
			w.drop(a)
		}
		if len(items) > 0 && d.chance("put back", 25) {
			d.late = append(d.late, &core.Report{Session: w.session, Items: items})
		}
	}
	held := len(w.held)
	if d.chance("no word", 20) {
		held = -1
	}
	var lent []core.Token
	if d.chance("lend", 15) {
		for _, a := range w.held {
			if d.chance("lends", 60) {
				lent = append(lent, a.token)
			}
		}
	}
	e := &core.Poll{
		Call: d.call(), Session: w.session, Seq: w.seq, Received: w.received, Free: free, Max: most, Held: held, Lent: lent, Until: d.until(), Items: items,
	}
	w.awaited, w.awaitedSeq = e.Call, e.Seq
	d.late = append(d.late, &core.Poll{Session: e.Session, Seq: e.Seq, Received: e.Received, Free: free, Max: most, Held: held, Lent: lent, Items: items})
	d.step(e)
}

// oddPoll goes on to the next poll though it has no answer to the last, or claims what it does not
// know.
func (d *modelDriver) oddPoll() {
	w := d.worker()
	if w.session == 0 {
		return
	}
	w.seq++
	e := &core.Poll{Call: d.call(), Session: w.session, Seq: w.seq, Received: w.received, Free: 1, Max: 2, Held: d.int("held", -1, 4), Until: d.until()}
	if d.chance("liar", 20) {
		e.Received = w.seq + 1
	}
	w.awaited, w.awaitedSeq = e.Call, e.Seq
	d.step(e)
}

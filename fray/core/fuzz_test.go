package core_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// FuzzScheduler has bytes stand for what happens to a scheduler. It must not panic, every invariant
// must hold after each step, each call must be answered once, and the same bytes must have the same
// effects.
func FuzzScheduler(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		first := newFuzzRun(t).run(data)
		if second := newFuzzRun(t).run(data); first != second {
			t.Errorf("the same events once had the effects\n%s\nand once\n%s", first, second)
		}
	})
}

// fuzzRun is one scheduler and what its callers know.
type fuzzRun struct {
	t        *testing.T
	s        *core.Scheduler
	now      core.Time
	calls    core.CallID
	open     map[core.CallID]bool
	workers  [4]fuzzWorker
	granted  []fuzzGrant
	recorded map[core.TaskNum]core.RecordKind
	batch    []core.Event
	batching int
	// Whose registration is under way.
	registering *fuzzWorker
	cfg         core.Config
	ledger      *ledger
	specs       map[core.TaskNum]fuzzSpec
	told        strings.Builder
	// The last number of a call.
	numbers uint64
}

type fuzzGrant struct {
	core.Grant
	worker int
}

type fuzzWorker struct {
	registrations        int
	session              core.Token
	seq, received, beats uint64
	polls                map[core.CallID]uint64
}

func newFuzzRun(t *testing.T) *fuzzRun {
	t.Helper()
	return &fuzzRun{
		t: t, now: epoch, open: make(map[core.CallID]bool), recorded: make(map[core.TaskNum]core.RecordKind),
		ledger: newLedger(), specs: make(map[core.TaskNum]fuzzSpec),
	}
}

// fuzzOp is something that may happen.
type fuzzOp struct {
	name string
	// How many bytes it takes.
	args int
	do   func(r *fuzzRun, a []byte)
}

// fuzzOps are what a byte may stand for, by its remainder. New ones go to the end, so that the
// corpus keeps its meaning.
var fuzzOps = []fuzzOp{
	{"submit", 4, (*fuzzRun).submit}, // job, shape, tasks, first id
	{"register", 3, (*fuzzRun).register},
	{"poll", 4, (*fuzzRun).poll}, // worker, free, ahead, wait
	{"repoll", 4, (*fuzzRun).repoll},
	{"report", 3, (*fuzzRun).report}, // which, outcome, how
	{"reportall", 2, (*fuzzRun).reportAll},
	{"beat", 4, (*fuzzRun).beat}, // worker, queued, running, how
	{"advance", 2, (*fuzzRun).advance},
	{"cancel", 2, func(r *fuzzRun, a []byte) {
		r.event(&core.Cancel{Call: r.call(), IDs: []string{fuzzID(a[0])}, Job: []string{"", "", "j0", "j1"}[a[1]%4]})
	}},
	{"drain", 2, func(r *fuzzRun, a []byte) {
		r.event(&core.Drain{Call: r.call(), WorkerID: fuzzWorkerID(a[0]), Grace: time.Duration(a[1]) * time.Second})
	}},
	{"unregister", 1, func(r *fuzzRun, a []byte) {
		r.event(&core.Unregister{Call: r.call(), Session: r.workers[a[0]%4].session})
	}},
	{"await", 2, func(r *fuzzRun, a []byte) {
		r.event(&core.Await{Call: r.call(), ID: fuzzID(a[0]), Until: r.until(a[1])})
	}},
	{"watch", 4, func(r *fuzzRun, a []byte) {
		r.event(&core.Watch{Call: r.call(), Job: fuzzJob(a[0]), Cursor: uint64(a[1]), Max: int(a[2]), Until: r.until(a[3])})
	}},
	{"list", 3, func(r *fuzzRun, a []byte) {
		e := &core.List{Call: r.call(), Job: []string{"", "j0", "j9"}[a[0]%3], After: core.TaskNum(a[1]), Max: int(a[2]) - 1}
		e.Statuses[int(a[1])%len(e.Statuses)] = a[2]%2 == 0
		e.Newest = a[0] >= 128
		r.event(e)
	}},
	{"get", 1, func(r *fuzzRun, a []byte) { r.event(&core.Get{Call: r.call(), ID: fuzzID(a[0])}) }},
	{"ask", 0, func(r *fuzzRun, _ []byte) {
		r.event(&core.ListWorkers{Call: r.call(), Max: 1000})
		r.event(&core.Info{Call: r.call()})
		r.event(&core.ListJobs{Call: r.call(), Max: 3})
		r.event(&core.ListPending{Call: r.call()})
		r.event(&core.ListLimits{Call: r.call(), Max: 3})
		r.event(&core.ListObjects{Call: r.call(), Max: 3})
		r.event(&core.GetJob{Call: r.call(), Job: fuzzJob(0)})
	}},
	{"forsake", 1, func(r *fuzzRun, a []byte) {
		r.flush() // Or else it might still be answered.
		call := r.calls - min(core.CallID(a[0]), r.calls)
		delete(r.open, call)
		r.event(&core.Forsake{Call: call})
	}},
	{"together", 1, func(r *fuzzRun, a []byte) { r.batching = int(a[0]) % 8 }},
	{"restart", 2, (*fuzzRun).restart},   // how, seconds
	{"comeback", 3, (*fuzzRun).comeback}, // worker, kind, phases
	{"actor", 3, (*fuzzRun).actor},       // job, kind, id
	{"call", 4, (*fuzzRun).callActor},    // job and caller, kind, id, actor
	{"ready", 1, (*fuzzRun).ready},       // worker
	{"actors", 2, func(r *fuzzRun, a []byte) {
		r.event(&core.ListActors{Call: r.call(), After: core.TaskNum(a[0]), Max: int(a[1]%4) + 1, Name: []string{"", "", "x", "y"}[a[1]/4%4]})
	}},
}

// run carries out data and returns everything that the scheduler said.
func (r *fuzzRun) run(data []byte) string {
	const longest = 4096
	data = data[:min(len(data), longest)]
	head := r.take(&data, 4)
	r.cfg = core.Config{
		Incarnation: 1, Seed: uint64(head[0]), Durable: head[0] >= 128, SessionTTL: 15 * time.Second,
		DeliveryTimeout: time.Duration(head[1]) * time.Second, MaxRetained: int(head[2]), MaxOpenTasks: int(head[3]),
		MaxRetainedBytes: 1000, MaxQueuedBytes: 1000, MaxClasses: 5, MaxJobs: 4, MaxSessions: 3, BlackHoleFailures: 2,
	}
	r.s = core.NewScheduler(r.cfg)
	for len(data) > 0 {
		op := fuzzOps[int(data[0])%len(fuzzOps)]
		data = data[1:]
		op.do(r, r.take(&data, op.args))
	}
	r.flush()
	r.pass(2 * time.Hour)
	for call := range r.open {
		r.t.Errorf("call %d is never answered", call)
	}
	return r.told.String()
}

func (r *fuzzRun) take(data *[]byte, n int) []byte {
	a := make([]byte, n)
	*data = (*data)[copy(a, *data):]
	return a
}

func (r *fuzzRun) call() core.CallID {
	r.calls++
	r.open[r.calls] = true
	return r.calls
}

func (r *fuzzRun) until(b byte) core.Time {
	return r.now.Add(time.Duration(b) * 100 * time.Millisecond)
}

// event has an event happen, by itself or together with others.
func (r *fuzzRun) event(e core.Event) {
	if r.batch = append(r.batch, e); r.batching > 0 {
		r.batching--
		return
	}
	r.flush()
}

func (r *fuzzRun) flush() {
	events := r.batch
	r.batch, r.batching = nil, 0
	r.step(events...)
}

func (r *fuzzRun) step(events ...core.Event) {
	var out core.Effects
	r.s.Step(r.now, &out, events...)
	fmt.Fprintf(&r.told, "%v %+v %+v\n", r.now, out.Replies, out.Attempts)
	if err := r.s.Check(); err != nil {
		r.t.Fatal(err)
	}
	if r.cfg.Durable {
		r.ledger.commit(out.Records)
	}
	for _, rec := range out.Records {
		if rec.View != nil {
			fmt.Fprintf(&r.told, "%+v\n", *rec.View)
			rec.View = nil
		}
		if rec.State != nil {
			fmt.Fprintf(&r.told, "%+v\n", *rec.State)
		}
		if rec.Details != nil {
			fmt.Fprintf(&r.told, "%+v\n", *rec.Details)
		}
		rec.State, rec.Details = nil, nil
		fmt.Fprintf(&r.told, "%+v\n", rec)
		if rec.Kind > core.RecordForget {
			continue
		}
		if r.recorded[rec.Task]++; r.recorded[rec.Task] != rec.Kind {
			r.t.Fatalf("task %d has record %d out of turn", rec.Task, rec.Kind)
		}
	}
	for _, reply := range out.Replies {
		if !r.open[reply.Call] {
			r.t.Fatalf("call %d is answered out of turn", reply.Call)
		}
		delete(r.open, reply.Call)
		r.learn(reply)
	}
	r.learnSpecs(events, out.Replies)
}

// learn takes from replies what later events refer to.
func (r *fuzzRun) learn(reply core.Reply) {
	if b, ok := reply.Body.(core.RegisterReply); ok && b.Session != r.registering.session {
		*r.registering = fuzzWorker{
			registrations: r.registering.registrations, session: b.Session, polls: make(map[core.CallID]uint64),
		}
	}
	for i := range r.workers {
		w := &r.workers[i]
		seq, asked := w.polls[reply.Call]
		if p, ok := reply.Body.(core.PollReply); ok && asked {
			w.received = max(w.received, seq)
			for _, g := range p.Grants {
				r.granted = append(r.granted, fuzzGrant{g, i})
			}
		}
	}
}

func (r *fuzzRun) pass(d time.Duration) {
	r.flush()
	end := r.now.Add(d)
	for i := 0; ; i++ {
		if i > 100_000 {
			r.t.Fatal("the scheduler wants to be woken for ever")
		}
		r.now = max(r.now, min(r.s.Next(), end))
		r.step()
		if r.now >= end && r.s.Next() > end {
			return
		}
	}
}

func fuzzID(b byte) string       { return "t" + strconv.Itoa(int(b)%64) }
func fuzzJob(b byte) string      { return "j" + strconv.Itoa(int(b)%6) }
func fuzzWorkerID(b byte) string { return "w" + strconv.Itoa(int(b)%4) }

var fuzzShapes = []core.Shape{
	{Function: "f"},
	{Function: "g", Priority: 1, MaxRetries: 2, BackoffBase: time.Second, BackoffFactor: 2, BackoffCap: time.Minute, BackoffJitter: 0.5},
	{Function: "f", MaxWorkerLosses: 2, ExecutionTimeout: 3 * time.Second},
	{Function: "f", SchedulingTimeout: 5 * time.Second, MaxWorkerLosses: 1},
	{Function: "f", Resources: []core.Resource{{Name: "cpu", Amount: 400}}, MaxWorkerLosses: 9, MaxRetries: 1},
	{Function: "g", Resources: []core.Resource{{Name: "cpu", Amount: 700}, {Name: "gpu", Amount: 1}}},
	{Function: "f", Labels: []core.Label{{Name: "zone", Value: "eu"}}, Priority: math.MinInt32},
	{Function: "f", Priority: math.MaxInt32, MaxRetries: math.MaxUint32, MaxWorkerLosses: math.MaxUint32},
	{Function: "f", MaxRetries: 5, BackoffFactor: 1e300, BackoffJitter: 1},
	{Function: "h", MaxRetries: 5, BackoffBase: math.MaxInt64, BackoffFactor: 1e300, BackoffCap: math.MaxInt64},
}

func (r *fuzzRun) submit(a []byte) {
	e := &core.Submit{Call: r.call(), Job: fuzzJob(a[0])}
	for i := range a[2] % 16 {
		e.Tasks = append(e.Tasks, core.NewTask{
			ID: fuzzID(a[3] + i), Shape: &fuzzShapes[int(a[1])%len(fuzzShapes)], Spec: make([]byte, a[1]%16),
		})
	}
	r.event(e)
}

func (r *fuzzRun) register(a []byte) {
	if a[2]%4 > 0 {
		r.workers[a[0]%4].registrations++
	}
	r.registerWith(a, nil)
}

func (r *fuzzRun) registerWith(a []byte, held []core.Held) {
	w := &r.workers[a[0]%4]
	e := &core.Register{
		Call: r.call(), WorkerID: fuzzWorkerID(a[0]), RegistrationID: strconv.Itoa(w.registrations), Slots: int(a[1]%4) + 1,
		Functions: [][]string{{"f"}, {"g"}, {"f", "g"}, {"f", "g", "h"}}[a[1]/4%4],
		Labels:    map[string]string{"zone": []string{"eu", "us"}[a[1]/16%2]},
		Resources: [][]core.Resource{nil, {{Name: "cpu", Amount: 1000}}, {{Name: "cpu", Amount: 800}, {Name: "gpu", Amount: 1}}}[a[1]/32%3],
		Held:      held,
	}
	r.flush()
	r.registering = w
	r.step(e)
}

func (r *fuzzRun) poll(a []byte) {
	w := &r.workers[a[0]%4]
	w.seq++
	r.pollAs(w, a)
}

func (r *fuzzRun) repoll(a []byte) { r.pollAs(&r.workers[a[0]%4], a) }

func (r *fuzzRun) pollAs(w *fuzzWorker, a []byte) {
	e := &core.Poll{
		Call: r.call(), Session: w.session, Seq: w.seq, Received: w.received, Free: int(a[1] % 8), Max: int(a[1]%8) + int(a[2]%8) - 1,
		Held:  int(a[2]%7) - 1,
		Until: r.until(a[3]),
	}
	switch { // Now and then a copy of an old one, or one whose answer to the last is lost.
	case a[2] >= 0xf0:
		e.Seq -= min(e.Seq, uint64(a[2]&0xf))
	case a[2] >= 0xe0:
		e.Received -= min(e.Received, 1)
	}
	if w.polls != nil {
		w.polls[e.Call] = e.Seq
	}
	r.event(e)
}

func (r *fuzzRun) item(g fuzzGrant, outcome, how byte) core.ReportItem {
	return core.ReportItem{
		Task: g.ID, Attempt: g.Attempt + uint32(how/128), Token: g.Token, Outcome: core.Outcome(outcome % 9), Result: make([]byte, how%32),
		Ran: time.Duration(how%4) * 500 * time.Millisecond, NonRetryable: how%16 == 15, RetryAfter: time.Duration(how%8) * time.Second, Checkpoint: make([]byte, how%3),
	}
}

func (r *fuzzRun) report(a []byte) {
	e := &core.Report{Call: r.call(), Session: core.Token(r.cfg.Incarnation<<40 + 1)}
	if n := len(r.granted); n > 0 {
		e.Items = append(e.Items, r.item(r.granted[n-1-int(a[0])%n], a[1], a[2]))
	}
	r.event(e)
}

// reportAll tells of all that a worker's newest session, or one before it, was granted.
func (r *fuzzRun) reportAll(a []byte) {
	e := &core.Report{Call: r.call(), Session: r.workers[a[0]%4].session}
	for _, g := range r.granted {
		if g.worker == int(a[0]%4) {
			e.Items = append(e.Items, r.item(g, a[1], a[1]/9))
		}
	}
	r.event(e)
}

func (r *fuzzRun) beat(a []byte) {
	w := &r.workers[a[0]%4]
	w.beats++
	e := &core.Heartbeat{
		Call: r.call(), Session: w.session, Seq: w.beats, Received: w.received, Until: r.until(a[3] & 0x3f), Draining: a[3] == 0xff,
	}
	for i, g := range slices.Backward(r.granted) {
		switch age := len(r.granted) - 1 - i; {
		case age > 8:
		case a[1]>>age&1 != 0:
			e.Queued = append(e.Queued, g.Token)
		case a[2]>>age&1 != 0:
			e.Running = append(e.Running, g.Token)
		case a[3]&0x40 != 0:
			e.Finished = append(e.Finished, g.Token)
		}
	}
	if a[3]&0x80 != 0 {
		e.Seq -= min(e.Seq, 2)
		e.Received -= min(e.Received, 1)
	}
	r.event(e)
}

func (r *fuzzRun) advance(a []byte) {
	r.pass(time.Duration(binary.BigEndian.Uint16(a)) * 10 * time.Millisecond)
}

// actor offers one.
func (r *fuzzRun) actor(a []byte) {
	losses := uint32(a[1] % 4)
	shape := &core.Shape{Function: []string{"f", "g"}[a[1]/4%2], Role: core.Life, MaxWorkerLosses: losses, MaxRetries: losses}
	actor := &core.NewActor{Name: []string{"", "x", "y", ""}[a[1]/8%4], Concurrency: int(a[1] / 32 % 4)}
	r.event(&core.Submit{Call: r.call(), Job: fuzzJob(a[0]), Tasks: []core.NewTask{{ID: fuzzID(a[2]), Shape: shape, Actor: actor}}})
}

// callActor offers calls of one of a few callers, whose numbers rise with what was offered before, but for some.
func (r *fuzzRun) callActor(a []byte) {
	shape := &core.Shape{Function: "f", Role: core.ActorCall, MaxWorkerLosses: uint32(a[1] % 2), MaxRetries: uint32(a[1] / 2 % 2)}
	if a[1]&4 != 0 {
		shape.SchedulingTimeout = 5 * time.Second
	}
	e := &core.Submit{Call: r.call(), Job: fuzzJob(a[0])}
	for i := range a[1]/8%4 + 1 {
		r.numbers++
		n := core.NewTask{ID: fuzzID(a[2] + i), Shape: shape, ActorCall: &core.NewCall{
			Actor: fuzzID(a[3]), Caller: []string{"c", "d", "e"}[a[0]/6%3], Number: r.numbers - min(r.numbers-1, uint64(a[1]/32/6*3)),
		}}
		if a[1]&0x40 != 0 && i == 0 {
			n.NeedsTasks = []string{fuzzID(a[2] + 32)}
		}
		e.Tasks = append(e.Tasks, n)
	}
	r.event(e)
}

// ready has a worker say of all that it was granted that it is an actor which takes calls.
func (r *fuzzRun) ready(a []byte) { r.reportAll([]byte{a[0], byte(core.ReadyOutcome), 0}) }

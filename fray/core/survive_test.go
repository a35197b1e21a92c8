package core_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/core"
)

// TestPromisesSurvive has schedulers die at any moment, with or without the power, and holds each
// that follows to what the ones before it have said: it foresees nothing else.
func TestPromisesSurvive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newSurvival(rt)
		for range rapid.IntRange(1, 120).Draw(rt, "steps") {
			w.act()
		}
		w.finish()
	})
}

// survival is a scheduler, what it writes, and what its callers were told.
type survival struct {
	t        *rapid.T
	cfg      core.Config
	s        *core.Scheduler
	ledger   *ledger
	now      core.Time
	calls    core.CallID
	ids      []string
	promises map[string]*promise
	specs    map[core.TaskNum]*core.NewTask
	ended    map[string]int
	workers  [3]survivor
}

// promise is what clients and workers know of a task.
type promise struct {
	shape *core.Shape
	// Its submission was acknowledged; a cancellation was; what it was seen to have become.
	submitted, cancelled bool
	end                  core.Status
	// Reports that were accepted.
	failures, successes uint32
}

type survivor struct {
	session    core.Token
	registered int
	seq        uint64
	held       []core.Held
}

var survivalShapes = []core.Shape{
	{Function: "f"},
	{Function: "f", MaxRetries: 2, BackoffBase: time.Second, BackoffFactor: 2, BackoffCap: time.Minute, MaxWorkerLosses: 1},
	{Function: "f", MaxWorkerLosses: 2, ExecutionTimeout: 20 * time.Second},
	{Function: "f", SchedulingTimeout: time.Minute, MaxWorkerLosses: 1},
	{Function: "f", Resources: []core.Resource{{Name: "cpu", Amount: 1}}, MaxRetries: 1, MaxWorkerLosses: 1},
}

func newSurvival(t *rapid.T) *survival {
	w := &survival{
		t: t, cfg: core.Config{Incarnation: 1, Durable: true, Retention: 1000 * time.Hour}, ledger: newLedger(), now: epoch,
		promises: make(map[string]*promise), specs: make(map[core.TaskNum]*core.NewTask), ended: make(map[string]int),
	}
	w.s = core.NewScheduler(w.cfg)
	return w
}

func (w *survival) int(name string, n int) int { return rapid.IntRange(0, n-1).Draw(w.t, name) }

// act has something happen. Now and then a step is the last of its scheduler: its records are lost,
// and so are its replies.
func (w *survival) act() {
	p := &w.workers[w.int("worker", len(w.workers))]
	id := func() string { return w.ids[w.int("id", len(w.ids))] }
	w.calls++
	switch action := w.int("action", 20); {
	case action < 4:
		e := &core.Submit{Call: w.calls, Job: "j"}
		for range w.int("tasks", 4) {
			name := fmt.Sprintf("t%d", len(w.ids))
			if len(w.ids) > 0 && w.int("again", 4) == 0 {
				name = id()
			} else {
				w.ids = append(w.ids, name)
				w.promises[name] = &promise{shape: &survivalShapes[w.int("shape", len(survivalShapes))]}
			}
			e.Tasks = append(e.Tasks, core.NewTask{ID: name, Shape: w.promises[name].shape})
		}
		w.step(e, nil)
	case action < 8:
		w.poll(p, w.int("free", 3), w.int("ahead", 3))
	case action < 11:
		w.report(p, func() core.Outcome { return core.Outcome(w.int("outcome", 7) + 1) })
	case action < 13:
		w.register(p)
	case action < 15:
		w.beat(p)
	case action < 16 && len(w.ids) > 0:
		w.cancel(id())
	case action < 18:
		w.pass(time.Duration(w.int("seconds", 25)) * time.Second)
	case action < 19:
		w.restart(w.int("power", 2) == 0)
	}
	w.look()
}

// step has the scheduler take an event, and its caller learn the reply unless nothing comes of it.
func (w *survival) step(e core.Event, learn func(body any, err error)) {
	var out core.Effects
	w.s.Step(w.now, &out, e)
	if w.int("dies", 30) == 0 {
		w.restart(w.int("power", 2) == 0)
		return
	}
	w.commit(out.Records)
	if s, ok := e.(*core.Submit); ok {
		w.submitted(s, out.Replies)
	}
	for _, r := range out.Replies {
		if r.Call == w.calls && learn != nil {
			learn(r.Body, r.Err)
		}
	}
	if err := w.s.Check(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *survival) commit(records []core.Record) {
	w.ledger.commit(records)
	for _, r := range records {
		if r.Kind != core.RecordEnd {
			continue
		}
		if w.ended[r.View.ID]++; w.ended[r.View.ID] > 1 {
			w.t.Fatalf("task %s has ended %d times", r.View.ID, w.ended[r.View.ID])
		}
	}
}

func (w *survival) submitted(e *core.Submit, replies []core.Reply) {
	r := replies[slices.IndexFunc(replies, func(r core.Reply) bool { return r.Call == e.Call })].Body.(core.SubmitReply)
	for i, res := range r.Results {
		p := w.promises[e.Tasks[i].ID]
		if created := res.Verdict == core.SubmitCreated; created == p.submitted || !created && res.Verdict != core.SubmitExisting {
			w.t.Fatalf("task %s, whose submission was acknowledged: %v, is submitted anew with verdict %v", e.Tasks[i].ID, p.submitted, res.Verdict)
		}
		p.submitted = true
		w.specs[res.Task] = &e.Tasks[i]
	}
}

func (w *survival) restart(power bool) {
	w.cfg.Incarnation++
	s, err := w.ledger.restore(w.cfg, w.now, power, func(r *core.Restored) {
		r.ID, r.Shape, r.Submitted = w.specs[r.Num].ID, w.specs[r.Num].Shape, epoch
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.s, w.now = s, s.Now()
}

func (w *survival) register(p *survivor) {
	p.registered++
	e := &core.Register{
		Call: w.calls, WorkerID: fmt.Sprint(p == &w.workers[0], p == &w.workers[1]), RegistrationID: fmt.Sprint(p.registered),
		Slots: 3, Functions: []string{"f"}, Resources: []core.Resource{{Name: "cpu", Amount: 2}}, Held: slices.Clone(p.held),
	}
	w.step(e, func(body any, _ error) {
		r := body.(core.RegisterReply)
		p.held = slices.DeleteFunc(p.held, func(h core.Held) bool { return !slices.Contains(r.Kept, h.Token) })
		p.session, p.seq = r.Session, 0
	})
}

func (w *survival) poll(p *survivor, free, ahead int) {
	p.seq++
	e := &core.Poll{Call: w.calls, Session: p.session, Seq: p.seq, Received: p.seq - 1, Free: free, Max: free + ahead, Held: -1, Until: w.now}
	w.step(e, func(body any, _ error) {
		r, _ := body.(core.PollReply)
		for _, g := range r.Grants {
			if pr := w.promises[g.ID]; pr.cancelled || pr.end != 0 {
				w.t.Fatalf("task %s is granted after it was cancelled (%v) or had ended (%v)", g.ID, pr.cancelled, pr.end)
			}
			p.held = append(p.held, core.Held{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Phase: core.HeldQueued})
		}
	})
}

// report tells of the first attempt that a worker holds, until it is judged.
func (w *survival) report(p *survivor, outcome func() core.Outcome) {
	if len(p.held) == 0 {
		return
	}
	h := &p.held[0]
	i := core.ReportItem{Task: h.Task, Attempt: h.Attempt, Token: h.Token, Outcome: outcome(), Ran: time.Second}
	h.Phase = core.HeldFinished
	w.step(&core.Report{Call: w.calls, Session: p.session, Items: []core.ReportItem{i}}, func(body any, err error) {
		if err != nil {
			return
		}
		pr := w.promises[i.Task]
		if body.(core.ReportReply).Verdicts[0] == core.Accepted {
			switch i.Outcome {
			case core.Succeeded:
				pr.successes++
			case core.FailedOutcome, core.TimedOut:
				pr.failures++
			}
		}
		if i.Outcome != core.Started {
			p.held = p.held[1:]
		}
	})
}

func (w *survival) beat(p *survivor) {
	e := &core.Heartbeat{Call: w.calls, Session: p.session, Seq: uint64(w.calls), Received: p.seq, Until: w.now}
	for i := range p.held {
		h := &p.held[i]
		if h.Phase == core.HeldQueued && w.int("starts", 2) == 0 {
			h.Phase = core.HeldRunning
		}
		to := []*[]core.Token{core.HeldQueued: &e.Queued, core.HeldRunning: &e.Running, core.HeldFinished: &e.Finished}[h.Phase]
		*to = append(*to, h.Token)
	}
	w.step(e, func(body any, _ error) {
		r, _ := body.(core.HeartbeatReply)
		p.held = slices.DeleteFunc(p.held, func(h core.Held) bool { return slices.Contains(r.Stop, h.Token) && w.int("stops", 2) == 0 })
	})
}

func (w *survival) cancel(id string) {
	w.step(&core.Cancel{Call: w.calls, IDs: []string{id}}, func(body any, _ error) {
		p := w.promises[id]
		switch body.(core.CancelReply).Verdicts[0] {
		case core.CancelDone:
			p.end, p.cancelled = core.Cancelled, true
		case core.CancelStopping:
			p.cancelled = true
		}
	})
}

func (w *survival) pass(d time.Duration) {
	for end := w.now.Add(d); ; {
		w.now = max(w.now, min(w.s.Next(), end))
		w.calls++
		w.step(&core.Info{Call: w.calls}, nil)
		if w.now >= end && w.s.Next() > end {
			return
		}
	}
}

// look holds all that is known against what was promised.
func (w *survival) look() {
	for _, id := range w.ids {
		var out core.Effects
		w.calls++
		w.s.Step(w.now, &out, &core.Get{Call: w.calls, ID: id})
		w.commit(out.Records)
		p := w.promises[id]
		i := slices.IndexFunc(out.Replies, func(r core.Reply) bool { return r.Call == w.calls })
		r := out.Replies[i]
		if errors.Is(r.Err, core.ErrUnknownTask) && !p.submitted {
			continue
		}
		if r.Err != nil {
			w.t.Fatalf("task %s, whose submission was acknowledged: %v", id, r.Err)
		}
		v := r.Body.(core.TaskReply).View
		switch {
		case p.end != 0 && v.Status != p.end:
			w.t.Fatalf("task %s was %v and is %v", id, p.end, v.Status)
		case (w.ended[id] == 1) != v.Status.Terminal():
			w.t.Fatalf("task %s has ended %d times and is %v", id, w.ended[id], v.Status)
		case p.successes > 1 || p.successes == 1 && v.Status != core.Completed:
			w.t.Fatalf("task %s, of which %d successes were accepted, is %v", id, p.successes, v.Status)
		case p.failures > v.Failures:
			w.t.Fatalf("task %s, of which %d failures were accepted, knows of %d", id, p.failures, v.Failures)
		case v.Failures > p.shape.MaxRetries+1 || v.Losses > p.shape.MaxWorkerLosses+1:
			w.t.Fatalf("task %s was charged with %d failures and %d losses", id, v.Failures, v.Losses)
		case p.cancelled && !v.Status.Terminal() && !v.CancelRequested:
			w.t.Fatalf("task %s is %v as if nobody had cancelled it", id, v.Status)
		}
		if v.Status.Terminal() {
			p.end = v.Status
		}
	}
}

// finish has a good worker do all that is left.
func (w *survival) finish() {
	w.restart(false)
	w.pass(time.Minute)
	p := &survivor{registered: 1000}
	for range 200 {
		w.calls++
		w.register(p)
		for range 10 {
			w.calls++
			w.poll(p, 3, 0)
			for range 3 {
				w.calls++
				w.report(p, func() core.Outcome { return core.Succeeded })
			}
		}
		w.look()
		if !slices.ContainsFunc(w.ids, func(id string) bool { return w.promises[id].submitted && w.promises[id].end == 0 }) {
			return
		}
		w.pass(20 * time.Second)
	}
	w.t.Fatal("tasks are open for ever")
}

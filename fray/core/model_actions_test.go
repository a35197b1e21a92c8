package core_test

import (
	"slices"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// learn has the workers receive the answers to their polls, unless they are lost.
func (d *modelDriver) learn(replies []core.Reply) {
	for _, id := range []string{"w1", "w2", "w3", "w4"} {
		w := d.workers[id]
		for _, r := range replies {
			p, ok := r.Body.(core.PollReply)
			if !ok || r.Call != w.awaited || d.chance("lost", 25) {
				continue
			}
			w.received = max(w.received, w.awaitedSeq)
			for _, g := range p.Grants {
				w.held = append(w.held, d.m.attempts[g.Token])
			}
		}
	}
}

// beat tells what a worker holds; now and then it forgets an attempt, or holds one that is
// nobody's. A copy of it, or it itself, may arrive late.
func (d *modelDriver) beat() {
	w := d.worker()
	if w.session == 0 {
		return
	}
	w.beats++
	e := &core.Heartbeat{Session: w.session, Seq: w.beats, Received: w.received, Draining: d.chance("draining", 2)}
	for _, a := range slices.Clone(w.held) {
		switch n := d.int("held", 0, 9); {
		case n == 0:
			w.drop(a)
		case n < 4:
			e.Queued = append(e.Queued, a.token)
		case n < 9:
			e.Running = append(e.Running, a.token)
		default:
			e.Finished = append(e.Finished, a.token)
		}
	}
	if d.chance("unknown", 10) {
		e.Running = append(e.Running, core.Token(d.int("token", 1, 3)))
	}
	if len(d.granted) > 0 && d.chance("another's", 10) {
		e.Queued = append(e.Queued, pick(d, "attempt", d.granted).token)
	}
	if d.chance("late", 25) {
		d.late = append(d.late, e)
		return
	}
	d.send(e)
}

func (w *modelWorker) drop(a *modelAttempt) {
	w.held = slices.DeleteFunc(w.held, func(x *modelAttempt) bool { return x == a })
}

// send takes a call that was written before.
func (d *modelDriver) send(e core.Event) {
	switch e := e.(type) {
	case *core.Heartbeat:
		c := *e
		c.Call, c.Until = d.call(), d.until()
		d.step(&c)
	case *core.Poll:
		c := *e
		c.Call, c.Until = d.call(), d.until()
		d.step(&c)
	case *core.Report:
		c := *e
		c.Call = d.call()
		d.step(&c)
	}
}

// deliverLate has a call arrive that was under way, perhaps a second time.
func (d *modelDriver) deliverLate() {
	if len(d.late) == 0 {
		return
	}
	i := d.int("which", 0, len(d.late)-1)
	e := d.late[i]
	if d.chance("once", 70) {
		d.late = slices.Delete(d.late, i, i+1)
	}
	d.send(e)
}

func (d *modelDriver) item(a *modelAttempt) core.ReportItem {
	i := core.ReportItem{
		Task: a.task.id, Attempt: a.n, Token: a.token, Outcome: core.Outcome(d.int("outcome", 1, 9)), Result: make([]byte, d.int("result", 0, 3)),
	}
	switch {
	case a.task.life() && d.chance("ready", 80):
		i.Outcome = core.ReadyOutcome
	case i.Outcome > core.ReadyOutcome:
		i.Outcome = core.Succeeded
	}
	if d.chance("checkpoint", 30) {
		i.Checkpoint = []byte("state")
	}
	i.Ran = pick(d, "ran", []time.Duration{0, time.Millisecond, 2 * time.Second})
	i.NonRetryable = d.chance("non-retryable", 10)
	if d.chance("retry after", 20) {
		i.RetryAfter = 3 * time.Second
	}
	return i
}

// items tells of some of what a worker holds, and returns which of it ends.
func (d *modelDriver) items(w *modelWorker) (items []core.ReportItem, ended []*modelAttempt) {
	for _, a := range w.held {
		if d.chance("report", 60) {
			i := d.item(a)
			items = append(items, i)
			if i.Outcome != core.Started && i.Outcome != core.ReadyOutcome {
				ended = append(ended, a)
			}
		}
	}
	return items, ended
}

// report ends some of what a worker holds. It may be sent twice.
func (d *modelDriver) report() {
	w := d.worker()
	e := &core.Report{Call: d.call(), Session: w.session}
	var ended []*modelAttempt
	e.Items, ended = d.items(w)
	if len(e.Items) == 0 || w.session == 0 {
		return
	}
	if d.chance("twice", 25) {
		d.late = append(d.late, e)
	}
	for _, r := range d.step(e).Replies {
		if r.Call == e.Call && r.Err == nil {
			for _, a := range ended {
				w.drop(a)
			}
		}
	}
}

// oddReport tells of any attempt that ever was, with any name.
func (d *modelDriver) oddReport() {
	if len(d.granted) == 0 {
		return
	}
	i := d.item(pick(d, "attempt", d.granted))
	switch d.int("lie", 0, 6) {
	case 0:
		i.Task = pick(d, "task", d.ids)
	case 1:
		i.Attempt++
	case 2:
		i.Token = pick(d, "token", d.granted).token
	case 3:
		i.Token = 0
	}
	d.step(&core.Report{Call: d.call(), Session: d.m.token(), Items: []core.ReportItem{i, i}})
}

func (d *modelDriver) pass() {
	d.advance(time.Duration(d.int("tenths", 0, 80)) * 100 * time.Millisecond)
}

func (d *modelDriver) cancel() {
	e := &core.Cancel{Call: d.call(), Owner: d.owner(), WithDependants: d.chance("with dependants", 50)}
	for range d.int("ids", 0, 3) {
		if len(d.ids) > 0 {
			e.IDs = append(e.IDs, pick(d, "id", d.ids))
		}
	}
	if d.chance("job", 20) {
		e.Job = pick(d, "job", []string{"j", "k"})
	}
	d.step(e)
}

func (d *modelDriver) watch() {
	d.step(&core.Watch{
		Call: d.call(), Job: pick(d, "job", []string{"j", "k", "n"}),
		Cursor: uint64(d.int("cursor", 0, 8)), Max: d.int("max", 0, 4), Until: d.until(),
		Watcher: pick(d, "watcher", []string{"", "a", "b"}), Unconfirmed: uint64(d.int("unconfirmed", 0, 3)), Read: d.chance("read", 50), Owner: d.owner(),
	})
}

func (d *modelDriver) getJob() {
	e := &core.GetJob{Call: d.call(), Job: pick(d, "job", []string{"j", "k", "n"}), Owner: d.owner()}
	if d.chance("waits", 50) {
		e.Until = d.until()
	}
	d.step(e)
}

func (d *modelDriver) await() {
	if len(d.ids) > 0 {
		d.step(&core.Await{Call: d.call(), ID: pick(d, "id", d.ids), Until: d.until(), Read: d.chance("read", 50), Owner: d.owner()})
	}
}

func (d *modelDriver) awaitAny() {
	e := &core.AwaitAny{Call: d.call(), Until: d.until(), Read: d.chance("read", 50), Owner: d.owner()}
	for range d.int("ids", 0, 3) {
		if id := pick(d, "id", append([]string{"nobody's"}, d.ids...)); !slices.Contains(e.IDs, id) {
			e.IDs = append(e.IDs, id)
		}
	}
	d.step(e)
}

// forsake gives up any call, also one that was answered.
func (d *modelDriver) forsake() {
	d.step(&core.Forsake{Call: core.CallID(d.int("call", 0, int(d.calls)))})
}

func (d *modelDriver) drain() {
	d.step(&core.Drain{Call: d.call(), WorkerID: d.worker().id, Grace: time.Duration(d.int("grace", 0, 9)) * time.Second})
}

func (d *modelDriver) unregister() {
	d.step(&core.Unregister{Call: d.call(), Session: d.worker().session})
}

// recover has all workers but one fall silent, and that one do everything well. Every task must
// end, but for actors and who waits for the end of one; and these once actors are deleted.
func (d *modelDriver) recover() {
	d.doomed = ""
	const bound = 10 * time.Minute // Of virtual time: sessions, graces and backoffs are far shorter.
	d.advance(d.m.cfg.SessionTTL)
	w := d.workers["w1"]
	w.registrations++
	d.registered(w, &core.Register{
		WorkerID: "w1", Slots: 4, Functions: []string{"f", "g"}, Labels: map[string]string{"zone": "eu"},
		Resources: []core.Resource{{Name: "cpu", Amount: 100_000}}, // Actors keep theirs.
	})
	var lives []core.ReportItem
	deleted := false
	for end := d.m.now.Add(bound); ; {
		open, _ := d.m.open()
		if open == 0 {
			break
		}
		if d.m.now > end {
			for _, t := range d.m.known {
				if !t.status.Terminal() {
					d.t.Logf("%s is %v %v", t.id, t.status, t.pending)
				}
			}
			d.t.Fatalf("%d tasks are open for ever", open)
		}
		if !deleted && !slices.ContainsFunc(d.m.known, func(t *modelTask) bool { return !t.status.Terminal() && !d.m.stuck(t) }) {
			deleted = true
			e := &core.Cancel{Call: d.call()}
			for _, t := range d.m.known {
				if t.life() && !t.status.Terminal() {
					e.IDs = append(e.IDs, t.id)
				}
			}
			d.step(e)
			for i := range lives {
				lives[i].Outcome = core.Stopped
			}
			d.step(&core.Report{Call: d.call(), Session: w.session, Items: lives})
			lives = nil
		}
		w.seq++
		call := d.call()
		out := d.step(&core.Poll{Call: call, Session: w.session, Seq: w.seq, Received: w.seq - 1, Free: 4, Max: 6, Held: -1, Until: d.m.now})
		report := &core.Report{Call: d.call(), Session: w.session}
		for _, r := range out.Replies {
			if p, ok := r.Body.(core.PollReply); ok && r.Call == call {
				for _, g := range p.Grants {
					if d.m.task(g.ID).life() {
						lives = append(lives, core.ReportItem{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: core.ReadyOutcome})
						continue
					}
					report.Items = append(report.Items, core.ReportItem{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: core.Succeeded, Ran: 1})
				}
			}
		}
		report.Items = append(report.Items, lives...)
		d.step(report)
		beat := &core.Heartbeat{Call: d.call(), Session: w.session, Seq: w.seq, Received: w.seq, Until: d.m.now}
		for i := range lives {
			beat.Running = append(beat.Running, lives[i].Token)
		}
		d.step(beat)
		d.advance(time.Second)
	}
	d.advance(time.Minute)
	if calls := len(d.m.parked); calls > 0 {
		d.t.Fatalf("%d calls wait for ever", calls)
	}
}

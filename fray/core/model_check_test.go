package core_test

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// step has the scheduler and the model take the same event, and compares what they say.
func (d *modelDriver) step(events ...core.Event) core.Effects {
	m := d.m
	if how := d.doomed; how != "" {
		d.doomed = ""
		return d.die(how, events)
	}
	m.durable = false
	m.replies, m.woken, m.beats = make(map[core.CallID]any), make(map[*modelJob]bool), make(map[*modelSession]bool)
	m.anys = make(map[*modelCall]bool)
	m.ends, m.specs, m.forgets, m.notes, m.checkpoints = nil, nil, nil, nil, nil
	var out core.Effects
	d.s.Step(m.now, &out, events...)
	m.order = nil
	for _, r := range out.Records {
		if r.Kind == core.RecordEnd {
			m.order = append(m.order, r.Task)
		}
	}
	for _, e := range events {
		m.apply(e)
	}
	m.fireDue()
	m.loseHands()
	m.endings()
	d.stillAlone(out.Replies)
	for _, r := range out.Replies {
		if p, ok := r.Body.(core.PollReply); ok {
			d.grants(r.Call, p)
		}
	}
	m.settle()
	d.replies(out.Replies)
	d.records(out.Records)
	d.checkpoints(out.Records)
	m.waitTurns()
	d.commit(out.Records)
	d.notes(out.Attempts)
	d.state()
	if err := d.s.Check(); err != nil {
		d.t.Fatal(err)
	}
	d.learn(out.Replies)
	return out
}

// free is how many slots a waiting poll's worker has free, with those that became free since it
// asked.
func (c *modelCall) free() int {
	left, held := len(c.session.attempts), c.poll.Held
	if held < 0 {
		held = c.held
	}
	return max(c.poll.Free, min(c.poll.Free+held-left, c.session.reg.Slots-left))
}

// grants judges what a waiting poll was given, task by task.
func (d *modelDriver) grants(call core.CallID, r core.PollReply) {
	m := d.m
	c := m.find(func(c *modelCall) bool { return c.id == call })
	if c == nil || len(r.Grants) == 0 {
		return // Not an answer to a waiting poll; compared as it is.
	}
	s := c.session
	if len(r.Grants) > max(c.poll.Max, c.poll.Free) {
		d.t.Fatalf("poll of %d is granted %d", c.poll.Max, len(r.Grants))
	}
	if m.keepsClear(c) && len(d.alone) > 0 && s.aside {
		d.t.Fatalf("worker %s is set aside and is granted %d", s.reg.WorkerID, len(r.Grants))
	}
	free := c.free()
	calls := true
	for i, g := range r.Grants {
		ahead := i >= free
		t := m.task(g.ID)
		if t == nil || t.num != g.Task || t.job != g.Job || t.attempts+1 != g.Attempt {
			d.t.Fatalf("grant %+v is of no task that is known: %+v", g, t)
		}
		if m.attempts[g.Token] != nil {
			d.t.Fatalf("token %x is given twice", g.Token)
		}
		if t.call() {
			if !calls {
				d.t.Fatalf("call %s is granted after a task", t.id)
			}
			d.handed(s, t, g, free, i)
			d.leaseTo(c, t, g, false)
			continue
		}
		calls = false
		if g.Life != 0 {
			d.t.Fatalf("task %s is granted as a call to %x", t.id, g.Life)
		}
		if !m.takes(s, t, ahead) {
			d.t.Fatalf("worker %s may not be granted %s (%v %v)", s.reg.WorkerID, t.id, t.status, t.pending)
		}
		for _, o := range m.known {
			if o == t || !m.takes(s, o, ahead) || o.shape.Priority < t.shape.Priority {
				continue
			}
			switch {
			case o.shape.Priority > t.shape.Priority:
				d.t.Fatalf("%s is granted before %s, which has a higher priority", t.id, o.id)
			case s.aside && t.alone() && !o.alone(): // It had its turn when the worker was set aside.
			case m.jobs[o.job].turn < m.jobs[t.job].turn:
				d.t.Fatalf("%s is granted though it is the turn of the job of %s", t.id, o.id)
			case o.job == t.job && o.class() == t.class() && o.place < t.place:
				d.t.Fatalf("%s is granted before %s, which stands before it", t.id, o.id)
			}
		}
		if t.alone() && i != len(r.Grants)-1 {
			d.t.Fatalf("%s is granted to run alone, and %d more with it", t.id, len(r.Grants)-1-i)
		}
		m.turn++
		m.jobs[t.job].turn = m.turn
		d.leaseTo(c, t, g, ahead)
	}
	s.granted = c.poll.Seq
	m.disarm(s.delivery)
	s.delivery = m.alarm(m.now.Add(m.cfg.DeliveryTimeout), func() {
		if of := m.takeBack(s, false); of != nil {
			m.penalize(s, of)
		}
	})
	m.unpark(c)
	m.replies[call] = core.PollReply{Grants: r.Grants, Verdicts: c.verdicts}
}

// leaseTo has a poll be granted a task.
func (d *modelDriver) leaseTo(c *modelCall, t *modelTask, g core.Grant, ahead bool) {
	m, s := d.m, c.session
	m.disarm(t.timer)
	t.attempts++
	m.leases++
	a := &modelAttempt{token: g.Token, n: g.Attempt, task: t, session: s, pollSeq: c.poll.Seq, ahead: ahead, granted: m.now, alone: t.alone(), handed: m.leases}
	if t.call() {
		a.life = t.to.cur.token
	}
	t.status, t.pending, t.cur, t.worker = core.Leased, 0, a, s.reg.WorkerID
	t.newest, t.leased, t.wrote.leased, t.wrote.until = g.Token, m.now, m.now, 0
	m.durable = true
	m.attempts[a.token] = a
	d.granted = append(d.granted, a)
	s.attempts = append(s.attempts, a)
	m.stats.granted++
	m.notes = append(m.notes, core.EndLeased)
}

// replies: every call is answered once, with what was foretold.
func (d *modelDriver) replies(got []core.Reply) {
	for _, r := range got {
		want, ok := d.m.replies[r.Call]
		if !ok {
			d.t.Fatalf("call %d is answered out of turn with %+v", r.Call, r)
		}
		delete(d.m.replies, r.Call)
		have := r.Body
		if r.Err != nil {
			have = r.Err
		}
		switch b := r.Body.(type) {
		case core.RegisterReply:
			if s, fresh := want.(*modelSession); fresh {
				if d.m.session(b.Session) != s && d.m.session(b.Session) != nil {
					d.t.Fatalf("session %x is given twice", b.Session)
				}
				s.token = b.Session
				want = core.RegisterReply{Session: b.Session, Kept: s.kept}
			}
		case core.SubmitReply:
			have = modelSubmit{b.Results, b.RetryAfter, modelState{b.View.ID, b.View.Status}, b.Cursor, b.End}
		case core.TaskReply:
			have = modelState{b.View.ID, b.View.Status}
		case core.WatchReply:
			w := modelWatch{next: b.Next, missed: b.Missed, open: b.Open}
			for _, v := range b.Tasks {
				w.tasks = append(w.tasks, modelState{v.ID, v.Status})
			}
			have = w
		case core.TasksReply:
			a := modelAny{unknown: b.Unknown, refused: b.Refused}
			for _, v := range b.Tasks {
				a.tasks = append(a.tasks, modelState{v.ID, v.Status})
			}
			have = a
		}
		if err, failed := want.(error); failed && r.Err != nil && errors.Is(r.Err, err) {
			continue
		}
		if !reflect.DeepEqual(have, want) && !emptyStop(have, want) {
			d.t.Fatalf("call %d is answered with\n%+v, want\n%+v", r.Call, have, want)
		}
	}
	for call, want := range d.m.replies {
		d.t.Fatalf("call %d is not answered, want %+v", call, want)
	}
}

// emptyStop says whether two heartbeat answers differ only in how they tell of nothing to stop.
func emptyStop(a, b any) bool {
	x, ok := a.(core.HeartbeatReply)
	y, too := b.(core.HeartbeatReply)
	return ok && too && len(x.Stop) == 0 && len(y.Stop) == 0 && x.Drain == y.Drain && x.Grace == y.Grace
}

// records: the spec once, then the end once, then that it is forgotten once.
func (d *modelDriver) records(got []core.Record) {
	var of [4][]core.TaskNum
	for _, r := range got {
		switch r.Kind {
		case core.RecordState:
			before := core.RecordSpec
			if r.State.Outlived {
				before = core.RecordEnd
			}
			if d.recorded[r.Task] != before {
				d.t.Fatalf("task %d has a state written out of turn", r.Task)
			}
			continue
		case core.RecordJob, core.RecordForgetJob, core.RecordCheckpoint, core.RecordForgetCheckpoint:
			continue
		}
		of[r.Kind] = append(of[r.Kind], r.Task)
		if d.recorded[r.Task]++; d.recorded[r.Task] != r.Kind {
			d.t.Fatalf("task %d has record %d out of turn", r.Task, r.Kind)
		}
	}
	for kind, want := range map[core.RecordKind][]*modelTask{
		core.RecordSpec: d.m.specs, core.RecordEnd: d.m.ends, core.RecordForget: d.m.forgets,
	} {
		var nums []core.TaskNum
		for _, t := range want {
			nums = append(nums, t.num)
		}
		if !slices.Equal(of[kind], nums) {
			d.t.Fatalf("records %d are of %v, want %v", kind, of[kind], nums)
		}
	}
}

// notes: each attempt is noted when it is granted, and once when it ends.
func (d *modelDriver) notes(got []core.AttemptNote) {
	var have []core.AttemptEnd
	for _, n := range got {
		have = append(have, n.End)
	}
	want := slices.Clone(d.m.notes)
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		d.t.Fatalf("attempts are noted as %v, want %v", have, want)
	}
}

// state compares every task, the totals, and the next alarm; and sees that no poll waits beside
// what it could have.
func (d *modelDriver) state() {
	m := d.m
	d.setAside()
	d.actors()
	for _, c := range m.parked {
		if c.poll == nil || c.poll.Max <= 0 && c.poll.Free <= 0 || c.session.aside && !m.whole(c.session) {
			continue
		}
		for _, t := range m.known {
			if m.takes(c.session, t, c.free() <= 0) {
				d.t.Fatalf("worker %s waits beside task %s", c.session.reg.WorkerID, t.id)
			}
		}
	}
	if got, want := d.s.Next(), m.next(); got != want {
		d.t.Fatalf("the scheduler wants to be woken at %v, should at %v", got.Sub(epoch), want.Sub(epoch))
	}
	stats := d.s.Stats()
	have := modelStats{
		stats.Submitted, stats.Restored, stats.Adopted, stats.Refused, stats.LeasesGranted, stats.SessionsExpired, stats.LeasesExpired,
		stats.DeliveryFailures, stats.StaleReports, stats.DuplicateReports, stats.Forgotten,
	}
	if have != m.stats || stats.Workers != len(m.sessions) {
		d.t.Fatalf("totals are %+v with %d workers, want %+v with %d", have, stats.Workers, m.stats, len(m.sessions))
	}
	if m.next() <= m.now {
		return // To look would fire what is due.
	}
	var out core.Effects
	d.s.Step(m.now, &out, &core.List{Max: len(m.known) + 1})
	r, ok := out.Replies[0].Body.(core.ListReply)
	if !ok || len(r.Tasks) != len(m.known) {
		d.t.Fatalf("list has %d tasks, want %d", len(r.Tasks), len(m.known))
	}
	for i, t := range m.known {
		want := d.view(t)
		if detail := r.Tasks[i].Detail; (detail != "") != (want.Pending == core.NoEligibleWorker || want.Pending == core.Ready && t.alone() || want.Pending == core.Blocked || want.Pending == core.Mailed) {
			d.t.Fatalf("task %s is %v with the explanation %q", t.id, want.Pending, detail)
		}
		if want.Bytes = uint32(t.size); want.Status.Terminal() { // It has a result besides.
			want.Bytes = max(want.Bytes, r.Tasks[i].Bytes)
		}
		if since := r.Tasks[i].PendingSince; (since > 0) != (want.Status == core.Pending) || since > m.now || since > 0 && since < t.submitted {
			d.t.Fatalf("task %s is %v since %v", t.id, want.Status, since)
		}
		want.PendingSince = r.Tasks[i].PendingSince
		if want.Detail = r.Tasks[i].Detail; r.Tasks[i] != want {
			d.t.Fatalf("task %s is\n%+v, want\n%+v", t.id, r.Tasks[i], want)
		}
	}
	d.lists(r.Tasks)
	d.pending(r.Tasks)
}

// pending compares what the tasks wait for with what each says.
func (d *modelDriver) pending(all []core.View) {
	var out core.Effects
	if !d.s.Idle(d.m.now, &out, &core.ListPending{}) {
		d.t.Fatal("to ask what tasks wait for takes a step")
	}
	r := out.Replies[0].Body.(core.PendingReply)
	if err := pendingAs(all, r); err != nil {
		d.t.Fatal(err)
	}
}

// pendingAs says what of a reply is not as views of all tasks have it.
func pendingAs(all []core.View, r core.PendingReply) error {
	type key struct {
		reason           core.PendingReason
		function, detail string
	}
	groupOf := func(reason core.PendingReason, function, detail string) key {
		switch reason {
		case core.Blocked, core.Mailed, core.Scheduled, core.Ganged:
			detail = ""
		}
		return key{reason, function, detail}
	}
	want, total := make(map[key]int), 0
	byID := make(map[string]core.View)
	for _, v := range all {
		if v.Status == core.Pending {
			total++
			want[groupOf(v.Pending, v.Function, v.Detail)]++
			byID[v.ID] = v
		}
	}
	got := make(map[key]int)
	for _, g := range r.Groups {
		got[groupOf(g.Reason, g.Function, g.Detail)] = g.Count
		if v := byID[g.ID]; v.Pending != g.Reason || v.Detail != g.Detail || v.PendingSince != g.Since {
			return fmt.Errorf("task %+v is the longest waiting of %+v", v, g)
		}
	}
	if !maps.Equal(got, want) || r.Total != total || r.Partial {
		return fmt.Errorf("tasks wait for %+v of %d, want %+v of %d", got, r.Total, want, total)
	}
	return nil
}

// lists asks for the tasks in pages, in both orders and with all filters in turn, of which all is what there is.
func (d *modelDriver) lists(all []core.View) {
	d.listed++
	n := d.listed
	e := &core.List{Max: 1 + n%4, Newest: n%2 == 0}
	if len(all) > 0 {
		like := all[n/7%len(all)]
		switch n / 2 % 8 {
		case 1:
			e.Function = like.Function
		case 2:
			e.Worker = like.WorkerID
		case 3:
			e.From = like.Submitted
		case 4:
			e.Until = like.Submitted
		case 5:
			e.Reasons[like.Pending] = like.Pending > 0
		case 6:
			e.Job, e.Statuses[like.Status], e.From, e.Until = like.Job, true, like.Submitted, like.Submitted+1
		case 7:
			e.Job = like.Job
		}
	}
	var want []core.TaskNum
	for _, v := range all {
		if (e.Function == "" || v.Function == e.Function) && (e.Worker == "" || v.WorkerID == e.Worker) && (e.Job == "" || v.Job == e.Job) &&
			v.Submitted >= e.From && (e.Until == 0 || v.Submitted < e.Until) &&
			(e.Job == "" || !slices.Contains(e.Statuses[:], true) || e.Statuses[v.Status]) &&
			(!slices.Contains(e.Reasons[:], true) || e.Reasons[v.Pending]) {
			want = append(want, v.Num)
		}
	}
	if e.Newest {
		slices.Reverse(want)
	}
	var got []core.TaskNum
	for {
		var out core.Effects
		if !d.s.Idle(d.m.now, &out, e) {
			d.t.Fatal("a list takes a step")
		}
		r := out.Replies[0].Body.(core.ListReply)
		for _, v := range r.Tasks {
			got = append(got, v.Num)
		}
		if e.After = r.Next; e.After == 0 {
			break
		}
	}
	if !slices.Equal(got, want) {
		d.t.Fatalf("the list %+v is of %v, want %v", e, got, want)
	}
}

// stillAlone forgets what waited to run alone once anything may have released a worker that was set
// aside: one of these tasks is gone, or workers are of other kinds for what is asked of them.
func (d *modelDriver) stillAlone(replies []core.Reply) {
	gone := len(d.m.specs) > 0
	for _, t := range d.alone {
		gone = gone || t.pending != core.Ready
		for _, r := range replies {
			p, ok := r.Body.(core.PollReply)
			gone = gone || ok && slices.ContainsFunc(p.Grants, func(g core.Grant) bool { return g.ID == t.id })
		}
	}
	if gone {
		d.alone = nil
	}
}

// setAside takes down which workers are set aside, which is for the scheduler to choose. Each is for a
// task that is to run alone there.
func (d *modelDriver) setAside() {
	m := d.m
	var out core.Effects
	d.s.Idle(m.now, &out, &core.ListWorkers{Max: 1000})
	r, ok := out.Replies[0].Body.(core.WorkersReply)
	if !ok {
		d.t.Fatalf("workers are told as %T", out.Replies[0].Body)
	}
	d.alone = nil
	for _, t := range m.known {
		if t.pending == core.Ready && t.alone() {
			d.alone = append(d.alone, t)
		}
	}
	asides := 0
	for _, w := range r.Workers {
		s := m.worker(w.ID)
		if s.aside = w.SetAside; !s.aside {
			continue
		}
		asides++
		if s.drain || s.penalty != nil || !slices.ContainsFunc(d.alone, func(t *modelTask) bool { return s.can(t.shape) }) {
			d.t.Fatalf("worker %s is set aside for nothing", w.ID)
		}
	}
	if asides > len(d.alone) {
		d.t.Fatalf("%d workers are set aside for %d tasks", asides, len(d.alone))
	}
}

// view is what the model takes a task for.
func (d *modelDriver) view(t *modelTask) core.View {
	v := core.View{
		Num: t.num, ID: t.id, Job: t.job, Function: t.shape.Function, Status: t.status, Pending: t.pending, Reason: t.reason,
		Attempts: t.attempts, MaxAttempts: t.shape.MaxRetries + 1, Failures: t.failures, Losses: t.losses,
		Deliveries: t.deliveries, WorkerID: t.worker, Priority: t.shape.Priority, Submitted: t.submitted, Finished: t.end,
		CancelRequested: t.cancel && !t.status.Terminal(), LeasedAt: t.leased,
	}
	if !t.status.Terminal() {
		v.NotBefore = t.notBefore
	}
	if t.reason == core.DependencyFailed {
		v.Cause = t.cause
	}
	if t.pending == core.Ready && !slices.ContainsFunc(d.m.sessions, func(s *modelSession) bool { return !s.drain && s.can(t.shape) }) {
		v.Pending = core.NoEligibleWorker
	}
	return v
}

// advance lets time pass, alarm by alarm.
func (d *modelDriver) advance(by time.Duration) {
	end := d.m.now.Add(by)
	for i := 0; ; i++ {
		if i > 10_000 {
			d.t.Fatal("the scheduler wants to be woken for ever")
		}
		d.m.now = max(d.m.now, min(end, d.m.next()))
		d.step()
		if d.m.now >= end && d.m.next() > end {
			return
		}
	}
}

package core_test

import (
	"slices"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// modelState is all that the model foretells of a task's view in a reply.
type modelState struct {
	id     string
	status core.Status
}

// modelSubmit is what it foretells of an answer to a submission.
type modelSubmit struct {
	results    []core.SubmitResult
	retryAfter time.Duration
	alone      modelState
	cursor     uint64
	end        uint64
}

// modelAny is what it foretells of an answer to an await of several.
type modelAny struct {
	tasks   []modelState
	unknown []string
	refused []string
}

// modelWatch is what it foretells of an answer to a watch.
type modelWatch struct {
	tasks        []modelState
	next, missed uint64
	open         int
}

// apply foretells what an event brings, but for the numbers, tokens and grants that the scheduler
// chooses.
func (m *model) apply(event core.Event) {
	switch e := event.(type) {
	case *core.Submit:
		m.submit(e)
	case *core.Register:
		m.register(e)
	case *core.Unregister:
		m.replies[e.Call] = core.Done{}
		if s := m.session(e.Session); s != nil {
			m.endSession(s)
		}
	case *core.Poll:
		m.poll(e)
	case *core.Report:
		s := m.session(e.Session)
		held := func(i core.ReportItem) bool { a := m.attempts[i.Token]; return a != nil && !a.over }
		if s == nil && (!e.Session.SameIncarnation(m.token()) || slices.ContainsFunc(e.Items, held)) {
			m.replies[e.Call] = core.ErrSessionStale
			return
		}
		m.replies[e.Call] = core.ReportReply{Verdicts: m.judge(s, e.Items)}
	case *core.Heartbeat:
		m.heartbeat(e)
	case *core.Cancel:
		m.cancel(e)
	case *core.Drain:
		m.drain(e)
	case *core.Await:
		m.await(e)
	case *core.AwaitAny:
		m.awaitAny(e)
	case *core.Watch:
		m.watch(e)
	case *core.GetJob:
		m.getJob(e)
	case *core.ListActors:
		m.listActors(e)
	case *core.Forsake:
		read := m.reading[e.Call]
		delete(m.reading, e.Call)
		for _, t := range read {
			m.forgetUnneeded(t)
		}
		if c := m.find(func(c *modelCall) bool { return c.id == e.Call }); c != nil {
			m.unpark(c)
		}
	}
}

func (m *model) submit(e *core.Submit) {
	if !m.admits(e.Job, e.Owner) {
		m.replies[e.Call] = core.ErrNotOwner
		return
	}
	r := modelSubmit{}
	var f *modelFollower
	if j := m.jobs[e.Job]; j != nil && j.followers[e.Watcher] != nil && e.Confirmed <= j.base+uint64(len(j.done)) {
		f := j.followers[e.Watcher]
		f.needs = max(f.needs, e.Confirmed)
	}
	full := make(map[modelCaller]bool)
	for i := range e.Tasks {
		n := &e.Tasks[i]
		t := m.task(n.ID)
		if n.Actor != nil && t == nil {
			if t := m.named(m.ownerToBe(e), n.Actor.Name); t != nil && t.cancel {
				r.results = append(r.results, core.SubmitResult{Verdict: core.SubmitLeaving, ID: t.id})
				r.retryAfter = m.cfg.RetryHint
				m.stats.refused++
				continue
			} else if t != nil {
				r.results = append(r.results, core.SubmitResult{Task: t.num, Verdict: core.SubmitNamed, ID: t.id})
				if len(e.Tasks) == 1 {
					r.alone = modelState{t.id, t.status}
				}
				continue
			}
		}
		var to *modelTask
		var verdict core.SubmitVerdict
		classless := false
		switch {
		case t != nil && t.job == e.Job:
			verdict = core.SubmitExisting
		case t != nil:
			verdict = core.SubmitOtherJob
		default:
			verdict, classless = m.room(e, n)
		}
		if n.ActorCall != nil && t == nil {
			box := modelCaller{n.ActorCall.Actor, n.ActorCall.Caller}
			switch {
			case verdict != core.SubmitCreated:
				full[box] = true
			case full[box]:
				verdict = core.SubmitFull
			default:
				to, verdict = m.receiver(e, n.ActorCall)
			}
		}
		name := 0
		var needs []*modelTask
		for k, id := range n.NeedsTasks {
			other := m.task(id)
			switch {
			case verdict != core.SubmitCreated:
			case other == nil:
				verdict, name = core.SubmitUnknownTask, k
			case !m.admits(other.job, e.Owner):
				verdict, name = core.SubmitTaskOfOther, k
			}
			needs = append(needs, other)
		}
		if verdict == core.SubmitCreated && classless {
			verdict = core.SubmitTooManyClasses
			if n.ActorCall != nil {
				full[modelCaller{n.ActorCall.Actor, n.ActorCall.Caller}] = true
			}
		}
		if verdict > core.SubmitOtherJob {
			m.stats.refused++
		}
		if verdict == core.SubmitFull || verdict == core.SubmitShare {
			r.retryAfter = m.cfg.RetryHint
		}
		if verdict == core.SubmitCreated {
			m.stats.submitted++
			m.last++
			t = &modelTask{
				num: m.last, id: n.ID, job: e.Job, shape: n.Shape, size: int64(modelSize(n)), submitted: m.now,
				actor: n.Actor, mail: n.ActorCall, to: to,
			}
			if t.call() {
				m.taken(t)
			}
			if n.NotBefore > m.now {
				t.notBefore = n.NotBefore
			}
			m.job(e.Job)
			m.known = append(m.known, t)
			m.wants(t, needs)
			m.queue(t, false)
			m.own(m.job(e.Job), e.By)
			m.pay(t)
			m.specs = append(m.specs, t)
			t.wrote.submitted = m.now
			m.durable = true
		}
		res := core.SubmitResult{Verdict: verdict, Name: name}
		if t != nil {
			res.Task = t.num
			if len(e.Tasks) == 1 {
				r.alone = modelState{t.id, t.status}
			}
		}
		r.results = append(r.results, res)
	}
	if j := m.jobs[e.Job]; j != nil && e.Watcher != "" {
		r.cursor = j.base + uint64(len(j.done))
		if f = m.follow(j, e.Watcher, r.cursor); f != nil {
			r.cursor = f.needs
		}
	}
	if e.Until <= m.now || len(e.Tasks) != 1 || r.results[0].Verdict > core.SubmitExisting {
		m.replies[e.Call] = r
		return
	}
	t := m.task(e.Tasks[0].ID)
	if t.status.Terminal() {
		m.read(&modelCall{id: e.Call, read: e.Read}, t)
		m.replies[e.Call] = r
		return
	}
	c := &modelCall{id: e.Call, await: t, read: e.Read, submit: &r}
	if f != nil {
		c.job, c.watcher = m.jobs[e.Job], e.Watcher
		f.waiting++
		m.disarm(f.gone)
		f.gone = nil
	}
	m.park(c, e.Until, func() {
		m.unpark(c)
		m.answerAwait(c, 0)
	})
}

// answerAwait tells how a task stands that was waited for, and what cursor is after its end; 0: it has
// none.
func (m *model) answerAwait(c *modelCall, end uint64) {
	state := modelState{c.await.id, c.await.status}
	if c.submit == nil {
		m.replies[c.id] = state
		return
	}
	r := *c.submit
	r.alone, r.end = state, end
	if c.job != nil {
		r.cursor = c.job.followers[c.watcher].needs
	}
	m.replies[c.id] = r
}

func (m *model) register(e *core.Register) {
	old := m.worker(e.WorkerID)
	if old != nil && old.reg.RegistrationID == e.RegistrationID {
		m.heardOf(old)
		m.disarm(old.ttl)
		old.ttl = m.alarm(m.now.Add(m.cfg.SessionTTL), old.ttl.fire)
		m.replies[e.Call] = core.RegisterReply{Session: old.token, Kept: old.kept}
		return
	}
	if old != nil && (slices.Contains(old.former, e.RegistrationID) || old.reg.Process == e.Process && e.Number < old.reg.Number) {
		m.replies[e.Call] = core.ErrSuperseded
		return
	}
	if old != nil && old.reg.Process != "" && e.Process != "" && old.reg.Process != e.Process && m.listens(old) {
		m.replies[e.Call] = core.ErrWorkerLives
		return
	}
	if old == nil && len(m.sessions) >= m.cfg.MaxSessions {
		m.replies[e.Call] = core.ErrTooManySessions
		return
	}
	if old != nil {
		m.endSession(old)
	}
	s := &modelSession{reg: e, heard: m.now} // Its token is taken from the reply.
	if old != nil {
		s.former = append(slices.Clone(old.former), old.reg.RegistrationID)
		s.former = s.former[max(0, len(s.former)-8):]
	}
	s.ttl = m.alarm(m.now.Add(m.cfg.SessionTTL), func() {
		m.stats.expired++
		m.endSession(s)
	})
	m.sessions = append(m.sessions, s)
	for _, calls := range []bool{false, true} {
		for i := range e.Held {
			if t := m.task(e.Held[i].Task); t != nil && t.call() == calls && m.adopt(s, &e.Held[i]) {
				s.kept = append(s.kept, e.Held[i].Token)
			}
		}
	}
	m.missed(e)
	m.replies[e.Call] = s
}

// listens says whether a worker's heartbeat waits for its answer, or has been answered within a second.
func (m *model) listens(s *modelSession) bool {
	waits := m.find(func(c *modelCall) bool { return c.session == s && c.beat }) != nil
	return waits || s.answered != 0 && m.now.Sub(s.answered) < time.Second
}

func (m *model) received(s *modelSession, seq uint64) {
	s.received = max(s.received, min(seq, s.pollSeq))
	if s.delivery != nil && s.received >= s.granted {
		m.disarm(s.delivery)
		s.delivery = nil
	}
}

func (m *model) poll(e *core.Poll) {
	s := m.session(e.Session)
	if s == nil {
		m.replies[e.Call] = core.ErrSessionStale
		return
	}
	r := core.PollReply{Verdicts: m.judge(s, e.Items)}
	if e.Seq < s.pollSeq || e.Seq <= s.received {
		m.replies[e.Call] = r
		return
	}
	if c := m.find(func(c *modelCall) bool { return c.session == s && c.poll != nil }); c != nil {
		m.unpark(c)
		m.replies[c.id] = core.ErrSuperseded
	}
	m.received(s, e.Received)
	s.pollSeq = e.Seq
	if e.Seq == s.granted && e.Seq > s.received {
		for _, a := range s.attempts {
			gone := a.task.call() && a.current() && !a.task.to.live
			if a.pollSeq == e.Seq && a.current() && a.running == 0 && !a.stopping && !gone {
				g := core.Grant{Task: a.task.num, ID: a.task.id, Job: a.task.job, Attempt: a.n, Token: a.token}
				if a.task.call() {
					g.Life = a.task.to.cur.token
				}
				for _, n := range a.task.needs {
					g.Along = append(g.Along, n.num)
				}
				r.Grants = append(r.Grants, g)
			}
		}
		m.replies[e.Call] = r
		return
	}
	if s.delivery != nil && e.Seq > s.granted {
		m.takeBack(s, true)
	}
	if s.leaving {
		m.replies[e.Call] = r
		return
	}
	m.heardOf(s)
	c := &modelCall{id: e.Call, session: s, poll: e, held: len(s.attempts), verdicts: r.Verdicts}
	m.park(c, e.Until, func() {
		m.late = append(m.late, func() {
			if slices.Contains(m.parked, c) {
				m.unpark(c)
				m.replies[c.id] = r
			}
		})
	})
}

func (m *model) judge(from *modelSession, items []core.ReportItem) (verdicts []core.ReportVerdict) {
	for i := range items {
		v := m.report(from, &items[i])
		switch v {
		case core.Stale:
			m.stats.stale++
		case core.Duplicate:
			m.stats.duplicate++
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

func (m *model) report(from *modelSession, i *core.ReportItem) core.ReportVerdict {
	a := m.attempts[i.Token]
	if a == nil || a.over || a.session != from || a.task.id != i.Task || a.n != i.Attempt {
		if t := m.task(i.Task); t != nil && i.Token != 0 && t.last == i.Token {
			return core.Duplicate
		}
		return core.Stale
	}
	if i.Outcome == core.Started {
		if a.running != 0 {
			return core.Duplicate
		}
		m.running(a)
		return core.Accepted
	}
	if i.Outcome == core.ReadyOutcome {
		return m.isReady(a)
	}
	t, s, current := a.task, a.session, a.current()
	m.over(a)
	if !current {
		if a.stopping && i.Outcome == core.Stopped {
			return core.Accepted
		}
		return core.Stale
	}
	t.last = i.Token
	t.started = t.started || i.Ran > 0
	quick := func() {
		if t.call() { // It can run nowhere else.
			return
		}
		if s.quick++; i.Ran >= m.cfg.FastFailure {
			s.quick = 0
		}
		if s.quick >= m.cfg.BlackHoleFailures {
			m.penalize(s, t.shape)
		}
	}
	note := func(end core.AttemptEnd) { m.notes = append(m.notes, end) }
	switch i.Outcome {
	case core.Succeeded:
		s.quick, s.penalties = 0, 0
		note(core.EndSucceeded)
		if t.call() && i.Checkpoint != nil {
			m.checkpoints = append(m.checkpoints, t.to.num)
		}
		m.finish(t, core.Completed, 0)
	case core.FailedOutcome:
		quick()
		note(core.EndFailed)
		m.failed(t, core.Application, i.NonRetryable, i.RetryAfter)
	case core.TimedOut:
		note(core.EndTimedOut)
		m.failed(t, core.Timeout, false, 0)
	case core.UndecodableOutcome:
		quick()
		note(core.EndUndecodable)
		m.failed(t, core.Undecodable, true, 0)
	case core.Stopped:
		note(core.EndStopped)
		if t.call() && i.Ran > 0 {
			m.lose(t, false)
			break
		}
		m.putBack(t)
	default:
		note(core.EndReturned)
		if t.call() && i.Ran > 0 {
			m.lose(t, false)
			break
		}
		if i.Ran == 0 {
			t.deliveries++
		}
		m.putBack(t)
	}
	return core.Accepted
}

func (m *model) heartbeat(e *core.Heartbeat) {
	s := m.session(e.Session)
	if s == nil {
		m.replies[e.Call] = core.ErrSessionStale
		return
	}
	m.heardOf(s)
	m.disarm(s.ttl)
	s.ttl = m.alarm(m.now.Add(m.cfg.SessionTTL), s.ttl.fire)
	if c := m.find(func(c *modelCall) bool { return c.session == s && c.beat }); c != nil {
		m.answerBeat(c)
	}
	if e.Seq > s.beatSeq {
		s.beatSeq = e.Seq
		m.received(s, e.Received)
		m.reconcile(s, e)
	}
	c := &modelCall{id: e.Call, session: s, beat: true}
	m.park(c, e.Until, func() { m.answerBeat(c) })
	if e.Draining {
		s.leaving = true
		s.ownDrain = s.ownDrain || !s.drain
		m.startDrain(s)
	}
	m.beats[s] = m.beats[s] || s.news()
}

func (m *model) reconcile(s *modelSession, e *core.Heartbeat) {
	s.unknown = nil
	held := make(map[*modelAttempt]bool)
	for i, token := range slices.Concat(e.Queued, e.Running, e.Finished) {
		a := m.attempts[token]
		if a != nil && !a.over && a.session == s {
			held[a] = true
		} else if i < len(e.Queued)+len(e.Running) && !slices.Contains(s.unknown, token) {
			s.unknown = append(s.unknown, token)
		}
	}
	for _, token := range e.Running {
		if a := m.attempts[token]; held[a] {
			m.stillRuns(a)
		}
	}
	for _, token := range e.Finished {
		if a := m.attempts[token]; held[a] {
			a.overdue, a.stillAfter = 0, 0
		}
	}
	company := s.company()
	for _, a := range slices.Backward(slices.Clone(s.attempts)) {
		if held[a] || a.pollSeq > e.Received {
			continue
		}
		current := a.current()
		m.over(a)
		switch {
		case !current:
		case a.running != 0:
			m.lost(a.task, company)
		default:
			m.undelivered(a.task)
		}
	}
}

func (s *modelSession) news() bool {
	return s.drain && !s.ownDrain && !s.drainTold ||
		slices.ContainsFunc(s.unknown, func(t core.Token) bool { return !slices.Contains(s.told, t) }) ||
		slices.ContainsFunc(s.attempts, func(a *modelAttempt) bool { return a.stopping && !a.told })
}

func (m *model) answerBeat(c *modelCall) {
	m.unpark(c)
	s := c.session
	s.answered = m.now
	r := core.HeartbeatReply{Stop: slices.Clone(s.unknown)}
	s.told = s.unknown
	for _, a := range s.attempts {
		if a.stopping {
			a.told = true
			r.Stop = append(r.Stop, a.token)
		}
	}
	if s.drain && !s.ownDrain {
		s.drainTold, r.Drain, r.Grace = true, true, s.grace
	}
	m.replies[c.id] = r
}

func (m *model) cancel(e *core.Cancel) {
	if e.Job != "" && !m.admits(e.Job, e.Owner) {
		m.replies[e.Call] = core.ErrNotOwner
		return
	}
	r := core.CancelReply{Verdicts: []core.CancelVerdict{}}
	for _, id := range e.IDs {
		v := core.CancelNotFound
		if t := m.task(id); t != nil && !m.admits(t.job, e.Owner) {
			v = core.CancelRefused
		} else if t != nil {
			v = m.cancelOne(t, e.WithDependants)
		}
		r.Verdicts = append(r.Verdicts, v)
	}
	for _, t := range slices.Clone(m.known) { // Some of it may be forgotten meanwhile.
		if e.Job != "" && t.job == e.Job && !t.status.Terminal() {
			r.JobTasks++
			m.cancelOne(t, e.WithDependants)
		}
	}
	m.replies[e.Call] = r
}

func (m *model) cancelOne(t *modelTask, all bool) core.CancelVerdict {
	if t.status.Terminal() {
		return core.CancelAlreadyTerminal
	}
	more := all && !t.cancels
	t.cancels = t.cancels || all
	switch {
	case t.status == core.Pending && t.pending != core.Recovering:
		m.finish(t, core.Cancelled, 0)
		return core.CancelDone
	case !t.cancel || more:
		first := !t.cancel
		t.cancel, m.durable = true, true
		if t.cur != nil && first {
			m.stopCancelled(t.cur)
		}
	}
	return core.CancelStopping
}

func (m *model) stopCancelled(a *modelAttempt) {
	a.stopping = true
	m.beats[a.session] = true
	m.disarm(a.timer)
	a.timer = m.alarm(m.now.Add(m.cfg.CancelGrace), func() { m.abandon(a) })
}

func (m *model) drain(e *core.Drain) {
	s := m.worker(e.WorkerID)
	if s == nil {
		m.replies[e.Call] = core.ErrUnknownWorker
		return
	}
	if m.replies[e.Call] = (core.Done{}); !s.drain {
		s.grace = e.Grace
		m.startDrain(s)
		m.beats[s] = true
	}
}

func (m *model) startDrain(s *modelSession) {
	s.drain = true
	if c := m.find(func(c *modelCall) bool { return c.session == s && c.poll != nil }); c != nil {
		m.unpark(c)
		m.replies[c.id] = core.PollReply{Verdicts: c.verdicts}
	}
}

func (m *model) await(e *core.Await) {
	t := m.task(e.ID)
	switch {
	case t == nil:
		m.replies[e.Call] = core.ErrUnknownTask
	case !m.admits(t.job, e.Owner):
		m.replies[e.Call] = core.ErrNotOwner
	case t.status.Terminal() || e.Until <= m.now:
		m.read(&modelCall{id: e.Call, read: e.Read}, t)
		t.asked = m.now.Add(m.cfg.WatchGrace)
		m.replies[e.Call] = modelState{t.id, t.status}
	default:
		c := &modelCall{id: e.Call, await: t, read: e.Read}
		m.park(c, e.Until, func() {
			m.unpark(c)
			t.asked = m.now.Add(m.cfg.WatchGrace)
			m.replies[c.id] = modelState{t.id, t.status}
		})
	}
}

func (m *model) awaitAny(e *core.AwaitAny) {
	c := &modelCall{id: e.Call, read: e.Read}
	var r modelAny
	now := e.Until <= m.now
	for _, id := range e.IDs {
		t := m.task(id)
		if t == nil {
			r.unknown = append(r.unknown, id)
			continue
		}
		if !m.admits(t.job, e.Owner) {
			r.refused = append(r.refused, id)
			continue
		}
		c.any = append(c.any, t)
		now = now || t.status.Terminal()
	}
	m.park(c, e.Until, func() { m.answerAny(c, modelAny{}) })
	if now || len(r.unknown) > 0 || len(r.refused) > 0 {
		m.answerAny(c, r)
	}
}

func (m *model) answerAny(c *modelCall, r modelAny) {
	for _, t := range c.any {
		t.asked = m.now.Add(m.cfg.WatchGrace)
		if t.status.Terminal() {
			r.tasks = append(r.tasks, modelState{t.id, t.status})
		}
	}
	m.unpark(c)
	m.read(c, c.any...)
	m.replies[c.id] = r
}

func (m *model) watch(e *core.Watch) {
	if !m.admits(e.Job, e.Owner) {
		m.replies[e.Call] = core.ErrNotOwner
		return
	}
	j := m.jobs[e.Job]
	if j == nil && e.Cursor > 0 || j != nil && e.Cursor > j.base+uint64(len(j.done)) {
		m.replies[e.Call] = core.ErrCursorAhead
		return
	}
	j = m.job(e.Job)
	needs := e.Cursor - min(e.Unconfirmed, e.Cursor)
	f := m.follow(j, e.Watcher, needs)
	if f == nil {
		m.dropJob(j)
		m.replies[e.Call] = core.ErrTooManyWatchers
		return
	}
	f.needs = needs
	f.waiting++
	m.disarm(f.gone)
	f.gone = nil
	c := &modelCall{id: e.Call, watch: e, read: e.Read}
	m.park(c, e.Until, func() { m.answerWatch(c) })
	if e.Until <= m.now || j.base+uint64(len(j.done)) > e.Cursor {
		m.answerWatch(c)
	}
}

func (m *model) getJob(e *core.GetJob) {
	if !m.admits(e.Job, e.Owner) {
		m.replies[e.Call] = core.ErrNotOwner
		return
	}
	r := m.jobReply(e.Job)
	if r.Open == 0 || e.Until <= m.now {
		m.replies[e.Call] = r
		return
	}
	c := &modelCall{id: e.Call, ending: e}
	m.park(c, e.Until, func() { m.answerJob(c) })
}

func (m *model) jobReply(id string) core.JobReply {
	j := m.jobs[id]
	if j == nil {
		return core.JobReply{}
	}
	r := core.JobReply{Known: true, Owner: j.owner, Ended: len(j.done), Next: j.base + uint64(len(j.done)), Watchers: len(j.followers)}
	for _, t := range m.known {
		if t.job == j.id && !t.status.Terminal() {
			r.Open++
		}
	}
	if r.Submitted = r.Next + uint64(r.Open); r.Submitted > 0 {
		r.FailedTasks, r.Weight = j.failed, 1
	}
	return r
}

func (m *model) answerJob(c *modelCall) {
	m.replies[c.id] = m.jobReply(c.ending.Job)
	m.unpark(c)
}

func (m *model) answerWatch(c *modelCall) {
	j := m.jobs[c.watch.Job]
	r := modelWatch{next: c.watch.Cursor}
	for _, t := range m.known {
		if t.job == j.id && !t.status.Terminal() {
			r.open++
		}
	}
	if j.base > r.next {
		r.missed, r.next = j.base-r.next, j.base
	}
	for _, t := range j.done[r.next-j.base:] {
		if len(r.tasks) < max(c.watch.Max, 1) {
			r.tasks = append(r.tasks, modelState{t.id, t.status})
			r.next++
			m.read(c, t)
		}
	}
	m.unpark(c)
	m.replies[c.id] = r
}

// settle foretells what the end of a step brings, once the grants are known.
func (m *model) settle() {
	for _, fire := range m.late {
		fire()
	}
	m.late = nil
	m.endings()
	for s := range m.beats {
		if c := m.find(func(c *modelCall) bool { return c.session == s && c.beat }); c != nil && m.beats[s] {
			m.answerBeat(c)
		}
	}
	for j := range m.woken {
		for _, c := range slices.Clone(m.parked) {
			if c.watch != nil && c.watch.Job == j.id {
				m.answerWatch(c)
			}
			if c.ending != nil && c.ending.Job == j.id && m.jobReply(j.id).Open == 0 {
				m.answerJob(c)
			}
		}
	}
	for c := range m.anys {
		if slices.Contains(m.parked, c) {
			m.answerAny(c, modelAny{})
		}
	}
	m.forget()
}

package core_test

import (
	"math"
	"slices"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

func (m *model) session(token core.Token) *modelSession {
	i := slices.IndexFunc(m.sessions, func(s *modelSession) bool { return s.token == token })
	if i < 0 {
		return nil
	}
	return m.sessions[i]
}

func (m *model) worker(id string) *modelSession {
	i := slices.IndexFunc(m.sessions, func(s *modelSession) bool { return s.reg.WorkerID == id })
	if i < 0 {
		return nil
	}
	return m.sessions[i]
}

// can says whether an idle worker could run it.
func (s *modelSession) can(sh *core.Shape) bool {
	ok := slices.Contains(s.reg.Functions, sh.Function)
	for _, l := range sh.Labels {
		ok = ok && s.reg.Labels[l.Name] == l.Value
	}
	for _, r := range sh.Resources {
		ok = ok && s.has(r.Name) >= r.Amount
	}
	return ok
}

func (s *modelSession) has(resource string) int64 {
	for _, r := range s.reg.Resources {
		if r.Name == resource {
			return r.Amount
		}
	}
	return -1
}

func (s *modelSession) uses(resource string) int64 {
	n := int64(0)
	for _, a := range s.attempts {
		for _, r := range a.task.shape.Resources {
			if r.Name == resource {
				n += r.Amount
			}
		}
	}
	return n
}

// left is how much of a resource the worker that asks has free, with what is lent.
func (m *model) left(s *modelSession, resource string) int64 {
	n := s.has(resource) - s.uses(resource)
	for _, a := range s.attempts {
		for _, r := range a.task.shape.Resources {
			if r.Name == resource && slices.Contains(m.pollOf(s).poll.Lent, a.token) {
				n += r.Amount
			}
		}
	}
	return n
}

// takes says whether the worker could be granted the task now.
func (m *model) takes(s *modelSession, t *modelTask, ahead bool) bool {
	if m.now.Sub(s.heard) > m.cfg.SessionTTL/2 { // It may well be gone.
		return false
	}
	if s.drain || s.penalty != nil || t.status != core.Pending || t.pending != core.Ready || !s.can(t.shape) {
		return false
	}
	if t.alone() && (ahead || !m.whole(s)) {
		return false
	}
	if slices.ContainsFunc(s.attempts, func(a *modelAttempt) bool { return a.alone }) && m.pollOf(s).poll.Free < s.reg.Slots {
		return false
	}
	for _, r := range t.shape.Resources {
		if ahead || m.left(s, r.Name) < r.Amount {
			return false
		}
	}
	return true
}

func (m *model) pollOf(s *modelSession) *modelCall {
	return m.find(func(c *modelCall) bool { return c.session == s && c.poll != nil })
}

// whole says whether a worker that asks for work has nothing that occupies a slot.
func (m *model) whole(s *modelSession) bool {
	c := m.pollOf(s)
	return len(s.attempts) == 0 || c.poll.Free >= s.reg.Slots && len(s.attempts) <= c.held
}

// company says whether two attempts or more may have started at a worker.
func (s *modelSession) company() bool {
	n := 0
	for _, a := range s.attempts {
		if !a.ahead || a.running != 0 {
			n++
		}
	}
	return n > 1
}

// over ends a lease; what becomes of its task is up to the caller.
func (m *model) over(a *modelAttempt) {
	a.over = true
	m.disarm(a.timer)
	a.session.attempts = slices.DeleteFunc(a.session.attempts, func(x *modelAttempt) bool { return x == a })
}

func (a *modelAttempt) current() bool { return a.task.cur == a }

func (m *model) running(a *modelAttempt) {
	if a.running != 0 {
		return
	}
	a.running, a.task.started = m.now, true
	if !a.current() {
		return
	}
	a.task.status = core.Running
	m.watchOver(a)
}

func (a *modelAttempt) deadline() core.Time {
	return a.running.Add(a.task.shape.ExecutionTimeout + a.unheard)
}

// watchOver sets the second line of a timeout.
func (m *model) watchOver(a *modelAttempt) {
	if a.task.shape.ExecutionTimeout > 0 && a.timer == nil {
		a.timer = m.alarm(a.deadline().Add(m.cfg.TimeoutGrace), func() {
			a.timer = nil
			m.secondLine(a)
		})
	}
}

// secondLine takes the worker's word, twice and a quarter of the grace apart, for what it cannot
// see.
func (m *model) secondLine(a *modelAttempt) {
	switch {
	case m.now < a.deadline().Add(m.cfg.TimeoutGrace):
		m.watchOver(a)
	case a.overdue != 0 && a.stillAfter.Sub(a.overdue) >= m.cfg.TimeoutGrace/4:
		m.abandon(a)
	}
}

func (m *model) stillRuns(a *modelAttempt) {
	m.running(a)
	if a.task.shape.ExecutionTimeout == 0 || !a.current() || m.now < a.deadline() {
		return
	}
	if a.overdue == 0 {
		a.overdue = m.now
	}
	if a.stillAfter = m.now; a.timer == nil {
		m.secondLine(a)
	}
}

// heardOf notes that a worker is there. What it runs is not held to the time for which it was
// silent.
func (m *model) heardOf(s *modelSession) {
	if gap := m.now.Sub(s.heard); gap > m.cfg.SessionTTL/2 {
		for _, a := range s.attempts {
			if a.running != 0 {
				a.unheard += gap
				a.overdue, a.stillAfter = 0, 0
			}
		}
	}
	s.heard = m.now
}

// abandon has a task go on without its attempt.
func (m *model) abandon(a *modelAttempt) {
	t := a.task
	a.timer = nil
	m.gone(t)
	if t.cancel {
		m.notes = append(m.notes, core.EndStopped)
		m.finish(t, core.Cancelled, 0)
		return
	}
	a.stopping = true
	m.beats[a.session] = true
	m.notes = append(m.notes, core.EndTimedOut)
	m.failed(t, core.Timeout, false, 0)
}

func (m *model) endSession(s *modelSession) {
	m.sessions = slices.DeleteFunc(m.sessions, func(x *modelSession) bool { return x == s })
	for _, d := range []*modelDeadline{s.ttl, s.delivery, s.penalty} {
		m.disarm(d)
	}
	for _, c := range slices.Clone(m.parked) {
		if c.session == s {
			m.unpark(c)
			m.replies[c.id] = core.ErrSessionStale
		}
	}
	company := s.company()
	for _, a := range slices.Backward(slices.Clone(s.attempts)) {
		current := a.current()
		m.over(a)
		if !current {
			continue
		}
		m.stats.leasesExpired++
		if !a.ahead || a.running != 0 {
			m.lost(a.task, company)
		} else {
			m.undelivered(a.task)
		}
	}
}

// takeBack takes back what was granted to a poll whose answer did not arrive; with never it is known that it
// will not, without which a call may run.
func (m *model) takeBack(s *modelSession, never bool) (of *core.Shape) {
	m.disarm(s.delivery)
	s.delivery = nil
	for _, a := range slices.Backward(slices.Clone(s.attempts)) {
		if a.pollSeq <= s.received || a.running != 0 || !never && a.task.call() {
			continue
		}
		current := a.current()
		m.over(a)
		if current {
			of = a.task.shape
			m.undelivered(a.task)
		}
	}
	return of
}

func (m *model) penalize(s *modelSession, sh *core.Shape) {
	s.quick = 0
	if s.penalty != nil || !slices.ContainsFunc(m.sessions, func(o *modelSession) bool {
		return o != s && o.penalty == nil && !o.drain && o.can(sh)
	}) {
		return
	}
	d := time.Duration(float64(m.cfg.BlackHoleBackoff) * math.Pow(2, float64(s.penalties)))
	s.penalties++
	s.penalty = m.alarm(m.now.Add(min(d, m.cfg.BlackHoleCap)), func() { s.penalty = nil })
}

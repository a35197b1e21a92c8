package core

import (
	"slices"
	"time"
)

func (e *Poll) apply(c *Scheduler) {
	s := c.sessions[e.Session]
	if s == nil {
		c.fail(e.Call, ErrSessionStale)
		return
	}
	if e.Seq < s.pollSeq || e.Seq <= s.receivedSeq {
		c.tell(e.Call, PollReply{}) // A late copy of a poll that the worker no longer waits for.
		return
	}
	if s.poll != nil {
		old := s.poll
		c.unpark(old)
		// An error, so that a worker that still waits for it asks again under the same number: an empty answer would
		// have it go on, and confirm what the copy is granted.
		c.fail(old.call, ErrSuperseded)
	}
	c.received(s, e.Received)
	s.pollSeq = e.Seq
	if e.Seq == s.grantSeq && e.Seq > s.receivedSeq {
		c.reply(e.Call, PollReply{Grants: s.granted(e.Seq)})
		return
	}
	if s.delivery != nil && e.Seq > s.grantSeq {
		// The worker went on without the answer to the poll that was granted these.
		c.takeBackUndelivered(s)
	}
	if s.leaving {
		c.tell(e.Call, PollReply{}) // A heartbeat that was sent later has overtaken it.
		return
	}
	w := &wait{call: e.Call, kind: waitPoll, session: s, seq: e.Seq, free: e.Free, max: max(e.Max, e.Free), held: e.Held, until: e.Until}
	if e.Held < 0 {
		w.held = s.leases.size
	}
	c.lastPoll++
	w.order = c.lastPoll
	s.poll, s.heard = w, c.now
	c.park(w)
	c.offer(s)
}

// granted lists what is left of what a poll was granted, for a worker that asks again.
func (s *session) granted(seq uint64) []Grant {
	var gs []Grant
	for l := s.leases.tail; l != nil && l.pollSeq >= seq; l = l.prev { // The last were granted last.
		if l.pollSeq == seq && l.current() && l.runningAt == 0 && !l.stopping {
			gs = append(gs, l.grant())
		}
	}
	slices.Reverse(gs)
	return gs
}

func (l *lease) grant() Grant {
	return Grant{Task: l.task.num, ID: l.task.id, Job: l.task.job.id, Attempt: l.attempt, Token: l.token}
}

// received notes that the worker has the answers of all polls up to seq.
func (c *Scheduler) received(s *session, seq uint64) {
	s.receivedSeq = max(s.receivedSeq, min(seq, s.pollSeq))
	if s.delivery != nil && s.receivedSeq >= s.grantSeq {
		c.timers.cancel(s.delivery)
		s.delivery = nil
	}
}

// deliveryTimer takes back a grant that the worker never confirmed.
func (c *Scheduler) deliveryTimer(s *session) {
	cl := c.takeBackUndelivered(s)
	if cl != nil {
		c.penalize(s, cl)
	}
}

// takeBackUndelivered ends the session's unconfirmed leases, and returns the class of one that it took back.
func (c *Scheduler) takeBackUndelivered(s *session) *class {
	c.timers.cancel(s.delivery)
	s.delivery = nil
	var cl *class
	for l := s.leases.tail; l != nil && l.pollSeq > s.receivedSeq; { // The last were granted last.
		prev := l.prev
		if l.pollSeq <= s.grantSeq && l.runningAt == 0 {
			t, current := l.task, l.current()
			c.endLease(l)
			if current {
				cl = t.shape.class
				c.undelivered(t)
			}
		}
		l = prev
	}
	return cl
}

func (c *Scheduler) lease(t *task, s *session, pollSeq uint64, ahead bool) *lease {
	c.touch(t)
	c.timers.cancel(t.timer)
	t.timer = nil
	c.setStatus(t, Leased)
	c.note(t, EndLeased, c.now.Sub(t.since))
	c.stats.LeasesGranted++
	if t.run == nil {
		t.run = &run{}
	}
	r := t.run
	r.attempts++
	l := &lease{
		token: c.token(), attempt: r.attempts, task: t, session: s, pollSeq: pollSeq, grantedAt: c.now, ahead: ahead,
	}
	r.lease, r.token, r.workerID, r.leasedAt = l, l.token, s.workerID, c.now
	t.pending = 0
	c.leases[l.token] = l
	s.leases.push(l)
	s.occupy(t.shape.class, 1)
	c.remember(t, false)
	return l
}

// endLease frees what a lease occupied, and fences its token.
func (c *Scheduler) endLease(l *lease) {
	c.timers.cancel(l.timer)
	l.timer = nil
	delete(c.leases, l.token)
	if l.stopping && !l.stopTold {
		l.session.untold--
	}
	l.session.leases.remove(l)
	l.session.occupy(l.task.shape.class, -1)
	l.session.changed = c.step
	if l.current() {
		l.task.run.lease = nil
	}
	c.offer(l.session)
}

// running notes that an attempt runs, and sets the second line of its execution timeout: the worker is the first.
func (c *Scheduler) running(l *lease) {
	if l.runningAt != 0 {
		return
	}
	l.runningAt = c.now
	t := l.task
	known := t.started && !l.ahead
	t.started = true
	if !l.current() {
		return
	}
	c.setStatus(t, Running)
	c.armSecondLine(l)
	if !known {
		c.remember(t, true) // Or else nobody would be charged when both ends die.
	}
}

// leaseTimer strikes when a worker has not ended an attempt for too long: after a cancellation, without which its task goes on, or
// past the execution timeout.
func (c *Scheduler) leaseTimer(l *lease) {
	l.timer = nil
	t := l.task
	if !t.cancelRequested {
		c.secondLine(l)
		return
	}
	t.run.lease = nil
	c.note(t, EndStopped, l.ran(c.now))
	c.finish(t, Cancelled, 0, nil)
}

// failed charges a failure or timeout to the retry budget.
func (c *Scheduler) failed(t *task, reason FailureReason, result []byte, final bool, retryAfter time.Duration) {
	c.touch(t)
	r := t.run
	r.failures++
	t.started = true
	if t.cancelRequested {
		c.finish(t, Cancelled, 0, nil)
		return
	}
	if final || r.failures > t.shape.MaxRetries {
		c.finish(t, Failed, reason, result)
		return
	}
	d := retryAfter
	if d <= 0 {
		d = t.shape.backoff(c.cfg.Seed, t.num, r.failures-1)
	}
	c.setStatus(t, Pending)
	t.pending, t.since = Backoff, c.now
	t.timer = c.timers.add(&timer{at: c.now.Add(d), kind: timerTask, task: t})
	c.remember(t, false)
}

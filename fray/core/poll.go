package core

import (
	"slices"
)

func (e *Poll) apply(c *Scheduler) {
	s := c.sessions[e.Session]
	if s == nil {
		c.fail(e.Call, ErrSessionStale)
		return
	}
	w := &wait{call: e.Call, kind: waitPoll, session: s, verdicts: c.judge(s, e.Items), judged: c.step}
	if e.Seq < s.pollSeq || e.Seq <= s.receivedSeq {
		c.answerPoll(w) // A late copy of a poll that the worker no longer waits for.
		return
	}
	if s.poll != nil {
		old := s.poll
		c.unpark(old)
		// An error, so that a worker that still waits for it asks again under the same number: an
		// empty answer would have it go on, and confirm what the copy is granted.
		c.fail(old.call, ErrSuperseded)
	}
	c.received(s, e.Received)
	s.pollSeq = e.Seq
	if e.Seq == s.grantSeq && e.Seq > s.receivedSeq {
		c.reply(e.Call, PollReply{Grants: c.granted(s, e.Seq), Verdicts: w.verdicts})
		return
	}
	if s.delivery != nil && e.Seq > s.grantSeq {
		// The worker went on without the answer to the poll that was granted these.
		c.takeBackUndelivered(s, true)
	}
	if s.leaving {
		c.answerPoll(w) // A heartbeat that was sent later has overtaken it.
		return
	}
	w.seq, w.free, w.max, w.held, w.leases, w.until = e.Seq, e.Free, max(e.Max, e.Free), e.Held, s.leases.size, e.Until
	if e.Held < 0 {
		w.held = s.leases.size
	}
	c.takeLoans(w, e.Lent)
	c.lastPoll++
	w.order = c.lastPoll
	c.hear(s, c.now)
	s.poll = w
	c.park(w)
	c.offer(s)
}

// answerPoll answers a poll that was granted nothing. Between two steps it is not said that a report
// was taken which is not durable yet: the worker is to ask again.
func (c *Scheduler) answerPoll(w *wait) {
	r := PollReply{Verdicts: w.verdicts}
	switch {
	case len(w.verdicts) == 0 || c.cfg.Commits && w.judged <= c.durable:
		c.tell(w.call, r)
	case c.idling:
		c.fail(w.call, ErrSuperseded)
	default:
		c.reply(w.call, r)
	}
}

// granted lists what is left of what a poll was granted, for a worker that asks again.
func (c *Scheduler) granted(s *session, seq uint64) []Grant {
	var gs []Grant
	for l := s.leases.tail; l != nil && l.pollSeq >= seq; l = l.prev { // The last were granted last.
		// With this poll the worker may have told the end of a call's actor.
		gone := l.task.shape.Role == ActorCall && l.current() && !c.calls[l.task].caller.actor.live
		if l.pollSeq == seq && l.current() && l.runningAt == 0 && !l.stopping && !gone {
			grant, _ := c.grant(l)
			gs = append(gs, grant)
		}
	}
	slices.Reverse(gs)
	return gs
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
	cl := c.takeBackUndelivered(s, false)
	if cl != nil {
		c.penalize(s, cl)
	}
}

// takeBackUndelivered ends the session's unconfirmed leases, and returns the class of one that it
// took back. Calls may have run unless the worker is known to have no part of the grant: a heartbeat will tell.
func (c *Scheduler) takeBackUndelivered(s *session, never bool) *class {
	c.timers.cancel(s.delivery)
	s.delivery = nil
	var cl *class
	for l := s.leases.tail; l != nil && l.pollSeq > s.receivedSeq; { // The last were granted last.
		prev := l.prev
		if l.pollSeq <= s.grantSeq && l.runningAt == 0 && (never || l.task.shape.Role != ActorCall) {
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

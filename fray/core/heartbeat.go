package core

import (
	"slices"

	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

func (e *Heartbeat) apply(c *Scheduler) {
	s := c.sessions[e.Session]
	if s == nil {
		c.fail(e.Call, ErrSessionStale)
		return
	}
	c.renew(s)
	if s.beat != nil {
		c.answerBeat(s)
	}
	if e.Seq > s.beatSeq {
		s.beatSeq = e.Seq
		c.reconcile(s, e)
	}
	s.beat = c.park(&wait{call: e.Call, kind: waitBeat, session: s, until: e.Until})
	if e.Draining {
		s.leaving = true
		if s.drain == nil {
			c.drain(s, &drainOrder{own: true})
		} else {
			c.dismissPoll(s) // It crossed the order on its way, and the worker waits for its answer before it leaves.
		}
	}
	if s.newsForWorker() {
		c.markBeat(s)
	}
}

// renew gives a session its time anew, because its worker was heard of.
func (c *Scheduler) renew(s *session) {
	c.hear(s, c.now)
	s.lastSeen = c.now
	c.timers.reset(s.ttl, c.now.Add(c.cfg.SessionTTL))
}

// silent says whether the worker has sent nothing for so long that it may well be gone. Then it is
// granted nothing: when many are cut off at once their sessions end one after the other, and a task
// of the first would be handed to the waiting poll of each in turn, and be charged with all their
// deaths.
func (c *Scheduler) silent(s *session) bool { return c.now.Sub(s.heard) > c.cfg.SessionTTL/2 }

// hear notes that the worker is there. One that was silent gets what it waits for.
func (c *Scheduler) hear(s *session, now Time) {
	silent := c.silent(s)
	if silent {
		s.putOff(now.Sub(s.heard))
	}
	if s.heard = now; silent {
		c.offer(s)
	}
}

// reconcile compares what the worker holds with what the scheduler believes.
func (c *Scheduler) reconcile(s *session, e *Heartbeat) {
	c.received(s, e.Received)
	s.unknown = s.unknown[:0]
	s.listed = nil
	for i, tokens := range [][]Token{e.Queued, e.Running, e.Finished} {
		for _, token := range tokens {
			l := c.leases[token]
			if l == nil || l.session != s {
				if i < 2 { // The report of a finished one is under way, and will be judged.
					c.addUnknown(s, token)
				}
				continue
			}
			l.seenSeq = e.Seq
			switch i {
			case 1:
				c.stillRuns(l)
			case 2: // Its report says how it ended, and is under way.
				l.overdue, l.overdueStill = 0, 0
			}
		}
	}
	for i := range e.Progress {
		if l := c.leases[e.Progress[i].Lease]; l != nil && l.session == s {
			p := e.Progress[i].Progress
			p.At = c.now
			l.progress = &p
		}
	}
	company := s.begun > 1
	for l := s.leases.tail; l != nil; {
		prev := l.prev
		// What was granted in an answer that the worker did not have when it wrote this is not
		// judged. A poll that it sent later may have overtaken the heartbeat, so what counts is
		// what this one says.
		if l.seenSeq != e.Seq && l.pollSeq <= e.Received {
			t, current, ran := l.task, l.current(), l.runningAt
			c.endLease(l)
			switch {
			case !current:
			case ran != 0:
				c.workerLost(t, c.now.Sub(ran), company)
			default:
				c.undelivered(t)
			}
		}
		l = prev
	}
}

// addUnknown notes a token that the worker must stop, once.
func (c *Scheduler) addUnknown(s *session, token Token) {
	if len(s.unknown) >= c.cfg.MaxUnknown || s.listed[token] {
		return
	}
	if s.listed == nil {
		s.listed = make(map[Token]bool)
	}
	s.listed[token] = true
	s.unknown = append(s.unknown, token)
}

// newsForWorker says whether there is something that the worker was not told yet.
func (s *session) newsForWorker() bool {
	if s.drain != nil && !s.drain.own && !s.drainTold {
		return true
	}
	for _, token := range s.unknown {
		if !s.toldUnknown[token] {
			return true
		}
	}
	return s.untold > 0
}

// markBeat has the session's heartbeat answered at the end of the step.
func (c *Scheduler) markBeat(s *session) {
	if !s.dirty {
		s.dirty = true
		c.dirtyBeats = append(c.dirtyBeats, s)
	}
}

func (c *Scheduler) wakeBeats() {
	for _, s := range c.dirtyBeats {
		s.dirty = false
		if s.beat != nil {
			c.answerBeat(s)
		}
	}
	c.dirtyBeats = reuse.Emptied(c.dirtyBeats)
}

// answerBeat tells a worker all that it must stop, whether or not it was told before.
func (c *Scheduler) answerBeat(s *session) {
	w := s.beat
	c.unpark(w)
	s.answered = c.now
	var r HeartbeatReply
	if !c.idling {
		r.Stop = slices.Clone(s.unknown)
		s.toldUnknown = s.listed
		s.untold = 0
	}
	for l := s.leases.head; l != nil && !c.idling; l = l.next {
		if l.stopping {
			l.stopTold = true
			r.Stop = append(r.Stop, l.token)
		}
	}
	if s.drain != nil && !s.drain.own {
		s.drainTold = true
		r.Drain, r.Grace = true, s.drain.grace
	}
	// To stop an attempt that a crash brings back would have it charged with the loss of its
	// worker.
	c.out.Replies = append(c.out.Replies, Reply{Call: w.call, Body: r, Settled: len(r.Stop) == 0 || s.changed <= c.durable})
}

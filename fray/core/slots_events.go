package core

import (
	"fmt"
	"time"
)

// Pass says what time it is, before any event of that time. What passed while the process stood still is no running time of its
// functions: their deadlines are put off by it.
func (s *Slots) Pass(now Time) {
	lost := now.Sub(s.seen)
	stalled := s.cfg.StallTick > 0 && s.seen != 0 && len(s.due) > 0 && lost > s.cfg.StallTick+s.cfg.StallTolerance
	s.seen = max(s.seen, now)
	if !stalled {
		return
	}
	for a := s.all.head; a != nil; a = a.links[slotLinkAll].next {
		if a.phase != SlotRunning {
			continue
		}
		a.stalled += lost
		a.deadline = a.deadline.Add(lost)
		if a.stop != 0 {
			a.stoppedAt = a.stoppedAt.Add(lost)
		}
		s.schedule(a)
	}
}

// Registered begins a session: the attempts in kept go on, and all others are stopped as lost with the
// session before. Polls count from 1 again.
func (s *Slots) Registered(now Time, kept []Token) {
	s.connected = true
	s.lostBy = Never
	s.pollSeq, s.pollSent, s.receivedPoll = 1, false, 0
	for _, lease := range kept {
		if a := s.attempts[lease]; a != nil {
			a.kept = true
		}
	}
	for a := s.all.head; a != nil; {
		next := a.links[slotLinkAll].next
		if !a.kept {
			s.stop(now, a, SlotSessionLost)
		}
		a.kept = false
		a = next
	}
	s.dispatch(now)
}

// SessionLost ends a session. What runs goes on for the patience, so that a new session can keep it; nothing
// starts meanwhile. It has no effect while there is no session.
func (s *Slots) SessionLost(now Time, patience time.Duration) {
	if !s.connected {
		return
	}
	s.connected = false
	s.lostBy = now.Add(patience)
}

// Grant takes the answer to poll seq. An answer to any other poll than the one that was sent last is ignored,
// and so are leases that are held already.
func (s *Slots) Grant(now Time, seq uint64, grants []SlotGrant) {
	if !s.connected || !s.pollSent || seq != s.pollSeq {
		return
	}
	s.receivedPoll = seq
	s.pollSeq, s.pollSent = seq+1, false
	s.weigh(grants)
	for i := range grants {
		if s.attempts[grants[i].Lease] != nil {
			continue
		}
		s.granted++
		a := &slotAttempt{SlotGrant: grants[i], order: s.granted, phase: SlotQueued, queuedAt: now, dueIndex: -1}
		s.tally[a.phase][a.place]++
		s.attempts[a.Lease] = a
		s.all.push(a)
		s.queue.push(a)
		switch {
		case s.draining || !s.possible(a):
			s.unqueue(now, a, Returned)
		case s.free() > 0 && !s.full() && s.fits(a):
			s.start(now, a)
		default:
			s.schedule(a)
		}
	}
}

// Finish says that the function of a running or abandoned attempt returned, with Succeeded, FailedOutcome,
// TimedOut, Stopped, Returned or UndecodableOutcome. A value counts even while the attempt is stopped; anything else is then
// reported as what it was stopped for. The report takes so many bytes until it is acknowledged.
func (s *Slots) Finish(now Time, lease Token, outcome Outcome, bytes int) {
	a := s.must(lease, "finish")
	reported := a.phase == SlotAbandoned
	s.release(a)
	if !reported {
		a.bytes = bytes
		if a.stop != 0 && outcome != Succeeded && outcome != UndecodableOutcome {
			outcome = a.stop.outcome()
		}
		if a.stop == 0 && !a.lentOnce && outcome != TimedOut && outcome != Stopped && outcome != Returned {
			s.observe(now, a.ran(now))
		}
		s.report(now, a, outcome)
	}
	s.schedule(a)
	if !a.unacked {
		s.forget(a)
	}
	s.dispatch(now)
}

// Stop obeys the controller's order to stop attempts. A queued one ends at once; a running one is cancelled,
// and abandoned if it has not returned within the grace.
func (s *Slots) Stop(now Time, leases []Token) {
	for _, lease := range leases {
		if a := s.attempts[lease]; a != nil {
			s.stop(now, a, SlotOrdered)
		}
	}
}

// Block says that a running attempt waits for other tasks, and lends its slot. Until [Slots.Unblock] it must not be
// called again, but for an attempt that wants its slot back and has not got it yet: that one is resumed.
func (s *Slots) Block(now Time, lease Token) {
	a := s.must(lease, "block")
	if a.blocked {
		panic(fmt.Sprintf("core: block of attempt %d, which is blocked", lease))
	}
	a.blocked, a.lentOnce = true, true
	switch a.place {
	case slotPlaceSlot:
		if s.lent() >= slotsMaxLent {
			return
		}
	case slotPlaceWaiting:
		s.waiters.remove(a)
		s.emit(SlotEffect{Kind: SlotResume, Lease: a.Lease, Value: a.Value})
	}
	s.move(a, a.phase, slotPlaceLent)
	s.dispatch(now)
}

// Unblock says that the wait of a blocked attempt is over. It goes on with its SlotResume.
func (s *Slots) Unblock(now Time, lease Token) {
	a := s.must(lease, "unblock")
	if !a.blocked {
		panic(fmt.Sprintf("core: unblock of attempt %d, which is not blocked", lease))
	}
	a.blocked = false
	if a.place == slotPlaceSlot {
		s.emit(SlotEffect{Kind: SlotResume, Lease: a.Lease, Value: a.Value})
		return
	}
	s.move(a, a.phase, slotPlaceWaiting)
	s.waiters.push(a)
	s.dispatch(now)
}

// Ack says that the controller has judged the terminal report of an attempt, whatever the verdict.
func (s *Slots) Ack(now Time, lease Token) {
	a := s.attempts[lease]
	if a == nil || !a.unacked {
		return
	}
	full := s.full()
	a.unacked = false
	s.outbox--
	s.bytes -= a.bytes
	if a.phase == SlotFinished {
		s.forget(a)
	}
	if full {
		s.dispatch(now)
	}
}

// Drain takes no new work from now on, gives back what is queued, and stops at the deadline what runs then.
// Of several deadlines the earliest counts.
func (s *Slots) Drain(now, deadline Time) {
	s.drainBy = min(s.drainBy, deadline)
	if !s.draining {
		s.draining = true
		for a := s.queue.head(); a != nil; a = s.queue.head() {
			s.unqueue(now, a, Returned)
		}
	}
	s.tickAll(now)
}

// Tick does what has become due: see [Slots.Deadline].
func (s *Slots) Tick(now Time) {
	for len(s.due) > 0 && s.due[0].due <= now {
		s.tick(now, s.due[0])
	}
	s.tickAll(now)
}

func (s *Slots) tick(now Time, a *slotAttempt) {
	switch {
	case a.phase == SlotQueued:
		// It was fetched too early. This counts as a run so long that the average ends the prefetching,
		// until shorter ones bring it down again.
		s.observe(now, slotsMeanWeight*s.cfg.PrefetchFor*time.Duration(s.cfg.Slots))
		s.unqueue(now, a, Returned)
	case a.stop != 0:
		s.move(a, SlotAbandoned, a.place)
		s.emit(SlotEffect{Kind: SlotAbandon, Lease: a.Lease, Value: a.Value, Cause: a.stop})
		s.report(now, a, a.stop.outcome())
		s.schedule(a)
	case a.deadline <= now:
		s.stop(now, a, SlotTimedOut)
	default:
		a.told = true
		s.emit(SlotEffect{Kind: SlotReport, Lease: a.Lease, Value: a.Value, Outcome: Started, Ran: a.ran(now)})
		s.schedule(a)
	}
}

// tickAll does what is due for all attempts at once.
func (s *Slots) tickAll(now Time) {
	if s.lostBy <= now {
		s.lostBy = Never
		s.stopAll(now, SlotSessionLost)
	}
	if s.drainBy <= now {
		s.drainBy = Never
		s.stopAll(now, SlotLeaving)
	}
}

func (s *Slots) stopAll(now Time, cause SlotCause) {
	for a := s.all.head; a != nil; {
		next := a.links[slotLinkAll].next
		s.stop(now, a, cause)
		a = next
	}
}

// stop stops a if it is queued or running and not stopped before.
func (s *Slots) stop(now Time, a *slotAttempt, cause SlotCause) {
	switch {
	case a.phase == SlotQueued:
		s.unqueue(now, a, cause.outcome())
	case a.phase == SlotRunning && a.stop == 0:
		a.stop, a.stoppedAt = cause, now
		s.schedule(a)
		s.emit(SlotEffect{Kind: SlotCancel, Lease: a.Lease, Value: a.Value, Cause: cause})
	}
}

// unqueue ends a without its ever having run.
func (s *Slots) unqueue(now Time, a *slotAttempt, outcome Outcome) {
	s.queue.remove(a)
	s.move(a, SlotFinished, slotPlaceNone)
	s.report(now, a, outcome)
	s.schedule(a)
}

func (s *Slots) report(now Time, a *slotAttempt, outcome Outcome) {
	a.unacked = true
	s.outbox++
	s.bytes += a.bytes
	s.emit(SlotEffect{Kind: SlotReport, Lease: a.Lease, Value: a.Value, Outcome: outcome, Ran: a.ran(now)})
}

func (s *Slots) forget(a *slotAttempt) {
	s.all.remove(a)
	s.tally[a.phase][a.place]--
	delete(s.attempts, a.Lease)
}

// must returns an attempt whose function runs.
func (s *Slots) must(lease Token, event string) *slotAttempt {
	a := s.attempts[lease]
	if a == nil || a.phase != SlotRunning && a.phase != SlotAbandoned {
		panic(fmt.Sprintf("core: %s of attempt %d, which does not run", event, lease))
	}
	return a
}

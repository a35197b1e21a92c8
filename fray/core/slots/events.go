package slots

import (
	"fmt"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// Pass says what time it is, before any event of that time. What passed while the process stood
// still is no running time of its functions: their deadlines are put off by it.
func (s *Machine) Pass(now core.Time) {
	lost := now.Sub(s.seen)
	stalled := s.cfg.StallTick > 0 && s.seen != 0 && len(s.due) > 0 && lost > s.cfg.StallTick+s.cfg.StallTolerance
	s.seen = max(s.seen, now)
	if !stalled {
		return
	}
	for a := s.all.head; a != nil; a = a.links[linkAll].next {
		if a.phase != Running {
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

// Registered begins a session: the attempts in kept go on, and all others are stopped as lost with
// the session before. Polls count from 1 again.
func (s *Machine) Registered(now core.Time, kept []core.Token) {
	s.connected = true
	s.lostBy = core.Never
	s.pollSeq, s.pollSent, s.receivedPoll = 1, false, 0
	for _, lease := range kept {
		if a := s.attempts[lease]; a != nil {
			a.kept = true
		}
	}
	for a := s.all.head; a != nil; {
		next := a.links[linkAll].next
		if !a.kept {
			s.stop(now, a, SessionLost)
		}
		a.kept = false
		a = next
	}
	s.dispatch(now)
}

// SessionLost ends a session. What runs goes on for the patience, so that a new session can keep
// it; nothing starts meanwhile. It has no effect while there is no session.
func (s *Machine) SessionLost(now core.Time, patience time.Duration) {
	if !s.connected {
		return
	}
	s.connected = false
	s.lostBy = now.Add(patience)
}

// Grant takes the answer to poll seq. An answer to any other poll than the one that was sent last
// is ignored, and so are leases that are held already.
func (s *Machine) Grant(now core.Time, seq uint64, grants []Grant) {
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
		a := &attempt{Grant: grants[i], order: s.granted, phase: Queued, queuedAt: now, dueIndex: -1}
		s.tally[a.phase][a.place]++
		s.attempts[a.Lease] = a
		s.all.push(a)
		s.queue.push(a)
		switch {
		case s.draining || !s.possible(a):
			s.unqueue(now, a, core.Returned)
		case s.free() > 0 && !s.full() && s.fits(a):
			s.start(now, a)
		default:
			s.schedule(a)
		}
	}
}

// Finish says that the function of a running or abandoned attempt returned, with Succeeded,
// FailedOutcome, TimedOut, Stopped, Returned or UndecodableOutcome. A value counts even while the
// attempt is stopped; anything else is then reported as what it was stopped for. The report takes
// so many bytes until it is acknowledged.
func (s *Machine) Finish(now core.Time, lease core.Token, outcome core.Outcome, bytes int) {
	a := s.must(lease, "finish")
	reported := a.phase == Abandoned
	s.release(a)
	if !reported {
		a.bytes = bytes
		if a.stop != 0 && outcome != core.Succeeded && outcome != core.UndecodableOutcome {
			outcome = a.stop.outcome()
		}
		if a.stop == 0 && !a.lentOnce && outcome != core.TimedOut && outcome != core.Stopped && outcome != core.Returned {
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

// Stop obeys the controller's order to stop attempts. A queued one ends at once; a running one is
// cancelled, and abandoned if it has not returned within the grace.
func (s *Machine) Stop(now core.Time, leases []core.Token) {
	for _, lease := range leases {
		if a := s.attempts[lease]; a != nil {
			s.stop(now, a, Ordered)
		}
	}
}

// Block says that a running attempt waits for other tasks, and lends what it has. Until
// [Machine.Unblock] it must not be called again, but for an attempt that wants its slot back and
// has not got it yet: that one is resumed.
func (s *Machine) Block(now core.Time, lease core.Token) {
	a := s.must(lease, "block")
	if a.blocked {
		panic(fmt.Sprintf("core: block of attempt %d, which is blocked", lease))
	}
	a.blocked, a.lentOnce = true, true
	switch a.place {
	case placeSlot:
		if s.lent() >= maxLent {
			return
		}
		s.lend(a)
	case placeWaiting:
		s.stopWaiting(a)
		s.countLender(a, 1)
		s.emit(Effect{Kind: Resume, Lease: a.Lease, Value: a.Value})
	}
	s.move(a, a.phase, placeLent)
	s.dispatch(now)
}

// Unblock says that the wait of a blocked attempt is over. It goes on with its Resume.
func (s *Machine) Unblock(now core.Time, lease core.Token) {
	a := s.must(lease, "unblock")
	if !a.blocked {
		panic(fmt.Sprintf("core: unblock of attempt %d, which is not blocked", lease))
	}
	a.blocked = false
	if a.place == placeSlot {
		s.emit(Effect{Kind: Resume, Lease: a.Lease, Value: a.Value})
		return
	}
	s.move(a, a.phase, placeWaiting)
	s.wait(a)
	s.dispatch(now)
}

// Ack says that the controller has judged the terminal report of an attempt, whatever the verdict.
func (s *Machine) Ack(now core.Time, lease core.Token) {
	a := s.attempts[lease]
	if a == nil || !a.unacked {
		return
	}
	full := s.full()
	a.unacked = false
	s.outbox--
	s.bytes -= a.bytes
	if a.phase == Finished {
		s.forget(a)
	}
	if full {
		s.dispatch(now)
	}
}

// Drain takes no new work from now on, gives back what is queued, and stops at the deadline what
// runs then. Of several deadlines the earliest counts.
func (s *Machine) Drain(now, deadline core.Time) {
	s.drainBy = min(s.drainBy, deadline)
	if !s.draining {
		s.draining = true
		for a := s.queue.head(); a != nil; a = s.queue.head() {
			s.unqueue(now, a, core.Returned)
		}
	}
	s.tickAll(now)
}

// Tick does what has become due: see [Machine.Deadline].
func (s *Machine) Tick(now core.Time) {
	for len(s.due) > 0 && s.due[0].due <= now {
		s.tick(now, s.due[0])
	}
	s.tickAll(now)
}

func (s *Machine) tick(now core.Time, a *attempt) {
	switch {
	case a.phase == Queued:
		// It was fetched too early. This counts as a run so long that the average ends the
		// prefetching, until shorter ones bring it down again.
		s.observe(now, meanWeight*s.cfg.PrefetchFor*time.Duration(s.cfg.Slots))
		s.unqueue(now, a, core.Returned)
	case a.stop != 0:
		s.move(a, Abandoned, a.place)
		s.emit(Effect{Kind: Abandon, Lease: a.Lease, Value: a.Value, Cause: a.stop})
		s.report(now, a, a.stop.outcome())
		s.schedule(a)
	case a.deadline <= now:
		s.stop(now, a, TimedOut)
	default:
		a.told = true
		s.emit(Effect{Kind: Report, Lease: a.Lease, Value: a.Value, Outcome: core.Started, Ran: a.ran(now)})
		s.schedule(a)
	}
}

// tickAll does what is due for all attempts at once.
func (s *Machine) tickAll(now core.Time) {
	if s.lostBy <= now {
		s.lostBy = core.Never
		s.stopAll(now, SessionLost)
	}
	if s.drainBy <= now {
		s.drainBy = core.Never
		s.stopAll(now, Leaving)
	}
}

func (s *Machine) stopAll(now core.Time, cause Cause) {
	for a := s.all.head; a != nil; {
		next := a.links[linkAll].next
		s.stop(now, a, cause)
		a = next
	}
}

// stop stops a if it is queued or running and not stopped before.
func (s *Machine) stop(now core.Time, a *attempt, cause Cause) {
	switch {
	case a.phase == Queued:
		s.unqueue(now, a, cause.outcome())
	case a.phase == Running && a.stop == 0:
		a.stop, a.stoppedAt = cause, now
		s.schedule(a)
		s.emit(Effect{Kind: Cancel, Lease: a.Lease, Value: a.Value, Cause: cause})
	}
}

// unqueue ends a without its ever having run.
func (s *Machine) unqueue(now core.Time, a *attempt, outcome core.Outcome) {
	s.queue.remove(a)
	s.move(a, Finished, placeNone)
	s.report(now, a, outcome)
	s.schedule(a)
}

func (s *Machine) report(now core.Time, a *attempt, outcome core.Outcome) {
	a.unacked = true
	s.outbox++
	s.bytes += a.bytes
	s.emit(Effect{Kind: Report, Lease: a.Lease, Value: a.Value, Outcome: outcome, Ran: a.ran(now)})
}

func (s *Machine) forget(a *attempt) {
	s.all.remove(a)
	s.tally[a.phase][a.place]--
	delete(s.attempts, a.Lease)
}

// must returns an attempt whose function runs.
func (s *Machine) must(lease core.Token, event string) *attempt {
	a := s.attempts[lease]
	if a == nil || a.phase != Running && a.phase != Abandoned {
		panic(fmt.Sprintf("core: %s of attempt %d, which does not run", event, lease))
	}
	return a
}

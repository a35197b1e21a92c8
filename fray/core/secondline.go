package core

import "time"

// The worker ends an attempt whose execution timeout is over, and says so. The scheduler is the
// second line, for a worker that does not get to it. It goes by the worker's word alone: an attempt
// is past its timeout when its worker says, a while after the deadline and again later, that it
// still runs. That nothing is heard of a worker may have any reason, and is the business of its
// session.

// twiceWithin is the share of the grace, 1 in so many, that has to lie between the two words: the
// later one was then surely sent after the deadline, even where the first was under way for long.
const twiceWithin = 4

// deadline is when the attempt has run for its execution timeout, as far as the scheduler can know.
// It has one, and runs.
func (l *lease) deadline() Time {
	return l.runningAt.Add(l.task.shape.ExecutionTimeout).Add(l.unheard)
}

// armSecondLine sets the alarm for an attempt that has begun to run.
func (c *Scheduler) armSecondLine(l *lease) {
	if l.task.shape.ExecutionTimeout > 0 && l.timer == nil {
		l.timer = c.timers.add(&timer{at: l.deadline().Add(c.cfg.TimeoutGrace), kind: timerLease, lease: l})
	}
}

// stillRuns takes down that a worker says of an attempt that it runs.
func (c *Scheduler) stillRuns(l *lease) {
	c.running(l)
	if l.task.shape.ExecutionTimeout == 0 || !l.current() || c.now < l.deadline() {
		return
	}
	if l.overdue == 0 {
		l.overdue = c.now
	}
	l.overdueStill = c.now
	if l.timer == nil { // The alarm has rung before there was any word.
		c.secondLine(l)
	}
}

// secondLine ends an attempt that is past its timeout by a grace, if its worker says so, too. Else
// it is done again with the worker's next word. The capacity of the attempt is held until the
// worker confirms its end.
func (c *Scheduler) secondLine(l *lease) {
	if l.deadline().Add(c.cfg.TimeoutGrace) > c.now {
		c.armSecondLine(l)
		return
	}
	if l.recalled || l.overdue == 0 || l.overdueStill.Sub(l.overdue) < c.cfg.TimeoutGrace/twiceWithin {
		return
	}
	t := l.task
	c.linger(l)
	t.run.lease = nil
	c.stop(l)
	c.note(t, EndTimedOut, l.ran(c.now))
	c.failed(t, Timeout, nil, false, 0)
}

// putOff puts off what a session's attempts are held to by the time for which nothing was heard of
// its worker: it may have been stopped, and its functions with it.
func (s *session) putOff(d time.Duration) {
	for l := s.leases.head; l != nil; l = l.next {
		if l.runningAt != 0 {
			l.unheard += d
			l.overdue, l.overdueStill = 0, 0
		}
	}
}

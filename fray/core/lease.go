package core

import "time"

// lease is an attempt at a worker. It outlives its hold on the task when the task moves on without
// it: capacity is freed only when the worker confirms that the attempt is over.
type lease struct {
	id      string
	token   Token
	attempt uint32
	task    *task
	session *session
	// Neighbours among the session's leases, in the order of their grant.
	next, prev *lease
	pollSeq    uint64
	grantedAt  Time
	runningAt  Time
	timer      *timer
	// The heartbeat that last listed it.
	seenSeq uint64
	// For how long nothing was heard of the worker while it ran, and when the worker first and last
	// said that it runs past its execution timeout.
	unheard               time.Duration
	overdue, overdueStill Time
	// What it said of itself last; nil: nothing.
	progress *Progress
	// Granted ahead of a free slot, and not known to run.
	ahead bool
	// Its task runs alone.
	alone bool
	// It is to end because the task is to start anew with its gang.
	recalled bool
	// The worker's poll says that it has lent its resources.
	lends bool
	// Of a call, its actor, and the lease of the life that it was handed to; it counts no longer and may run still,
	// see linger.
	actor   *actor
	life    Token
	lingers bool
	// The worker is asked to stop it; told once that was said.
	stopping, stopTold bool
}

func (l *lease) current() bool { return l.task.run != nil && l.task.run.lease == l }

// ran is how long the attempt has run by now, as far as the worker has said.
func (l *lease) ran(now Time) time.Duration {
	if l.runningAt == 0 {
		return 0
	}
	return now.Sub(l.runningAt)
}

// mayHaveStarted says whether the worker's death is charged to the task.
func (l *lease) mayHaveStarted() bool { return !l.ahead || l.runningAt != 0 }

func (c *Scheduler) lease(t *task, s *session, pollSeq uint64, ahead bool) *lease {
	r := t.ran()
	if r.id == "" {
		r.id = c.log.idOf(t)
	}
	c.log.chunkOf(t).leased = true
	c.touch(t)
	c.disarm(t)
	c.setStatus(t, Leased)
	c.note(t, EndLeased, c.now.Sub(t.since))
	c.stats.LeasesGranted++
	c.spend(t)
	r.attempts++
	l := &lease{
		id: r.id, token: c.token(), attempt: r.attempts, task: t, session: s, pollSeq: pollSeq, grantedAt: c.now, ahead: ahead,
		alone: t.shape.alone,
	}
	if t.shape.Role == ActorCall {
		l.handedTo(c.calls[t].caller.actor)
	}
	r.lease, r.token, r.workerID, r.leasedAt = l, l.token, s.workerID, c.now
	t.pending = 0
	c.leases[l.token] = l
	s.hold(l)
	c.remember(t, false)
	return l
}

// handedTo notes which incarnation a call's attempt is handed to.
func (l *lease) handedTo(a *actor) { l.actor, l.life = a, a.life.run.token }

// hold takes a lease in.
func (s *session) hold(l *lease) {
	s.leases.push(l)
	s.occupy(l.task.shape.class, 1)
	if l.mayHaveStarted() {
		s.begun++
	}
	if l.alone {
		s.alone++
	}
}

// letGo frees what a lease occupied.
func (s *session) letGo(l *lease) {
	s.leases.remove(l)
	s.occupy(l.task.shape.class, -1)
	if l.mayHaveStarted() {
		s.begun--
	}
	if l.alone {
		s.alone--
	}
}

// grant tells of a lease, and how many bytes go along with that.
func (c *Scheduler) grant(l *lease) (g Grant, bytes int) {
	t := l.task
	along, bytes := c.along(t)
	g = Grant{Task: t.num, ID: l.id, Job: t.job.id, Attempt: l.attempt, Token: l.token, Along: along}
	if t.shape.Role == ActorCall {
		g.Life = c.calls[t].caller.actor.life.run.token
	}
	if x := t.job.ties; x != nil && len(x.environment) > 0 {
		g.Environment = &x.environment
		bytes += int(x.environmentBytes)
	}
	return g, bytes + int(t.size)
}

// endLease frees what a lease occupied, and fences its token.
func (c *Scheduler) endLease(l *lease) {
	c.timers.cancel(l.timer)
	l.timer = nil
	delete(c.leases, l.token)
	if l.stopping && !l.stopTold {
		l.session.untold--
	}
	l.session.letGo(l)
	if l.lends {
		l.lends = false
		l.session.poll.lend(l, -1)
	}
	c.lingered(l)
	l.session.changed = c.step
	if l.current() {
		l.task.run.lease = nil
	}
	c.offer(l.session)
}

// running notes that an attempt runs, and sets the second line of its execution timeout: the worker
// is the first.
func (c *Scheduler) running(l *lease) {
	if l.runningAt != 0 {
		return
	}
	if !l.mayHaveStarted() {
		l.session.begun++
	}
	l.runningAt = c.now
	t := l.task
	if !l.current() {
		return // The task goes on without it.
	}
	known := t.started && !l.ahead
	t.started = true
	c.setStatus(t, Running)
	c.armSecondLine(l)
	if !known {
		c.remember(t, true) // Or else nobody would be charged when both ends die.
	}
}

// leaseTimer strikes when a worker has not ended an attempt for too long: after a cancellation,
// without which its task goes on, or past the execution timeout.
func (c *Scheduler) leaseTimer(l *lease) {
	l.timer = nil
	t := l.task
	if !t.cancelRequested() {
		c.secondLine(l)
		return
	}
	c.linger(l)
	t.run.lease = nil
	c.note(t, EndStopped, l.ran(c.now))
	c.finish(t, Cancelled, 0, nil)
}

// leaseList is a list threaded through its leases.
type leaseList struct {
	head, tail *lease
	size       int
}

func (l *leaseList) push(x *lease) {
	x.prev = l.tail
	if l.tail == nil {
		l.head = x
	} else {
		l.tail.next = x
	}
	l.tail = x
	l.size++
}

func (l *leaseList) remove(x *lease) {
	if x.prev == nil {
		l.head = x.next
	} else {
		x.prev.next = x.next
	}
	if x.next == nil {
		l.tail = x.prev
	} else {
		x.next.prev = x.prev
	}
	x.next, x.prev = nil, nil
	l.size--
}

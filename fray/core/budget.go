package core

import "time"

// failed charges a failure or timeout to the retry budget.
func (c *Scheduler) failed(t *task, reason FailureReason, result []byte, final bool, retryAfter time.Duration) {
	c.touch(t)
	r := t.run
	r.failures++
	t.started = true
	if t.cancelRequested() {
		c.finish(t, Cancelled, 0, nil)
		return
	}
	if final || r.failures > t.shape.MaxRetries || t.shape.Role == Life && c.spent(t) {
		c.finish(t, Failed, reason, result)
		return
	}
	d := retryAfter
	if d <= 0 {
		d = t.shape.backoff(c.cfg.Seed, t.num, r.failures-1)
	}
	c.setStatus(t, Pending)
	c.leavePlaces(t)
	c.disband(t)
	t.pending, t.since = Backoff, c.now
	c.arm(t, c.now.Add(d))
	c.remember(t, false)
}

// workerLost charges the death of a worker to the task that it ran; in company, if other attempts
// may have run there, too.
func (c *Scheduler) workerLost(t *task, ran time.Duration, company bool) {
	c.note(t, EndWorkerLost, ran)
	c.lose(t, company)
}

// lose charges a task with an attempt that is gone, though it may have run.
func (c *Scheduler) lose(t *task, company bool) {
	if t.shape.Role == ActorCall && !t.cancelRequested() {
		if a := c.calls[t].caller.actor; a.deleted() {
			c.finish(t, Failed, ActorDead, c.deathOf(a))
			return
		}
	}
	c.touch(t)
	t.run.losses++
	t.started = true
	if company {
		t.run.inCompany++
	}
	switch {
	case t.cancelRequested():
		c.finish(t, Cancelled, 0, nil)
	case c.spent(t) && t.shape.Role == ActorCall:
		c.finish(t, Failed, ActorRestarted, nil)
	case c.spent(t):
		c.finish(t, Failed, WorkerLost, nil)
	default:
		c.setApart(t)
		c.requeue(t)
	}
}

// undelivered takes back an attempt that never started, at no charge.
func (c *Scheduler) undelivered(t *task) {
	c.note(t, EndUndelivered, 0)
	c.touch(t)
	c.stats.DeliveryFailures++
	t.run.deliveries++
	c.putBack(t)
}

// broken has a task go on whose attempt was broken off when it had run so long. A call that has run may have changed
// its actor: it is lost, and others run again.
func (c *Scheduler) broken(t *task, ran time.Duration) {
	if t.shape.Role == ActorCall && ran > 0 {
		c.lose(t, false)
		return
	}
	c.putBack(t)
}

// putBack returns a task whose attempt is over to the front of its queue, unless it was cancelled
// meanwhile.
func (c *Scheduler) putBack(t *task) {
	if t.cancelRequested() {
		c.finish(t, Cancelled, 0, nil)
		return
	}
	c.requeue(t)
}

func (c *Scheduler) requeue(t *task) {
	c.touch(t)
	if t.status != Pending { // Else its lease was of an earlier incarnation.
		c.setStatus(t, Pending)
	}
	c.leavePlaces(t)
	c.disband(t)
	if t.shape.SchedulingTimeout > 0 && !t.started && !c.blocked(t) && c.startBy(t) <= c.now {
		t.pending = Backoff // Not in a queue, so that finish takes it out of none.
		c.neverStarted(t)
		return
	}
	if c.queue(t, true); !t.status.Terminal() { // What it needs may not have completed, see adopt.
		c.remember(t, false)
	}
}

package core

// A task that is not to be granted before a time is Delayed until then, once all that it needs has
// ended. The time is one of the controller's clock: that nobody could listen meanwhile puts it off no
// more than that nobody is granted anything.

// delayUntil notes that an open task is not to be granted before a time.
func (c *Scheduler) delayUntil(t *task, at Time) {
	if at > t.submitted {
		c.notBefore[t] = at
	}
}

// delay keeps a pending task from being granted until its time has come.
func (c *Scheduler) delay(t *task, at Time) {
	c.waitAside(t, Delayed)
	c.arm(t, at)
}

// waitAside has a pending task wait for something else than a worker.
func (c *Scheduler) waitAside(t *task, reason PendingReason) {
	t.pending, t.since = reason, c.now
	if t.next == 0 {
		t.job.away(t)
	}
}

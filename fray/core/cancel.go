package core

func (e *Cancel) apply(c *Scheduler) {
	if e.Job != "" && !c.jobs[e.Job].admits(e.Owner) {
		c.notOwner(e.Call)
		return
	}
	r := CancelReply{Verdicts: make([]CancelVerdict, len(e.IDs))}
	for i, id := range e.IDs {
		r.Verdicts[i] = CancelNotFound
		switch t := c.find(id); {
		case t == nil:
		case !t.job.admits(e.Owner):
			r.Verdicts[i] = CancelRefused
		default:
			r.Verdicts[i] = c.cancel(t, e.WithDependants)
		}
	}
	if j := c.jobs[e.Job]; j != nil && e.Job != "" {
		r.JobTasks = c.cancelTree(j, e.WithDependants)
	}
	c.reply(e.Call, r)
}

// cancel ends a task, or asks its worker to; and what needs it, once it has ended.
func (c *Scheduler) cancel(t *task, withDependants bool) CancelVerdict {
	if t.status.Terminal() {
		return CancelAlreadyTerminal
	}
	more := withDependants && !t.cancelsDependants()
	if more {
		t.ran().cancelsDependants = true
	}
	if t.status == Pending && t.pending != Recovering {
		c.finish(t, Cancelled, 0, nil)
		return CancelDone
	}
	if first := !t.cancelRequested(); first || more {
		c.touch(t)
		t.run.cancelRequested = true
		if l := t.run.lease; l != nil && first { // Else the worker that may hold it has to come first.
			c.stopCancelled(l)
		}
		c.remember(t, false)
		c.cancelGang(c.gangs[t], withDependants)
	}
	return CancelStopping
}

// stopCancelled asks the worker to end an attempt whose task was cancelled, which waits for that
// for a grace.
func (c *Scheduler) stopCancelled(l *lease) {
	c.stop(l)
	at := c.now.Add(c.cfg.CancelGrace)
	if l.timer == nil {
		l.timer = c.timers.add(&timer{at: at, kind: timerLease, lease: l})
	} else {
		c.timers.reset(l.timer, at)
	}
}

// stop asks the worker to end an attempt.
func (c *Scheduler) stop(l *lease) {
	if !l.stopping {
		l.stopping = true
		l.session.untold++
		l.session.changed = c.step
		c.markBeat(l.session)
	}
}

package core

import "slices"

func (e *Report) apply(c *Scheduler) {
	s := c.sessions[e.Session]
	if s == nil && (!e.Session.SameIncarnation(firstToken(c.cfg.Incarnation)) || c.leased(e.Items)) {
		// Leases are honoured only after the worker has registered and presented them: those of an
		// earlier incarnation, and those that were presented in a later session.
		c.fail(e.Call, ErrSessionStale)
		return
	}
	c.reply(e.Call, ReportReply{Verdicts: c.judge(s, e.Items)})
}

// judge returns the verdicts on items, which come from the session that is given; nil: one that has
// ended.
func (c *Scheduler) judge(from *session, items []ReportItem) []ReportVerdict {
	if len(items) == 0 {
		return nil
	}
	verdicts := make([]ReportVerdict, len(items))
	for i := range items {
		v := c.report(from, &items[i])
		switch v {
		case Stale:
			c.stats.StaleReports++
		case Duplicate:
			c.stats.DuplicateReports++
		}
		verdicts[i] = v
	}
	return verdicts
}

// leased says whether somebody holds a lease that items tell of.
func (c *Scheduler) leased(items []ReportItem) bool {
	return slices.ContainsFunc(items, func(i ReportItem) bool { return c.leases[i.Token] != nil })
}

// report judges one item. What authorizes it is the lease's token, from the session that holds it.
func (c *Scheduler) report(from *session, i *ReportItem) ReportVerdict {
	l := c.leases[i.Token]
	if l == nil || l.session != from || l.id != i.Task || l.attempt != i.Attempt {
		if t := c.find(i.Task); t != nil && t.run != nil && t.run.lastToken == i.Token && i.Token != 0 {
			return Duplicate
		}
		return Stale
	}
	if i.Outcome == Started {
		if l.runningAt != 0 {
			return Duplicate
		}
		c.running(l)
		return Accepted
	}
	if i.Outcome == ReadyOutcome {
		return c.ready(l)
	}
	t, s, current := l.task, l.session, l.current()
	stopping := l.stopping
	if current {
		c.touch(t)
	}
	c.endLease(l)
	if !current {
		if stopping && i.Outcome == Stopped {
			return Accepted // It confirms the stop that the task did not wait for.
		}
		return Stale
	}
	t.run.lastToken = i.Token
	t.started = t.started || i.Ran > 0
	outcome := i.Outcome
	if l.recalled && !i.NonRetryable && (outcome == FailedOutcome || outcome == TimedOut) {
		outcome = Stopped // It may be for what the others of its gang did.
	}
	switch outcome {
	case Succeeded:
		s.quickFailures, s.penalties = 0, 0
		c.note(t, EndSucceeded, i.Ran)
		c.keepCheckpoint(t, i.Checkpoint)
		c.finish(t, Completed, 0, i.Result)
	case FailedOutcome:
		c.quickFailure(s, t, i)
		c.note(t, EndFailed, i.Ran)
		c.failed(t, Application, i.Result, i.NonRetryable, i.RetryAfter)
	case TimedOut:
		c.note(t, EndTimedOut, i.Ran)
		c.failed(t, Timeout, i.Result, false, 0)
	case UndecodableOutcome:
		c.quickFailure(s, t, i)
		c.note(t, EndUndecodable, i.Ran)
		c.failed(t, Undecodable, i.Result, true, 0)
	case Stopped:
		c.note(t, EndStopped, i.Ran)
		c.broken(t, i.Ran)
	default: // Returned, or what a newer worker may say: it did not run to its end, and that is nobody's fault.
		c.note(t, EndReturned, i.Ran)
		if i.Ran == 0 {
			t.run.deliveries++
		}
		c.broken(t, i.Ran)
	}
	return Accepted
}

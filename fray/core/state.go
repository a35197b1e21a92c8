package core

// State is what must outlive the scheduler of a task's life, besides its spec and its result. A
// task without one was never leased.
type State struct {
	// Pending also where the task is leased: leases do not outlive the scheduler.
	Status Status
	Reason FailureReason
	// An attempt of it, the one numbered Attempts, may be at a worker; with Ahead, granted ahead of
	// a free slot.
	Leased, Ahead bool
	// As in View; and whether any attempt of it has started.
	Started, CancelRequested               bool
	Attempts, Failures, Losses, Deliveries uint32
	// How many of the losses were of workers at which other attempts had started, too.
	InCompany uint32
	WorkerID  string
	LeasedAt  Time
	// Of the last attempt that was granted. Tokens rise.
	Token Token
	// Of the last attempt whose end was accepted from a report; 0: none was.
	LastToken Token
	// The end of its backoff; 0: it has none.
	BackoffUntil Time
	// Of an ended task: when, as which of all that this store saw end, and the bytes of its result.
	// Of one in backoff: when that began.
	Ended       Time
	EndSeq      uint64
	ResultBytes uint32
	// Of one that failed for what it needs: the first task that did not complete.
	Cause string
	// What needs it is to be cancelled, too.
	CancelsDependants bool
	// It has ended, and is kept for those alone who need it. ResultBytes has those of its spec, too.
	Outlived bool
	// Of a schedule that is open, and has come further than its submission.
	Schedule *ScheduleState
}

func (c *Scheduler) state(t *task) State {
	s := State{Status: t.status, Reason: t.reason, Started: t.started, CancelRequested: t.cancelRequested(), CancelsDependants: t.cancelsDependants(), Cause: c.causes[t]}
	if r := t.run; r != nil {
		s.Attempts, s.Failures, s.Losses, s.Deliveries = r.attempts, r.failures, r.losses, r.deliveries
		s.InCompany = r.inCompany
		s.WorkerID, s.LeasedAt, s.Token, s.LastToken = r.workerID, r.leasedAt, r.token, r.lastToken
		switch {
		case r.lease != nil:
			s.Leased, s.Ahead = true, !r.lease.mayHaveStarted()
		case t.pending == Recovering:
			s.Leased, s.Ahead = true, r.ahead
		}
	}
	switch {
	case t.status.Terminal():
		s.Ended = t.since
	case t.pending == Backoff:
		s.BackoffUntil, s.Ended = t.run.timer.at, t.since
	}
	if x := c.schedules[t]; x != nil && !t.status.Terminal() {
		came := x.ScheduleState
		s.Schedule = &came
	}
	if s.Leased {
		s.Status = Pending
	}
	return s
}

// remember has a task's state written; lazily, where nobody is told anything that rests on it.
func (c *Scheduler) remember(t *task, lazily bool) {
	if c.cfg.Durable {
		s := c.state(t)
		c.out.Records = append(c.out.Records, Record{Kind: RecordState, Task: t.num, State: c.out.keepState(&s), Lazy: lazily})
	}
}

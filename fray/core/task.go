package core

import (
	"fmt"
)

// task is kept small, for a million may be queued: 64 bytes, and as many again for its id and for
// finding it. What only a task needs that has a timer, or was leased, hangs off run.
type task struct {
	*kin
	run       *run
	num       TaskNum
	submitted Time
	// Since when it is ready, or in backoff; when it ended.
	since Time
	// Neighbours in a ready queue while it is ready. While it is open and not ready, next is one more
	// than its place in job.elsewhere, if it is there; once it has ended, how many calls read its
	// result now.
	next, prev spot
	// Where it lies in the log; 0: the scheduler knows it no longer. A lease that outlived it may.
	spot spot
	// Encoded size of its spec; of spec and result once it is terminal. Bytes.
	size uint32
	// The number of its first image in undurable; 0: all of it is durable.
	image   uint32
	status  Status
	pending PendingReason
	reason  FailureReason
	// An attempt of it has started, or is charged for.
	started bool
}

// run is what a task has been through at workers, and its timer.
type run struct {
	// Kept from its first lease on, and empty before.
	id string
	// The current attempt's.
	lease *lease
	// The end of a backoff, the scheduling timeout, or of the wait while it is Recovering.
	timer *timer
	// Of the last attempt that was granted, and of the last whose end was accepted from a report.
	token     Token
	lastToken Token
	workerID  string
	leasedAt  Time
	attempts  uint32
	failures  uint32
	losses    uint32
	// Losses of workers at which other attempts had started, too.
	inCompany  uint32
	deliveries uint32

	cancelRequested bool
	// What needs it is to be cancelled, too.
	cancelsDependants bool
	// While it is Recovering: its attempt was granted ahead of a free slot, and is not known to
	// have run.
	ahead bool
	// While it is Recovering: other attempts that may have started were at its worker, too.
	beside bool
}

// ran returns what the task has been through, to be added to.
func (t *task) ran() *run {
	if t.run == nil {
		t.run = &run{}
	}
	return t.run
}

func (t *task) cancelRequested() bool { return t.run != nil && t.run.cancelRequested }

// timer returns the one that it has, or nil.
func (t *task) timer() *timer {
	if t.run == nil {
		return nil
	}
	return t.run.timer
}

// arm has the task's timer, of which it has none, strike at an instant.
func (c *Scheduler) arm(t *task, at Time) {
	t.ran().timer = c.timers.add(&timer{at: at, kind: timerTask, task: t})
}

// disarm ends the task's timer, if it has one.
func (c *Scheduler) disarm(t *task) {
	if r := t.run; r != nil {
		c.timers.cancel(r.timer)
		r.timer = nil
	}
}

// id returns the id of a task that is known, or was leased.
func (c *Scheduler) id(t *task) string {
	if t.run != nil && t.run.id != "" {
		return t.run.id
	}
	return c.log.idOf(t)
}

// lease returns the current one, or nil.
func (t *task) lease() *lease {
	if t.run == nil {
		return nil
	}
	return t.run.lease
}

// attempts returns how many the task has been granted.
func (t *task) attempts() uint32 {
	if t.run == nil {
		return 0
	}
	return t.run.attempts
}

// View is a task as it stands. It shares no memory with the scheduler.
type View struct {
	Num             TaskNum
	ID              string
	Job             string
	Function        string
	Status          Status
	Pending         PendingReason
	Detail          string // of NoEligibleWorker: what no worker has; of Ready: why it waits for a worker of its own; of Blocked, Mailed, Throttled, Scheduled and Ganged: for what
	PendingSince    Time   // since when it waits for that, about, and no earlier than the last restart
	Reason          FailureReason
	Cause           string // of DependencyFailed: the first task that did not complete
	Attempts        uint32
	MaxAttempts     uint32
	Failures        uint32
	Losses          uint32
	Deliveries      uint32
	WorkerID        string
	Priority        int32
	Submitted       Time
	NotBefore       Time // of a schedule, its next time; 0: it could be granted from its submission on, or has ended
	LeasedAt        Time
	Finished        Time
	CancelRequested bool
	// Encoded size of its spec; of spec and result once it is terminal.
	Bytes uint32
	// What the current attempt said of itself last, which does not change; nil: nothing.
	Progress *Progress
}

func (c *Scheduler) view(t *task) View {
	v := View{
		Num: t.num, ID: c.id(t), Job: t.job.id, Function: t.shape.Function, Status: t.status, Reason: t.reason,
		MaxAttempts: t.shape.MaxRetries + 1, Priority: t.shape.Priority, Submitted: t.submitted,
		CancelRequested: t.cancelRequested() && !t.status.Terminal(), Bytes: t.size,
	}
	if t.status == Pending {
		v.Pending = t.pending
		switch {
		case t.pending == Blocked:
			v.Detail = c.explainBlocked(t)
		case t.pending == Mailed:
			v.Detail = c.explainMailed(t)
		case t.pending == Throttled:
			v.Detail = c.explainThrottled(t)
		case t.pending == Scheduled:
			v.Detail = "its times are " + c.schedules[t].Times
		case t.pending == Ganged, t.pending == Ready && t.shape.leads > 0 && !t.job.held:
			v.Pending, v.Detail = c.explainGang(t)
		case t.pending != Ready:
		case t.shape.class.group.workers == 0:
			v.Pending, v.Detail = NoEligibleWorker, c.explain(t.shape.class)
		case t.job.held:
			v.Detail = explainHeld
		case t.shape.alone:
			v.Detail = t.explainAlone()
		}
		v.PendingSince = c.pendingSince(t, v.Pending)
	}
	if t.status.Terminal() {
		v.Finished = t.since
	}
	if s := c.schedules[t]; s != nil && s.next < Never {
		v.NotBefore = s.next
	} else if !t.status.Terminal() {
		v.NotBefore = c.notBefore[t]
	}
	if t.reason == DependencyFailed {
		v.Cause = c.causes[t]
	}
	if r := t.run; r != nil {
		v.Attempts, v.Failures, v.Losses, v.Deliveries = r.attempts, r.failures, r.losses, r.deliveries
		v.WorkerID, v.LeasedAt = r.workerID, r.leasedAt
		if r.lease != nil {
			v.Progress = r.lease.progress
		}
	}
	return v
}

// setStatus makes a legal move; any other is a bug of ours.
func (c *Scheduler) setStatus(t *task, to Status) {
	if !Legal(t.status, to) {
		panic(fmt.Sprintf("core: task %s may not go from %v to %v", c.id(t), t.status, to))
	}
	if t.status != 0 {
		c.counts[t.status]--
	}
	from := t.status
	t.status = to
	c.counts[to]++
	if t.shape.Role != Plain {
		c.moved(t, from)
	}
}

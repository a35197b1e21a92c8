package core

import (
	"fmt"
)

// task is kept small: a million may be queued. What only a leased task needs hangs off run.
type task struct {
	num   TaskNum
	id    string
	shape *shape
	job   *job
	// Neighbours in a ready queue while it is ready.
	next, prev *task
	run        *run
	// The end of a backoff, or the scheduling timeout.
	timer     *timer
	submitted Time
	// Since when it is ready, or in backoff; when it ended.
	since Time
	// Encoded size of its spec; of spec and result once it is terminal. Bytes.
	size uint32
	// One more than its place in job.elsewhere while it is there.
	elsewhere uint32
	status    Status
	pending   PendingReason
	reason    FailureReason
	// An attempt of it has started, or is charged for.
	started         bool
	cancelRequested bool
	// While it is Recovering: its attempt was granted ahead of a free slot, and is not known to
	// have run.
	ahead bool
	// While it is Recovering: other attempts that may have started were at its worker, too.
	beside bool
	// It is of an earlier incarnation, and so may its attempts be.
	restored bool
	// The scheduler knows it no longer; a lease that outlived it may.
	forgotten bool
	// Calls that read its result now.
	readers uint16
	// The number of its first image in undurable; 0: all of it is durable.
	image uint32
}

// run is what a task has been through at workers.
type run struct {
	// The current attempt's.
	lease *lease
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
	Detail          string // of NoEligibleWorker: what no worker has; of Ready: why it waits for a worker of its own
	Reason          FailureReason
	Attempts        uint32
	MaxAttempts     uint32
	Failures        uint32
	Losses          uint32
	Deliveries      uint32
	WorkerID        string
	Priority        int32
	Submitted       Time
	LeasedAt        Time
	Finished        Time
	CancelRequested bool
	// Encoded size of its spec; of spec and result once it is terminal.
	Bytes uint32
}

func (c *Scheduler) view(t *task) View {
	v := View{
		Num: t.num, ID: t.id, Job: t.job.id, Function: t.shape.Function, Status: t.status, Reason: t.reason,
		MaxAttempts: t.shape.MaxRetries + 1, Priority: t.shape.Priority, Submitted: t.submitted,
		CancelRequested: t.cancelRequested && !t.status.Terminal(), Bytes: t.size,
	}
	if t.status == Pending {
		v.Pending = t.pending
		switch {
		case t.pending != Ready:
		case t.shape.class.group.workers == 0:
			v.Pending, v.Detail = NoEligibleWorker, c.explain(t.shape.class)
		case t.job.held:
			v.Detail = "results of its job, or of other jobs of its owner, fill the controller, and their watchers have yet to take them"
		case t.shape.alone:
			v.Detail = t.explainAlone()
		}
	}
	if t.status.Terminal() {
		v.Finished = t.since
	}
	if r := t.run; r != nil {
		v.Attempts, v.Failures, v.Losses, v.Deliveries = r.attempts, r.failures, r.losses, r.deliveries
		v.WorkerID, v.LeasedAt = r.workerID, r.leasedAt
	}
	return v
}

// setStatus makes a legal move; any other is a bug of ours.
func (c *Scheduler) setStatus(t *task, to Status) {
	if !Legal(t.status, to) {
		panic(fmt.Sprintf("core: task %s may not go from %v to %v", t.id, t.status, to))
	}
	if t.status != 0 {
		c.counts[t.status]--
	}
	t.status = to
	c.counts[to]++
}

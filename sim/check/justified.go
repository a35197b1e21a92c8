package check

import (
	"fmt"
	"slices"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// stopsJustified holds the controller and the workers to stop an attempt for a reason only.
//
// The controller orders a worker to stop an attempt because a client asked to cancel its task, or
// because its lease is over as far as leaseBook can tell, or is no longer the task's last, or because one of
// these is so of another task of its gang, which has not completed, or because its job, or one above that, was
// cancelled or may have failed as a whole, which is judged at the end. A worker
// ends the context of a function for one of these causes, each of which leaves a trace:
//
//   - ordered: a heartbeat's answer said so;
//   - session lost: the worker was told that its session is over, and then either opened one that does not keep the attempt, or got
//     none for a TTL;
//   - timed out: the attempt has an execution timeout, and has run for it;
//   - leaving: the worker was told to leave, and the grace for that is over.
//
// It is vacuous where nothing that runs is stopped.
type stopsJustified struct {
	oracle

	book    *leaseBook
	named   *jobBook
	failed  []jobStop
	workers map[string]*stoppingWorker
	// Calls that ask to cancel, by task and by job.
	tasks, jobs map[string]*Event
	// The tasks of each gang, and those of them that have completed.
	gangs     map[gangName][]string
	completed map[string]bool
}

type stoppingWorker struct {
	held map[uint64]*heldAttempt
	// It was told that its session is over, and has no other yet.
	lost *Event
	ttl  time.Duration
	// The first time at which it may leave what it runs; nil: it was not told to leave.
	leave *Event
}

type heldAttempt struct {
	lease   *lease
	life    *heldAttempt // of the actor that it calls
	started *Event
	ordered *Event // to stop
	unkept  *Event // by a session; or it was lost for a TTL
}

// jobStop is an order to stop for which there is no reason but that a job may have failed.
type jobStop struct {
	jobs    []*bookedJob
	attempt *heldAttempt
	order   *Event
}

func newStopsJustified(cfg *Config, b *leaseBook) *stopsJustified {
	return &stopsJustified{
		oracle{"stops-justified", "An attempt is stopped only because its task is cancelled, its lease or its time is over, or its worker leaves."},
		b, cfg.jobs, nil, make(map[string]*stoppingWorker), make(map[string]*Event), make(map[string]*Event), make(map[gangName][]string), make(map[string]bool),
	}
}

// Observe implements Oracle. The book has seen e already.
func (o *stopsJustified) Observe(e *Event, j *Judge) {
	switch e.Kind {
	case SubmitCall:
		if g := e.Spec.Gang; g != nil {
			name := gangName{e.Job, g.ID}
			if !slices.Contains(o.gangs[name], e.Task) {
				o.gangs[name] = append(o.gangs[name], e.Task)
			}
		}
	case ReadReply:
		if e.View != nil && e.View.Status == frayv1.TaskStatus_TASK_STATUS_COMPLETED {
			o.completed[e.Task] = true
		}
	case CancelCall:
		o.cancelled(e)
	case WorkerCrash:
		delete(o.workers, e.Worker)
	case RegisterReply:
		o.worker(e).registered(e)
	case SessionStale:
		if w := o.worker(e); w.lost == nil {
			w.lost = e
		}
	case LeaveOrder:
		if w := o.worker(e); w.leave == nil || e.At+e.TTL < w.leave.At+w.leave.TTL {
			w.leave = e
		}
	case GrantReply:
		if w, l := o.worker(e), o.book.last[e.Task]; w.held[e.Token] == nil && l.grant.Token == e.Token {
			w.held[e.Token] = &heldAttempt{lease: l, life: w.held[e.Life]}
		}
	case StopOrder:
		if a := o.worker(e).held[e.Token]; a != nil {
			o.order(a, e, j)
		}
	case ExecutionStart:
		if a := o.worker(e).held[e.Token]; a != nil {
			a.started = e
		}
	case ExecutionEnd:
		w := o.worker(e)
		if a := w.held[e.Token]; a != nil && e.Cause != 0 {
			w.stopped(a, e, j)
		}
	case ReportReply:
		if w := o.worker(e); endsAttempt(e.Outcome) && e.Answer != Unanswered && (w.held[e.Token] == nil || w.held[e.Token].started == nil) {
			delete(w.held, e.Token)
		}
	default:
	}
	if e.Kind == ExecutionEnd {
		delete(o.worker(e).held, e.Token)
	}
}

func (o *stopsJustified) worker(e *Event) *stoppingWorker {
	w := o.workers[e.Worker]
	if w == nil {
		w = &stoppingWorker{held: make(map[uint64]*heldAttempt)}
		o.workers[e.Worker] = w
	}
	return w
}

func (o *stopsJustified) cancelled(e *Event) {
	calls, key := o.tasks, e.Task
	if e.Task == "" {
		calls, key = o.jobs, e.Job
	}
	if calls[key] == nil {
		calls[key] = e
	}
}

// registered notes what a session keeps.
func (w *stoppingWorker) registered(e *Event) {
	for token, a := range w.held { // order-free: each for itself
		if a.unkept == nil && (!slices.Contains(e.Kept, token) || w.lost != nil && e.At-w.lost.At >= w.ttl) {
			a.unkept = e
		}
	}
	w.lost, w.ttl = nil, e.TTL
}

// order checks that the controller has a reason to end an attempt.
func (o *stopsJustified) order(a *heldAttempt, e *Event, j *Judge) {
	if a.ordered != nil {
		return
	}
	a.ordered = e
	j.Check()
	if o.ended(a, e) || a.life != nil && o.ended(a.life, e) {
		return
	}
	stop := jobStop{o.named.lineage(a.lease.grant.Job), a, e}
	if anyCanFail(stop.jobs) {
		o.failed = append(o.failed, stop)
		return
	}
	stop.violated(j)
}

func (s jobStop) violated(j *Judge) {
	grant := s.attempt.lease.grant
	text := fmt.Sprintf("has attempt %d stopped by the controller, and nobody cancelled it or ended its lease",
		grant.Attempt)
	j.Violated(grant.Task, text, grant, s.attempt.started, s.order)
}

// Finish implements Oracle.
func (o *stopsJustified) Finish(_ time.Duration, j *Judge) {
	for _, s := range o.failed {
		if mayHaveFailedFrom(s.jobs) >= s.order.Seq {
			s.violated(j)
		}
	}
}

// stops says whether the life of an actor is to end, and its calls with it.
func (a *heldAttempt) stops(w *stoppingWorker) bool {
	return a.ordered != nil || a.unkept != nil || w.lost != nil || w.leave != nil
}

// ended says whether somebody cancelled what an attempt is of, or ended its lease.
func (o *stopsJustified) ended(a *heldAttempt, e *Event) bool {
	grant := a.lease.grant
	if o.named.cancelled(grant.Job) != nil {
		return true
	}
	return o.tasks[grant.Task] != nil || o.jobs[grant.Job] != nil || o.book.last[grant.Task] != a.lease || o.book.over(a.lease, e.Seq, e.At) ||
		grant.Spec.Gang != nil && o.gangEnded(grant, e)
}

// gangEnded says whether an attempt of another task of the gang may be over without that task's end.
func (o *stopsJustified) gangEnded(grant, e *Event) bool {
	for _, task := range o.gangs[gangName{grant.Job, grant.Spec.Gang.ID}] {
		if task == grant.Task || o.completed[task] {
			continue
		}
		l := o.book.last[task]
		switch {
		case o.tasks[task] != nil, l == nil, l.grant.Attempt != grant.Attempt: // Nobody may have seen its grant.
			return true
		case l.reported != nil && l.reported.Outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED:
		case o.book.over(l, e.Seq, e.At):
			return true
		}
	}
	return false
}

// stopped checks the cause for which the context of a function was done.
func (w *stoppingWorker) stopped(a *heldAttempt, e *Event, j *Judge) {
	j.Check()
	grant := a.lease.grant
	limit := grant.Spec.ExecutionTimeout
	lack := ""
	switch e.Cause {
	case CauseOrdered:
		if a.ordered == nil && (a.life == nil || !a.life.stops(w)) {
			lack = "no answer to a heartbeat asked for it"
		}
	case CauseSessionLost:
		if a.unkept == nil && (a.life == nil || a.life.unkept == nil) && (w.lost == nil || e.At-w.lost.At < w.ttl) {
			lack = "its worker had a session that keeps it, or was still waiting for one"
		}
	case CauseTimedOut:
		switch {
		case limit == 0:
			lack = "it has no execution timeout"
		case e.At-grant.At < limit || e.StoppedAfter+limit/timedMargin+timedSlack < limit:
			lack = fmt.Sprintf("it may run for %v", limit)
		}
	case CauseLeaving:
		if w.leave == nil || e.At < w.leave.At+w.leave.TTL {
			lack = "its worker had not been told to leave, or has time left for that"
		}
	default:
		lack = "its worker knows no such cause"
	}
	if lack != "" {
		j.Violated(grant.Task, fmt.Sprintf("has attempt %d stopped after %v (%v), and %s", e.Attempt, e.StoppedAfter, e.Cause, lack),
			grant, a.started, w.lost, w.leave, e)
	}
}

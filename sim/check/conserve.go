package check

import (
	"fmt"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// conservation holds tasks to come from clients and to go nowhere.
//
// Nobody is shown or granted a task that nobody offered. And at quiescence, the controller's
// counts are what clients know: with the answer of a GetClusterInfo that was made after Quiesce,
// there are at least as many tasks as were acknowledged or seen, and at most as many more as were
// offered without an answer that settles it (or any number, where a schedule may have runs that nobody
// was shown); at least as many ended in each status as clients saw end so, and at most as many more as
// they did not see end. Where a Retention may have passed,
// ended tasks need not be counted, and those whose end a client saw longer ago than that must not
// be. It is vacuous where nobody asks for counts, or for tasks that have been acknowledged.
type conservation struct {
	oracle

	cfg   *Config
	tasks map[string]*conservedTask
	audit uint64 // Seq of Quiescent
	info  *Event
	floor uint64 // Seq of the crash that lost everything
}

type conservedTask struct {
	known bool // acknowledged or seen
	ended frayv1.TaskStatus
	// When it had ended for certain.
	endedAt time.Duration
}

func newConservation(cfg *Config) *conservation {
	return &conservation{
		oracle: oracle{"conservation", "Submitted tasks are pending, leased, running or ended; there are no others."},
		cfg:    cfg, tasks: make(map[string]*conservedTask),
	}
}

// Observe implements Oracle.
func (o *conservation) Observe(e *Event, j *Judge) {
	switch e.Kind {
	case Quiescent:
		o.audit = e.Seq
	case ControllerCrash:
		if o.cfg.AllowLossAfterRestart {
			o.floor, o.info = e.Seq, nil
			for _, t := range o.tasks { // order-free: each for itself
				*t = conservedTask{}
			}
		}
	case SubmitCall:
		_ = of(o.tasks, e.Task)
		o.info = nil // It says nothing of later tasks.
	case SubmitReply:
		if t := o.tasks[e.Task]; t != nil && e.Answer.acknowledges() && e.follows(o.floor) {
			t.known = true
		}
	case ReadReply, GrantReply:
		if e.Answer != NotFound {
			o.seen(e, j)
		}
	case ClusterInfo:
		if o.audit != 0 && e.follows(o.audit) {
			o.info = e
		}
	default:
	}
}

func (o *conservation) seen(e *Event, j *Judge) {
	j.Check()
	t := o.tasks[e.Task]
	if t == nil {
		t = &conservedTask{}
		o.tasks[e.Task] = t
		j.Violated(e.Task, "is there, and nobody submitted it", e)
	}
	if !e.follows(o.floor) {
		return
	}
	t.known = true
	if e.View != nil && e.View.Terminal() && t.ended == 0 {
		t.ended, t.endedAt = e.View.Status, e.At
	}
}

// Finish implements Oracle.
func (o *conservation) Finish(_ time.Duration, j *Judge) {
	if o.info == nil {
		return
	}
	j.Check()
	var known, open, over uint64           // over: forgotten for certain
	unknown := uint64(o.cfg.runs.hidden()) //nolint:gosec // Not negative.
	ended, overOf := make(map[frayv1.TaskStatus]uint64), make(map[frayv1.TaskStatus]uint64)
	for _, t := range o.tasks { // order-free: sums
		switch {
		case !t.known:
			unknown++
		case t.ended == 0:
			known++
			open++
		default:
			known++
			ended[t.ended]++
			if o.info.InvokedAt-t.endedAt > o.cfg.Retention+o.cfg.WatchGrace {
				over++
				overOf[t.ended]++
			}
		}
	}
	var total uint64
	for _, n := range o.info.Counts { // order-free: a sum
		total += n
	}
	forgotten := o.cfg.mayForget(o.info.At)
	if most := known - over + unknown; total > most || total < known && !forgotten {
		j.Violated("", fmt.Sprintf("the controller counts %d tasks; clients know of %d, %d of which should be forgotten by now, and %d more were offered",
			total, known, over, unknown), o.info)
	}
	for _, status := range []frayv1.TaskStatus{
		frayv1.TaskStatus_TASK_STATUS_COMPLETED, frayv1.TaskStatus_TASK_STATUS_FAILED, frayv1.TaskStatus_TASK_STATUS_CANCELLED,
	} {
		n, least := o.info.Counts[statusName(status)], ended[status]
		if n > least-overOf[status]+open+unknown || n < least && !forgotten {
			j.Violated("", fmt.Sprintf("the controller counts %d tasks as %s; clients saw %d end so, %d of which should be forgotten by now, and %d not end",
				n, statusName(status), least, overOf[status], open+unknown), o.info)
		}
	}
}

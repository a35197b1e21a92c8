package check

import (
	"fmt"
	"slices"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// needsKept holds tasks to what they need:
//
//   - a task is granted only after a worker had said of each task that it needs that this succeeded, and never once one of these
//     was shown to have ended otherwise;
//   - one that fails for what it needs names a task that it does need, if by others, and that did not complete for a reason of its
//     own;
//   - it does not fail where that one was cancelled with all that needs it: it is cancelled, too.
//
// That a task goes on once it may is for liveness to judge. It is vacuous where no task needs another.
type needsKept struct {
	oracle

	tasks tasks[neededTask]
	// Those that failed for a task, by that.
	blames map[string]*Event
	jobs   map[string]bool // that somebody cancelled
	named  *jobBook
}

type neededTask struct {
	needs     []string
	succeeded bool   // a worker said so
	ended     *Event // that was shown
	cancelled *Event // with all that needs it, which was acknowledged
	asked     map[uint64]bool
	// Somebody asked for its own cancellation, or it is of a gang, which may have it cancelled for another.
	unwanted bool
}

func newNeedsKept(cfg *Config) *needsKept {
	return &needsKept{
		oracle: oracle{"needs-kept", "A task is granted when all that it needs have completed, and fails for what it needs only where one of these did not."},
		tasks:  newTasks[neededTask](cfg), blames: make(map[string]*Event), jobs: make(map[string]bool), named: cfg.jobs,
	}
}

// Observe implements Oracle.
func (o *needsKept) Observe(e *Event, j *Judge) {
	if e.Kind == ControllerCrash && o.tasks.lossy {
		clear(o.blames)
	}
	if e.Kind == CancelCall && e.Task == "" {
		o.jobs[e.Job] = true
	}
	t := o.tasks.get(e)
	if t == nil {
		return
	}
	t.unwanted = t.unwanted || e.Kind == CancelCall || e.Kind == SubmitCall && e.Spec.Gang != nil
	switch {
	case e.Kind == SubmitCall && t.needs == nil: // Another one under the same id is refused.
		t.needs = e.Spec.Needs
	case e.Kind == GrantReply:
		t.needs = e.Spec.Needs
		o.granted(e, j)
	case e.Kind == ReportCall && e.Outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED:
		t.succeeded = true
	case e.Kind == CancelCall && e.Dependants:
		if t.asked == nil {
			t.asked = make(map[uint64]bool)
		}
		t.asked[e.Call] = true
	case e.Kind == CancelReply && t.asked[e.Call] && (e.Answer == Cancelled || e.Answer == Stopping) && t.cancelled == nil:
		t.cancelled = e
		if by := o.blames[e.Task]; by != nil {
			o.failedAlong(by, e, j)
		}
	case e.Kind == ReadReply && showsEnd(e):
		if t.ended == nil {
			t.ended = e
		}
		o.shown(t, e, j)
	}
}

func (o *needsKept) granted(e *Event, j *Judge) {
	for _, id := range e.Spec.Needs {
		j.Check()
		switch n := o.tasks.peek(id); {
		case n == nil || !n.succeeded:
			j.Violated(e.Task, fmt.Sprintf("is granted before task %s, which it needs, has succeeded anywhere", id), e)
		case n.ended != nil && n.ended.View.Status != frayv1.TaskStatus_TASK_STATUS_COMPLETED:
			j.Violated(e.Task, fmt.Sprintf("is granted though task %s, which it needs, has ended as %v", id, n.ended.View), n.ended, e)
		}
	}
}

func (o *needsKept) shown(t *neededTask, e *Event, j *Judge) {
	v := e.View
	if by := o.blames[e.Task]; by != nil {
		o.blamed(by, e, j)
	}
	if v.Reason != frayv1.FailureReason_FAILURE_REASON_DEPENDENCY_FAILED {
		return
	}
	j.Check()
	o.blames[v.Cause] = e
	if t.needs != nil && !o.reaches(t.needs, v.Cause, make(map[string]bool)) {
		j.Violated(e.Task, fmt.Sprintf("failed for task %q, which it does not need", v.Cause), e)
	}
	cause := o.tasks.peek(v.Cause)
	if cause == nil {
		return
	}
	if cause.ended != nil {
		o.blamed(e, cause.ended, j)
	}
	if cause.cancelled != nil {
		o.failedAlong(e, cause.cancelled, j)
	}
}

// blamed compares the end of a task with what another one failed for it.
func (o *needsKept) blamed(by, end *Event, j *Judge) {
	switch {
	case end.View.Status == frayv1.TaskStatus_TASK_STATUS_COMPLETED:
		j.Violated(by.Task, fmt.Sprintf("failed for task %s, which completed", end.Task), by, end)
	case end.View.Reason == frayv1.FailureReason_FAILURE_REASON_DEPENDENCY_FAILED:
		j.Violated(by.Task, fmt.Sprintf("failed for task %s, which failed for another itself", end.Task), by, end)
	case end.View.Status == frayv1.TaskStatus_TASK_STATUS_CANCELLED && !o.tasks.peek(end.Task).unwanted && !o.jobs[end.Job] && !o.named.mayEnd(end.Job):
		j.Violated(by.Task, fmt.Sprintf("failed for task %s, which was cancelled along with what it needs", end.Task), by, end)
	}
}

// failedAlong tells that a task failed which was to be cancelled.
func (o *needsKept) failedAlong(by, cancelled *Event, j *Judge) {
	j.Violated(by.Task, fmt.Sprintf("failed for task %s, which was cancelled with all that needs it", cancelled.Task), cancelled, by)
}

// reaches says whether a task is among some, or among what these need, and so on. Of one whose needs are not
// known it may be.
func (o *needsKept) reaches(from []string, id string, seen map[string]bool) bool {
	if slices.Contains(from, id) {
		return true
	}
	for _, next := range from {
		if seen[next] {
			continue
		}
		seen[next] = true
		n := o.tasks.peek(next)
		if n == nil || o.reaches(n.needs, id, seen) {
			return true
		}
	}
	return false
}

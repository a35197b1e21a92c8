package check

import (
	"fmt"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// timedMargin is the share of a timeout, 1 in so many, and timedSlack what is left besides for a
// run to be seen, by which a function must have returned sooner.
const (
	timedMargin = 10
	timedSlack  = 50 * time.Millisecond
)

// timedTask holds the controller and the workers to a task's timeouts, whatever clocks do and
// whichever worker could not be heard:
//
//   - a task fails as TIMEOUT not before its last attempt can have run for the execution timeout, and not if the function of that
//     attempt returned by itself in that time, with a margin;
//   - the same goes for each attempt that its worker reports as TIMED_OUT;
//   - a task fails as SCHEDULING_TIMEOUT not before that has passed since its first submission, and not if an attempt of it had
//     started: a report that says so, or that an attempt which ran came to its end, was accepted.
//
// It is vacuous where no task has a timeout that it meets.
type timedTask struct {
	offered *Event // the first submission
	granted *Event // the last attempt
	started *Event // the last attempt that started
	// The last attempt that returned in time, and its start.
	returned, began *Event
	ran             *Event // a report that an attempt runs or ran, which was accepted
	late            *Event // a view of a task that failed as TIMEOUT
	unstarted       *Event // and as SCHEDULING_TIMEOUT
}

func newTimeoutsTrue(cfg *Config) Oracle {
	return newPerTask(cfg, "timeouts-true", "No task fails for a time that has not passed, nor for that of an attempt that returned in time.", (*timedTask).observe)
}

func (t *timedTask) observe(e *Event, j *Judge) {
	switch e.Kind {
	case SubmitCall:
		if t.offered == nil {
			t.offered = e
		}
	case GrantReply:
		if t.granted == nil || e.Attempt > t.granted.Attempt {
			t.granted = e
		}
	case ExecutionStart:
		if t.started == nil || e.Attempt >= t.started.Attempt {
			t.started = e
		}
	case ExecutionEnd:
		t.ended(e, j)
	case ReportCall:
		t.reported(e, j)
	case ReportReply:
		if t.ran == nil && saysItRan(e) {
			t.ran = e
			t.compareStart(j)
		}
	case ReadReply:
		if e.View != nil {
			t.view(e, j)
		}
	default:
	}
}

// saysItRan says whether the controller has accepted that an attempt runs or ran.
func saysItRan(e *Event) bool {
	if e.Answer != Accepted && e.Answer != Duplicate {
		return false
	}
	return e.Outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STARTED || needsCurrent(e.Outcome) && (e.Ran > 0 || chargesRetry(e.Outcome))
}

// ended notes an attempt that returned in time, by itself.
func (t *timedTask) ended(e *Event, j *Judge) {
	if t.granted == nil || t.started == nil || t.started.Token != e.Token {
		return
	}
	timeout := t.granted.Spec.ExecutionTimeout
	stopped := e.Cause != 0 && e.Outcome != frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED
	if timeout == 0 || stopped || e.At-t.started.At+timeout/timedMargin+timedSlack > timeout {
		return
	}
	t.began, t.returned = t.started, e
	if t.late != nil {
		t.compare(j)
	}
}

// reported looks at a worker's word that an attempt ran for too long.
func (t *timedTask) reported(e *Event, j *Judge) {
	g := t.granted
	if e.Outcome != frayv1.AttemptOutcome_ATTEMPT_OUTCOME_TIMED_OUT || g == nil || g.Token != e.Token {
		return
	}
	j.Check()
	switch limit := g.Spec.ExecutionTimeout; {
	case limit == 0:
		j.Violated(e.Task, fmt.Sprintf("has attempt %d reported as timed out, and no execution timeout", e.Attempt), g, e)
	case e.At-g.At < limit:
		j.Violated(e.Task, fmt.Sprintf("has attempt %d reported as timed out %v after it was granted, and that has %v", e.Attempt, e.At-g.At, limit), g, e)
	case t.returned != nil && t.returned.Token == e.Token:
		j.Violated(e.Task, fmt.Sprintf("has attempt %d reported as timed out, which returned within %v", e.Attempt, t.returned.At-t.began.At), g, t.began, t.returned, e)
	}
}

func (t *timedTask) view(e *Event, j *Judge) {
	switch e.View.Reason {
	case frayv1.FailureReason_FAILURE_REASON_TIMEOUT:
		t.late = e
		t.compare(j)
		if g := t.granted; g != nil && g.Attempt == e.View.Attempt && e.At-g.InvokedAt < g.Spec.ExecutionTimeout {
			j.Violated(e.Task, fmt.Sprintf("failed as TIMEOUT %v after its last attempt was asked for, and that has %v", e.At-g.InvokedAt, g.Spec.ExecutionTimeout), g, e)
		}
	case frayv1.FailureReason_FAILURE_REASON_SCHEDULING_TIMEOUT:
		t.unstarted = e
		t.compareStart(j)
		if s := t.offered; s != nil && e.At-s.At < s.Spec.SchedulingTimeout {
			j.Violated(e.Task, fmt.Sprintf("failed as SCHEDULING_TIMEOUT %v after its submission, and has %v", e.At-s.At, s.Spec.SchedulingTimeout), s, e)
		}
	default:
	}
}

// compareStart checks that a task which failed because it did not start had not started.
func (t *timedTask) compareStart(j *Judge) {
	if t.unstarted == nil {
		return
	}
	j.Check()
	if t.ran != nil {
		j.Violated(t.unstarted.Task, "failed as SCHEDULING_TIMEOUT, and an attempt of it had started", t.ran, t.unstarted)
	}
}

// compare checks that the attempt which a task failed for is none that returned in time.
func (t *timedTask) compare(j *Judge) {
	j.Check()
	if t.returned != nil && t.returned.Attempt == t.late.View.Attempt {
		j.Violated(t.late.Task, fmt.Sprintf("failed as TIMEOUT with attempt %d, which returned within %v", t.returned.Attempt, t.returned.At-t.began.At),
			t.granted, t.began, t.returned, t.late)
	}
}

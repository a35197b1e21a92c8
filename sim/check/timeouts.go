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

// timedTask holds the controller to a task's timeouts, whatever clocks do and whichever worker
// could not be heard:
//
//   - a task fails as TIMEOUT not before its last attempt can have run for the execution timeout, and not if the function of that
//     attempt returned a value in that time, with a margin;
//   - a task fails as SCHEDULING_TIMEOUT not before that has passed since its first submission, and not once a failure of an attempt
//     was accepted.
type timedTask struct {
	offered  *Event // the first submission
	granted  *Event // the last attempt
	started  *Event // of the last attempt that started
	valued   *Event // the end of the last attempt that returned a value in time
	began    *Event // its start
	accepted *Event // a report of a failure
	late     *Event // a view of a task that failed as TIMEOUT
}

func newTimeoutsTrue(cfg *Config) Oracle {
	return newPerTask(cfg, "timeouts-true", "No task fails for a time that has not passed, nor for that of an attempt that returned a value in time.", (*timedTask).observe)
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
	case ReportReply:
		if t.accepted == nil && chargesRetry(e.Outcome) && e.Answer == Accepted {
			t.accepted = e
		}
	case ReadReply:
		if e.View != nil {
			t.view(e, j)
		}
	default:
	}
}

// ended notes an attempt that returned a value in time.
func (t *timedTask) ended(e *Event, j *Judge) {
	if t.granted == nil || t.started == nil || t.started.Token != e.Token || e.Outcome != frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED {
		return
	}
	timeout := t.granted.Spec.ExecutionTimeout
	if timeout == 0 || e.At-t.started.At+timeout/timedMargin+timedSlack > timeout {
		return
	}
	t.began, t.valued = t.started, e
	if t.late != nil {
		t.compare(j)
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
		j.Check()
		if s := t.offered; s != nil && e.At-s.At < s.Spec.SchedulingTimeout {
			j.Violated(e.Task, fmt.Sprintf("failed as SCHEDULING_TIMEOUT %v after its submission, and has %v", e.At-s.At, s.Spec.SchedulingTimeout), s, e)
		}
		if t.accepted != nil {
			j.Violated(e.Task, "failed as SCHEDULING_TIMEOUT, and an attempt of it had started", t.accepted, e)
		}
	default:
	}
}

// compare checks that the attempt which a task failed for is none that returned a value in time.
func (t *timedTask) compare(j *Judge) {
	j.Check()
	if t.valued != nil && t.valued.Attempt == t.late.View.Attempt {
		j.Violated(t.late.Task, fmt.Sprintf("failed as TIMEOUT with attempt %d, which returned a value within %v", t.valued.Attempt, t.valued.At-t.began.At),
			t.granted, t.began, t.valued, t.late)
	}
}

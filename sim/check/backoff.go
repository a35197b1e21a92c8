package check

import (
	"fmt"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// backoffTask holds the controller, and the worker that reports to it, to a task's retry policy:
// when a report of a failure was accepted, the next attempt is granted no sooner than the delay
// that the policy (or the failed function) asks for, counted from when that report was first sent;
// and never if the function returned that there is to be none. That an attempt comes late is for
// Liveness. What fails of a gang that starts anew is tried again without delay, so gangs are held to the last claim
// alone. It is vacuous where no failed task is tried again.
type backoffTask struct {
	granted  *Event // the last
	asked    *Event // the end of its execution
	sent     *Event // first report of a failure of the last attempt that reported one
	accepted *Event // its acceptance
	failures int    // accepted
	returned *Event // end of the execution that was granted last
}

func newBackoff(cfg *Config) Oracle {
	return newPerTask(cfg, "backoff-kept", "No attempt follows upon a failure sooner than the retry policy allows.", (*backoffTask).observe)
}

func (t *backoffTask) observe(e *Event, j *Judge) {
	switch e.Kind {
	case GrantReply:
		if t.granted == nil || e.Attempt > t.granted.Attempt {
			t.granted = e
			t.check(j)
		}
	case ExecutionEnd:
		if t.granted != nil && e.Token == t.granted.Token {
			t.returned = e
		}
	case ReportCall:
		if chargesRetry(e.Outcome) && (t.sent == nil || e.Attempt > t.sent.Attempt) {
			t.sent, t.accepted, t.asked = e, nil, nil
			// One that ran past its timeout has failed by that, whatever its function returned in the end.
			failed := e.Outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_FAILED
			if failed && t.returned != nil && t.returned.Token == e.Token {
				t.asked = t.returned
			}
		}
	case ReportReply:
		if chargesRetry(e.Outcome) && (e.Answer == Accepted || e.Answer == Duplicate) && t.sent != nil &&
			t.sent.Token == e.Token && t.accepted == nil {
			t.accepted = e
			t.failures++
			t.check(j)
		}
	default:
	}
}

// check compares an accepted failure with the attempt that followed upon it, whichever was seen
// first.
func (t *backoffTask) check(j *Judge) {
	if t.accepted == nil || t.granted == nil || t.granted.Attempt != t.accepted.Attempt+1 {
		return
	}
	j.Check()
	least := t.sent.RetryAfter
	if t.asked != nil {
		least = t.asked.RetryAfter
		if t.asked.Final {
			j.Violated(t.granted.Task, "was granted again, and its function had returned that there is to be no other attempt", t.asked, t.accepted, t.granted)
		}
	}
	if least == 0 {
		// The controller may have counted failures that nobody reported; the delay is then longer.
		least = t.granted.Spec.MinBackoff(t.failures - 1)
	}
	if waited := t.granted.At - t.sent.At; waited < least && t.granted.Spec.Gang == nil {
		j.Violated(t.granted.Task, fmt.Sprintf("was granted again %v after its failure, and its policy asks for %v at least", waited, least),
			t.sent, t.accepted, t.granted)
	}
}

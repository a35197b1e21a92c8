package check

import (
	"fmt"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// budgets holds what a task is charged to its specification, and to what its workers reported:
//
//   - failures are at most max_retries + 1, losses at most max_worker_losses + 1, and a task that COMPLETED stayed within both;
//   - each attempt is charged once at most: failures, losses and undelivered attempts together are no more than attempts;
//   - a task fails as APPLICATION or TIMEOUT with just max_retries + 1 failures, unless its error was final, and as WORKER_LOST
//     with just max_worker_losses + 1 losses;
//   - a failure is charged for each report of one that was accepted before the view was asked for, and for none that was not
//     sent; tasks with an execution timeout are exempt from the latter, because the controller may charge it by
//     itself, and those of gangs from the former, because what fails while its gang starts anew is not charged;
//   - no loss is charged while no worker can have been taken for dead.
//
// It is vacuous where no attempt fails and no worker is lost.
type budgets struct{ book *leaseBook }

type budgetTask struct {
	spec     *Spec
	accepted []*Event // reports of failures
	sent     []*Event
}

func newBudgets(cfg *Config, book *leaseBook) Oracle {
	return newPerTask(cfg, "attempts-within-budget", "Failures, losses and deliveries are charged for what happened, each to its own budget, and no task exceeds one.", (&budgets{book}).observe)
}

func (o *budgets) observe(t *budgetTask, e *Event, j *Judge) {
	switch e.Kind {
	case SubmitCall:
		if t.spec == nil { // Another one under the same id is refused.
			t.spec = e.Spec
		}
	case GrantReply:
		t.spec = e.Spec
	case ReportCall:
		if chargesRetry(e.Outcome) && find(t.sent, e.Token) == nil {
			t.sent = append(t.sent, e)
		}
	case ReportReply:
		if chargesRetry(e.Outcome) && (e.Answer == Accepted || e.Answer == Duplicate) && find(t.accepted, e.Token) == nil {
			t.accepted = append(t.accepted, e)
			if t.spec != nil && t.spec.Gang == nil && len(t.accepted) > int(t.spec.MaxRetries)+1 {
				j.Violated(e.Task, fmt.Sprintf("has %d failures accepted, with %d retries", len(t.accepted), t.spec.MaxRetries), t.accepted...)
			}
			j.Check()
		}
	case ReadReply:
		if e.View != nil && t.spec != nil {
			o.view(t, e, j)
		}
	default:
	}
}

func (o *budgets) view(t *budgetTask, e *Event, j *Judge) {
	v, s := e.View, t.spec
	j.Check()
	if v.Failures > s.MaxRetries+1 {
		j.Violated(e.Task, fmt.Sprintf("is charged %d failures, with %d retries", v.Failures, s.MaxRetries), e)
	}
	if v.Losses > s.MaxWorkerLosses+1 {
		j.Violated(e.Task, fmt.Sprintf("is charged %d lost workers of %d", v.Losses, s.MaxWorkerLosses), e)
	}
	if uint64(v.Failures)+uint64(v.Losses)+uint64(v.Deliveries) > uint64(v.Attempt) {
		j.Violated(e.Task, "is charged for more attempts than it had", e)
	}
	if v.Losses > 0 && s.Call == nil && !o.book.lossPossible(e.At) {
		j.Violated(e.Task, "is charged a lost worker, and none was lost", e)
	}
	if s.ExecutionTimeout == 0 && int(v.Failures) > len(t.sent) {
		j.Violated(e.Task, fmt.Sprintf("is charged %d failures, and %d were reported", v.Failures, len(t.sent)), append(t.sent, e)...)
	}
	accepted := 0
	for _, a := range t.accepted {
		if e.follows(a.Seq) {
			accepted++
		}
	}
	if int(v.Failures) < accepted && s.Gang == nil {
		j.Violated(e.Task, fmt.Sprintf("is charged %d failures, and %d were accepted", v.Failures, accepted), append(t.accepted, e)...)
	}
	o.end(s, e, j)
}

// end checks that the budget that a task failed for is the one that was used up.
func (*budgets) end(s *Spec, e *Event, j *Judge) {
	v := e.View
	switch {
	case v.Status == frayv1.TaskStatus_TASK_STATUS_COMPLETED:
		if v.Failures > s.MaxRetries || v.Losses > s.MaxWorkerLosses {
			j.Violated(e.Task, "completed beyond its budgets", e)
		}
	case v.Reason == frayv1.FailureReason_FAILURE_REASON_APPLICATION && e.Digest != 0 && !v.NonRetryable,
		v.Reason == frayv1.FailureReason_FAILURE_REASON_TIMEOUT:
		if s.Actor != nil && v.Failures+v.Losses == s.MaxRetries+1 {
			break
		}
		if v.Failures != s.MaxRetries+1 {
			j.Violated(e.Task, fmt.Sprintf("failed after %d failures, with %d retries", v.Failures, s.MaxRetries), e)
		}
	case v.Reason == frayv1.FailureReason_FAILURE_REASON_WORKER_LOST:
		if s.Actor != nil {
			break // Its failures count, too.
		}
		if v.Losses != s.MaxWorkerLosses+1 {
			j.Violated(e.Task, fmt.Sprintf("failed after %d lost workers of %d", v.Losses, s.MaxWorkerLosses), e)
		}
	}
}

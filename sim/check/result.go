package check

import (
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// resultTask holds all that clients and workers are told of a task's end to be the same: status,
// failure reason, number of the last attempt, budgets charged, and the value or error where it was
// shown. Order does not matter to it. It is vacuous where the end of a task is told once.
type resultTask struct {
	first *Event // that saw the end
	full  *Event // that saw the value or the error as well
}

func newOneResult(cfg *Config) Oracle {
	return newPerTask(cfg, "one-result", "Everybody is told the same end of a task.", (*resultTask).observe)
}

func (t *resultTask) observe(e *Event, j *Judge) {
	if !showsEnd(e) {
		return
	}
	j.Check()
	switch {
	case t.first == nil:
		t.first = e
	case !sameEnd(t.first, e):
		j.Violated(e.Task, "has two ends", t.first, e)
	}
	switch {
	case e.Digest == 0:
	case t.full == nil:
		t.full = e
	case t.full.Digest != e.Digest:
		j.Violated(e.Task, "has two results", t.full, e)
	}
}

// showsEnd says whether e tells how its task ended: as a view, or as the acceptance of the value
// that ended it.
func showsEnd(e *Event) bool {
	if e.Kind == ReadReply {
		return e.View != nil && e.View.Terminal()
	}
	return commits(e)
}

// commits says whether e tells that an attempt's value became the task's.
func commits(e *Event) bool {
	return e.Kind == ReportReply && e.Outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED &&
		(e.Answer == Accepted || e.Answer == Duplicate)
}

func sameEnd(a, b *Event) bool {
	if a.View != nil && b.View != nil {
		x, y := *a.View, *b.View
		x.NonRetryable, y.NonRetryable = false, false // Not every read shows the error.
		return x == y
	}
	if a.View == nil {
		a, b = b, a
	}
	// b is the acceptance of a value.
	return a.View == nil && a.Attempt == b.Attempt ||
		a.View != nil && a.View.Status == frayv1.TaskStatus_TASK_STATUS_COMPLETED && a.View.Attempt == b.Attempt
}

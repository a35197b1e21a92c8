package fray

import (
	"cmp"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// settleAll ends the open calls that results tell the end of, as far as their values are with them.
// The results are of a page of the log; nil: they are not.
func settleAll(t *tracker, results []*frayv1.TaskResult, p *page) {
	told := make([]*frayv1.TaskResult, 0, len(results))
	for _, r := range results {
		if isTerminal(r.GetTask().GetStatus()) && !r.GetValueOmitted() {
			told = append(told, r)
		}
	}
	all := t.end(told, p)
	endings := make([]ending, len(all))
	for i, e := range all {
		endings[i] = e.end(e.outcome(e.result))
	}
	for _, e := range endings {
		e.wake()
	}
}

// omitted returns the values that were left out of results.
func omitted(results []*frayv1.TaskResult) []*largeValue {
	var values []*largeValue
	for _, r := range results {
		if isTerminal(r.GetTask().GetStatus()) && r.GetValueOmitted() {
			values = append(values, &largeValue{id: r.GetTask().GetTaskId(), bytes: r.GetValueBytes()})
		}
	}
	return values
}

func isTerminal(s frayv1.TaskStatus) bool {
	switch s {
	case frayv1.TaskStatus_TASK_STATUS_COMPLETED, frayv1.TaskStatus_TASK_STATUS_FAILED, frayv1.TaskStatus_TASK_STATUS_CANCELLED:
		return true
	default:
		return false
	}
}

// outcome is what a call ends with whose task ended as the controller says. A task that completed
// has a value, be it an empty one: if none was told, it is not known.
func (c *call) outcome(r *frayv1.TaskResult) (Payload, error) {
	task := r.GetTask()
	info := TaskInfo{
		WorkerID: task.GetWorkerId(), Attempt: int(task.GetAttemptNumber()), MaxAttempts: int(task.GetMaxAttempts()),
	}
	reason := ReasonCancelled
	switch {
	case task.GetStatus() == frayv1.TaskStatus_TASK_STATUS_COMPLETED && r.GetValue() != nil:
		return Payload{Encoding: r.GetValue().GetEncoding(), Data: r.GetValue().GetData()}, nil
	case task.GetStatus() == frayv1.TaskStatus_TASK_STATUS_COMPLETED:
		return Payload{}, newTaskError(c, ReasonTaskLost, info, &frayv1.TaskError{
			Message: "it completed, and the controller no longer has its result",
		})
	case task.GetStatus() == frayv1.TaskStatus_TASK_STATUS_FAILED:
		var known bool
		if reason, known = failureReasons[task.GetFailureReason()]; !known {
			reason = Reason(task.GetFailureReason().String()) // of a newer controller
		}
	}
	e := newTaskError(c, reason, info, r.GetError())
	e.Function, e.Cause = cmp.Or(task.GetFunction(), e.Function), task.GetCauseTaskId()
	return Payload{}, e
}

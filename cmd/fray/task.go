package main

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// taskJSON is a task as -o json writes it. The names of its fields are part of the command's
// interface.
type taskJSON struct {
	TaskID           string  `json:"task_id"`
	JobID            string  `json:"job_id"`
	Function         string  `json:"function"`
	Status           string  `json:"status"`
	PendingReason    string  `json:"pending_reason,omitempty"`
	PendingDetail    string  `json:"pending_detail,omitempty"`
	FailureReason    string  `json:"failure_reason,omitempty"`
	CauseTaskID      string  `json:"cause_task_id,omitempty"`
	Attempt          uint32  `json:"attempt"`
	MaxAttempts      uint32  `json:"max_attempts"`
	Failures         uint32  `json:"failures"`
	WorkerLosses     uint32  `json:"worker_losses"`
	DeliveryFailures uint32  `json:"delivery_failures"`
	WorkerID         string  `json:"worker_id,omitempty"`
	Priority         int32   `json:"priority"`
	SubmittedAt      *string `json:"submitted_at"`
	NotBefore        *string `json:"not_before,omitempty"`
	LeasedAt         *string `json:"leased_at"`
	FinishedAt       *string `json:"finished_at"`
	CancelRequested  bool    `json:"cancel_requested"`
	// What its attempt said of itself last.
	Progress *progressJSON `json:"progress,omitempty"`
}

// resultJSON is a task with what it ended with.
type resultJSON struct {
	taskJSON

	Encoding string `json:"encoding,omitempty"`
	// The value if its encoding is json, else in base64.
	Value       json.RawMessage `json:"value,omitempty"`
	ValueBase64 string          `json:"value_base64,omitempty"`
	Error       *errorJSON      `json:"error,omitempty"`
}

type errorJSON struct {
	Message      string `json:"message"`
	Type         string `json:"type,omitempty"`
	Stack        string `json:"stack,omitempty"`
	NonRetryable bool   `json:"non_retryable,omitempty"`
	// What the attempt left besides: of a command, what it had printed. As the value.
	Details       json.RawMessage `json:"details,omitempty"`
	DetailsBase64 string          `json:"details_base64,omitempty"`
}

// progressJSON is how far an attempt said that it is.
type progressJSON struct {
	Share   *float64 `json:"share,omitempty"`
	Message string   `json:"message"`
	At      *string  `json:"at"`
}

func newProgressJSON(t *frayv1.Task) *progressJSON {
	if t.GetProgress() == nil {
		return nil
	}
	return &progressJSON{Share: t.GetProgress().Share, Message: t.GetProgress().GetMessage(), At: timestamp(t.GetProgressUnixMs())}
}

func newTaskJSON(t *frayv1.Task) taskJSON {
	return taskJSON{
		TaskID: t.GetTaskId(), JobID: t.GetJobId(), Function: t.GetFunction(),
		Status: statusName(t.GetStatus()), PendingReason: pendingName(t.GetPendingReason()),
		PendingDetail: t.GetPendingDetail(), FailureReason: failureName(t.GetFailureReason()), CauseTaskID: t.GetCauseTaskId(),
		Attempt: t.GetAttemptNumber(), MaxAttempts: t.GetMaxAttempts(),
		Failures: t.GetFailureCount(), WorkerLosses: t.GetWorkerLossCount(), DeliveryFailures: t.GetDeliveryFailureCount(),
		WorkerID: t.GetWorkerId(), Priority: t.GetPriority(), CancelRequested: t.GetCancelRequested(),
		NotBefore:   timestamp(t.GetNotBeforeUnixMs()),
		Progress:    newProgressJSON(t),
		SubmittedAt: timestamp(t.GetSubmittedUnixMs()), LeasedAt: timestamp(t.GetLeasedUnixMs()), FinishedAt: timestamp(t.GetFinishedUnixMs()),
	}
}

func newResultJSON(r *frayv1.TaskResult) resultJSON {
	j := resultJSON{taskJSON: newTaskJSON(r.GetTask()), Encoding: r.GetValue().GetEncoding()}
	j.Value, j.ValueBase64 = payloadJSON(r.GetValue())
	if e := r.GetError(); e != nil {
		j.Error = &errorJSON{Message: e.GetMessage(), Type: e.GetType(), Stack: e.GetStack(), NonRetryable: e.GetNonRetryable()}
		j.Error.Details, j.Error.DetailsBase64 = payloadJSON(e.GetDetails())
	}
	return j
}

// payloadJSON is a payload as it is if it is JSON, and else in base64.
func payloadJSON(p *frayv1.Payload) (value json.RawMessage, inBase64 string) {
	if isJSON(p) {
		return p.GetData(), ""
	}
	return nil, base64.StdEncoding.EncodeToString(p.GetData())
}

// isJSON reports whether a payload is JSON that every program reads alike, which bytes that are not
// UTF-8 prevent.
func isJSON(p *frayv1.Payload) bool {
	return p.GetEncoding() == "json" && utf8.Valid(p.GetData()) && json.Valid(p.GetData())
}

func statusName(s frayv1.TaskStatus) string {
	return strings.TrimPrefix(s.String(), "TASK_STATUS_")
}

func pendingName(r frayv1.PendingReason) string {
	if r == frayv1.PendingReason_PENDING_REASON_UNSPECIFIED {
		return ""
	}
	return strings.TrimPrefix(r.String(), "PENDING_REASON_")
}

func failureName(r frayv1.FailureReason) string {
	if r == frayv1.FailureReason_FAILURE_REASON_UNSPECIFIED {
		return ""
	}
	return strings.TrimPrefix(r.String(), "FAILURE_REASON_")
}

func isTerminal(s frayv1.TaskStatus) bool {
	switch s {
	case frayv1.TaskStatus_TASK_STATUS_COMPLETED, frayv1.TaskStatus_TASK_STATUS_FAILED, frayv1.TaskStatus_TASK_STATUS_CANCELLED:
		return true
	default:
		return false
	}
}

// describeStatus is where a task stands and why, for people.
func describeStatus(t *frayv1.Task) string {
	status := statusName(t.GetStatus())
	if reason := pendingName(t.GetPendingReason()) + failureName(t.GetFailureReason()); reason != "" {
		reason = strings.ToLower(strings.ReplaceAll(reason, "_", " "))
		if detail := t.GetPendingDetail(); detail != "" {
			reason += ": " + detail
		}
		if until := timestamp(t.GetNotBeforeUnixMs()); until != nil && t.GetPendingReason() == frayv1.PendingReason_PENDING_REASON_DELAYED {
			reason += " until " + *until
		}
		status += " (" + reason + ")"
	}
	if t.GetCancelRequested() && !isTerminal(t.GetStatus()) {
		status += " (cancelling)"
	}
	return status
}

// attempts is the attempts of a task and how many its retries allow, for people.
func attempts(t *frayv1.Task) string {
	return fmt.Sprintf("%d of %d", t.GetAttemptNumber(), max(t.GetMaxAttempts(), 1))
}

// tookTime is how long the last attempt of a task took, its way to the worker and back included.
func tookTime(t *frayv1.Task) string {
	if t.GetLeasedUnixMs() == 0 {
		return "-"
	}
	end := time.Now()
	if t.GetFinishedUnixMs() > 0 {
		end = time.UnixMilli(t.GetFinishedUnixMs())
	}
	return roughly(max(0, end.Sub(time.UnixMilli(t.GetLeasedUnixMs()))))
}

// taskHeader and taskRow are a table of tasks.
var taskHeader = []string{"task", "job", "function", "status", "attempt", "worker", "submitted", "took"}

func taskRow(t *frayv1.Task) []string {
	worker := cmp.Or(t.GetWorkerId(), "-")
	return []string{
		t.GetTaskId(), t.GetJobId(), t.GetFunction(), describeStatus(t), attempts(t), worker, ago(t.GetSubmittedUnixMs()), tookTime(t),
	}
}

// valueText is a value for people: text as it is, anything else as its size.
func valueText(p *frayv1.Payload) string {
	data := p.GetData()
	switch {
	case len(data) == 0:
		return ""
	case isJSON(p):
		return string(data)
	default:
		return fmt.Sprintf("%d bytes encoded as %q", len(data), p.GetEncoding())
	}
}

package controller_test

import (
	"strings"
	"testing"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
)

// Whoever reports, an error is kept within its bounds; a worker of Fray's own keeps them itself.
func TestLargeErrorsAreCut(t *testing.T) {
	t.Parallel()
	const most = 64 << 10
	c := start(t, nil)
	c.submit("a", "b")
	w := c.worker("w")
	long := strings.Repeat("é", 1<<20)
	leased := w.lease(2)
	res, err := c.ReportTasks(t.Context(), &frayv1.ReportTasksRequest{SessionToken: w.session, Reports: []*frayv1.TaskReport{
		{
			Attempt: leased[0].GetAttempt(), Outcome: frayv1.AttemptOutcome_ATTEMPT_OUTCOME_FAILED,
			Error: &frayv1.TaskError{
				Message: long, Type: long, Stack: long, Sentinel: long, NonRetryable: true, Details: &frayv1.Payload{Encoding: long, Data: []byte("x")},
			},
		},
		{
			Attempt: leased[1].GetAttempt(), Outcome: frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED,
			Value: &frayv1.Payload{Encoding: long, Data: []byte("x")},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range res.GetVerdicts() {
		if v != frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED {
			t.Errorf("verdicts %v", res.GetVerdicts())
		}
	}
	result := func(id string) *frayv1.TaskResult {
		r, err := c.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: id})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetResult()
	}
	e := result("a").GetError()
	if len(e.GetMessage()) > most || len(e.GetStack()) > most || len(e.GetType()) > limit.ErrorType || e.GetSentinel() != "" || e.GetDetails() != nil || !e.GetNonRetryable() {
		t.Errorf("an error of %d, %d, %d and %d bytes is kept, with details %v", len(e.GetMessage()), len(e.GetStack()), len(e.GetType()), len(e.GetSentinel()), e.GetDetails())
	}
	if !strings.HasPrefix(e.GetMessage(), "éé") || !strings.HasSuffix(e.GetMessage(), "(cut)") {
		t.Errorf("the message ends with %q", e.GetMessage()[max(0, len(e.GetMessage())-20):])
	}
	if b := result("b"); b.GetTask().GetFailureReason() != frayv1.FailureReason_FAILURE_REASON_UNDECODABLE || !strings.Contains(b.GetError().GetMessage(), "2097152 bytes, and may have 64") {
		t.Errorf("a value with a long encoding: %v", b)
	}
}

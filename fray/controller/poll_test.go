package controller_test

import (
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// What a poll tells of attempts is judged as it comes, and told apart from what is refused.
func TestPollsTakeReports(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	r, err := c.RegisterWorker(t.Context(), &frayv1.RegisterWorkerRequest{WorkerId: "w", RegistrationId: "1", Slots: 4, Functions: []string{"f"}})
	if err != nil || !r.GetPollsTakeReports() {
		t.Fatalf("registered with %v, %v, want that polls take reports", r, err)
	}
	w := &worker{c: c, session: r.GetSessionToken()}
	c.submit("a", "b")
	leased := w.lease(2)
	poll := func(wait int64, reports ...*frayv1.TaskReport) (*frayv1.LeaseTasksResponse, error) {
		w.poll++
		return c.LeaseTasks(t.Context(), &frayv1.LeaseTasksRequest{
			SessionToken: w.session, PollSeq: w.poll, ReceivedPollSeq: w.poll - 1, FreeSlots: 4, MaxTasks: 4, MaxWaitMs: wait, Reports: reports,
		})
	}
	_, err = poll(1, succeeded(leased[0], "value of a"), &frayv1.TaskReport{})
	wantCode(t, err, connect.CodeInvalidArgument)
	large := strings.Repeat("x", 300<<10)
	got, err := poll(1, succeeded(leased[0], "value of a"), succeeded(leased[1], large), succeeded(leased[0], "another"))
	want := []frayv1.ReportVerdict{
		frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED, frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED, frayv1.ReportVerdict_REPORT_VERDICT_DUPLICATE,
	}
	if err != nil || len(got.GetTasks()) > 0 || !slices.Equal(got.GetVerdicts(), want) {
		t.Errorf("answered with %v, %v, want the verdicts %v", got, err, want)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if r, err := poll(60_000); err != nil || len(r.GetTasks()) != 1 || len(r.GetVerdicts()) > 0 {
			t.Errorf("answered with %v, %v, want the task and no verdict", r, err)
		}
	}()
	c.submit("c")
	<-done
	for id, want := range map[string]string{"a": "value of a", "b": large} {
		r, err := c.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: id})
		if v := string(r.GetResult().GetValue().GetData()); err != nil || v != want {
			t.Errorf("%s ended with %d bytes, %v", id, len(v), err)
		}
	}
}

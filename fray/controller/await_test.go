package controller_test

import (
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/controller"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// called submits a task and waits for its end, which a worker brings about meanwhile.
func (c *cluster) called(w *worker, id, value string, confirmed uint64) *frayv1.SubmitTaskResponse {
	c.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.report(succeeded(w.lease(1)[0], value))
	}()
	r, err := c.SubmitTask(c.t.Context(), &frayv1.SubmitTaskRequest{
		JobId: "job", WatcherId: "caller", Task: spec(id), MaxWaitMs: 60_000, ConfirmedCursor: confirmed,
	})
	<-done
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func TestSubmissionIsAnsweredWithTheEnd(t *testing.T) {
	t.Parallel()
	c := start(t, func(cfg *controller.Config) { cfg.Core.MaxRetained = 1 })
	w := c.worker("w1")
	for i, id := range []string{"a", "b", "c"} {
		r := c.called(w, id, "value of "+id, uint64(i))
		if !r.GetCreated() || r.GetTask().GetTaskId() != id || r.GetTask().GetStatus() != frayv1.TaskStatus_TASK_STATUS_COMPLETED ||
			string(r.GetResult().GetValue().GetData()) != "value of "+id || r.GetResult().GetTask() != nil || r.GetEndCursor() != uint64(i+1) {
			t.Errorf("%s is answered with %v", id, r)
		}
	}
	// What was confirmed is not kept, what was not is: past the one that may be.
	for id, want := range map[string]connect.Code{"a": connect.CodeNotFound, "b": connect.CodeNotFound, "c": 0} {
		if _, err := c.GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: id}); err != nil && connect.CodeOf(err) != want || (err == nil) != (want == 0) {
			t.Errorf("task %s: %v, want code %v", id, err, want)
		}
	}
	again, err := c.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "job", WatcherId: "caller", Task: spec("c"), MaxWaitMs: 60_000})
	if err != nil || again.GetCreated() || string(again.GetResult().GetValue().GetData()) != "value of c" {
		t.Errorf("offered again, it is answered with %v, %v", again, err)
	}
}

// Its end that does not come in time, or is too large for the answer, is left to others to ask for.
func TestSubmissionIsAnsweredWithoutTheEnd(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	r, err := c.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "job", Task: spec("slow"), MaxWaitMs: 1})
	if err != nil || !r.GetCreated() || r.GetTask().GetStatus() != frayv1.TaskStatus_TASK_STATUS_PENDING || r.GetResult() != nil || r.GetEndCursor() != 0 {
		t.Errorf("a task that nobody runs is answered with %v, %v", r, err)
	}
	w := c.worker("w1")
	w.report(succeeded(w.lease(1)[0], ""))
	r = c.called(w, "large", strings.Repeat("x", 5<<20), 0)
	if !r.GetResult().GetValueOmitted() || r.GetResult().GetValueBytes() < 5<<20 || r.GetResult().GetValue() != nil {
		t.Errorf("a large value is answered with %d of %d bytes", len(r.GetResult().GetValue().GetData()), r.GetResult().GetValueBytes())
	}
	_, err = c.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "job", Task: spec("late"), MaxWaitMs: -1})
	wantCode(t, err, connect.CodeInvalidArgument)
}

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

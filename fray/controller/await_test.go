package controller_test

import (
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

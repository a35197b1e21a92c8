package controller_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

func TestSubmissionsAreRefusedWhereMemoryIsShort(t *testing.T) {
	t.Parallel()
	runtime.GC() // It is known how much is in use only after one.
	c := start(t, func(c *controller.Config) { c.MemoryLimit = 1 << 10 })
	spec := &frayv1.TaskSpec{TaskId: "a", Function: "f"}
	_, err := c.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "j", Task: spec})
	reason, again := wire.Info(err)
	if connect.CodeOf(err) != connect.CodeResourceExhausted || reason != wire.ReasonQueueFull || again <= 0 || !strings.Contains(err.Error(), "GOMEMLIMIT") {
		t.Errorf("%v, %s, %v", err, reason, again)
	}
	res, err := c.SubmitTasks(t.Context(), &frayv1.SubmitTasksRequest{JobId: "j", Tasks: []*frayv1.TaskSpec{spec}})
	if err != nil || res.GetCreatedCount() != 0 || len(res.GetFailures()) != 1 || res.GetRetryAfterMs() == 0 {
		t.Errorf("%v, %v", res, err)
	}
	if _, err := c.GetClusterInfo(t.Context(), &frayv1.GetClusterInfoRequest{}); err != nil {
		t.Errorf("what is known goes on: %v", err)
	}
}

func TestWorkersAreListedInPages(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	ctx := t.Context()
	large := make([]string, 10_000)
	for i := range large {
		large[i] = fmt.Sprintf("%0200d", i)
	}
	for i, functions := range [][]string{{"f"}, large, large, large, {"f"}} {
		_, err := c.RegisterWorker(ctx, &frayv1.RegisterWorkerRequest{WorkerId: fmt.Sprint("w", i), RegistrationId: "r", Slots: 1, Functions: functions})
		if err != nil {
			t.Fatal(err)
		}
	}
	var pages []int
	var ids strings.Builder
	for token := ""; ; {
		res, err := c.ListWorkers(ctx, &frayv1.ListWorkersRequest{PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, len(res.GetWorkers()))
		for _, w := range res.GetWorkers() {
			ids.WriteString(w.GetWorkerId())
		}
		if token = res.GetNextPageToken(); token == "" {
			break
		}
	}
	if ids.String() != "w0w1w2w3w4" || len(pages) != 3 {
		t.Errorf("pages of %v: %s", pages, ids.String())
	}
	if res, err := c.ListWorkers(ctx, &frayv1.ListWorkersRequest{PageSize: 1}); err != nil || len(res.GetWorkers()) != 1 || res.GetNextPageToken() == "" {
		t.Errorf("%v", err)
	}
	if _, err := c.ListWorkers(ctx, &frayv1.ListWorkersRequest{PageToken: "7"}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a token of nobody: %v", err)
	}
}

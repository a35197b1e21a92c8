package fraytest_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/fraytest"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// The controller shows what the current attempt said last, and nothing of one that is over.
func TestProgressIsShown(t *testing.T) {
	goOn := make(chan struct{})
	slow := fray.Define("slow", func(ctx context.Context, _ int) (int, error) {
		info, _ := fray.InTask(ctx)
		if info.Attempt == 1 {
			if err := fray.ReportProgress(ctx, 0.4, "4 of 10 pages"); err != nil {
				return 0, fray.NonRetryable(err)
			}
			<-goOn
			return 0, context.DeadlineExceeded // Anything that is tried again.
		}
		<-goOn
		return 0, nil
	})
	c := fraytest.StartCluster(t, fraytest.Functions(slow), fraytest.Controller(func(cfg *controller.Config) { cfg.Core.SessionTTL = 600 * time.Millisecond }))
	future, err := slow.Run(c.Context(), 1, fray.WithRetries(1), fray.WithBackoff(time.Millisecond, 1, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	client := frayv1connect.NewControllerServiceClient(http.DefaultClient, c.URL())
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	until := func(what string, is func(*frayv1.Task) bool) *frayv1.Task {
		t.Helper()
		for {
			res, err := client.GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: future.ID()})
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if is(res.GetTask()) {
				return res.GetTask()
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	task := until("it says how far it is", func(t *frayv1.Task) bool { return t.GetProgress() != nil })
	if p := task.GetProgress(); p.GetShare() != 0.4 || p.GetMessage() != "4 of 10 pages" || task.GetProgressUnixMs() < task.GetLeasedUnixMs() {
		t.Errorf("the task is %v", task)
	}
	goOn <- struct{}{}
	task = until("its next attempt is there", func(t *frayv1.Task) bool { return t.GetAttemptNumber() == 2 })
	if task.GetProgress() != nil {
		t.Errorf("an attempt that said nothing has %v", task.GetProgress())
	}
	close(goOn)
	task = until("it ends", func(t *frayv1.Task) bool { return t.GetFinishedUnixMs() > 0 })
	if task.GetProgress() != nil {
		t.Errorf("a task that has ended has %v", task.GetProgress())
	}
}

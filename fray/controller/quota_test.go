package controller_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// fills submits tasks until one is refused, and returns how many were not.
func fills(t *testing.T, c frayv1connect.ControllerServiceClient, name string, task func(i int) (job string, spec *frayv1.TaskSpec)) int {
	t.Helper()
	for i := 0; ; i++ {
		job, spec := task(i)
		spec.TaskId = fmt.Sprint(name, i)
		_, err := c.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: job, Task: spec})
		if connect.CodeOf(err) == connect.CodeResourceExhausted {
			return i
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestOneCallerLeavesRoomForOthers: whatever one caller fills, another finds room, and so does another job
// of the same caller in what is counted for each job.
func TestOneCallerLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	const bound = 64
	bounded := func(c *controller.Config) {
		c.Core.MaxOpenTasks, c.Core.MaxQueuedBytes, c.Core.MaxJobs, c.Core.MaxClasses = bound, bound<<10, bound, bound
	}
	for _, test := range []struct {
		name string
		task func(i int) (job string, spec *frayv1.TaskSpec)
		most int
	}{
		{"tasks", func(int) (string, *frayv1.TaskSpec) { return "all", &frayv1.TaskSpec{Function: "f"} }, bound},
		{"bytes", func(int) (string, *frayv1.TaskSpec) {
			return "all", &frayv1.TaskSpec{Function: "f", Payload: &frayv1.Payload{Data: make([]byte, 4<<10)}}
		}, bound / 4},
		{"jobs", func(i int) (string, *frayv1.TaskSpec) { return fmt.Sprint("job", i), &frayv1.TaskSpec{Function: "f"} }, bound},
		{"functions", func(i int) (string, *frayv1.TaskSpec) { return "all", &frayv1.TaskSpec{Function: fmt.Sprint("f", i)} }, bound},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := startGuarded(t, store.NewMemory(), bounded)
			alice, bob := g.as("alice"), g.as("bob")
			if n := fills(t, alice, "alice-", test.task); n > test.most || n < test.most-1 {
				t.Errorf("one caller alone has %d, want %d", n, test.most)
			}
			job, spec := test.task(10 * bound)
			spec.TaskId = "bystander"
			if _, err := bob.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "bob-" + job, Task: spec}); err != nil {
				t.Errorf("another caller: %v", err)
			}
			if test.name != "tasks" && test.name != "bytes" {
				return
			}
			spec.TaskId = "another"
			if _, err := alice.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "another-" + job, Task: spec}); err != nil {
				t.Errorf("another job of the caller: %v", err)
			}
			spec.TaskId = "more"
			_, err := alice.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: job, Task: spec})
			if err == nil || !strings.Contains(err.Error(), "has its share of the queue") {
				t.Errorf("what is told: %v", err)
			}
		})
	}
}

// TestOneCallersCallsLeaveRoomForOthers: calls that wait are counted for who makes them.
func TestOneCallersCallsLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	const bound = 4
	g := startGuarded(t, store.NewMemory(), func(c *controller.Config) { c.MaxCalls = bound })
	alice, bob := g.as("alice"), g.as("bob")
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for i := range bound {
		wait.Go(func() {
			for {
				_, err := alice.WatchJob(ctx, &frayv1.WatchJobRequest{JobId: "elsewhere", MaxWaitMs: 30_000, WatcherId: fmt.Sprint(i)})
				if connect.CodeOf(err) == connect.CodeResourceExhausted {
					continue // The call below has the last place.
				}
				wantCode(t, err, connect.CodeCanceled)
				return
			}
		})
	}
	short := &frayv1.WatchJobRequest{JobId: "elsewhere", MaxWaitMs: 1}
	for { // Until all of them wait.
		_, err := alice.WatchJob(t.Context(), short)
		if connect.CodeOf(err) == connect.CodeResourceExhausted {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := bob.WatchJob(t.Context(), short); err != nil {
		t.Errorf("another caller: %v", err)
	}
	cancel()
	wait.Wait()
}

package fray_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// withFake runs test in virtual time against a fake controller.
func withFake(t *testing.T, fake *fakeController, test func(*trial), opts ...fray.Option) {
	t.Helper()
	opts = append([]fray.Option{fray.WithControllerAddress("fake:1"), fray.WithHTTPClient(fake.client())}, opts...)
	inBubble(t, fray.KindFray, test, opts...)
}

func TestLoneRunIsNotDelayed(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.echo = true
	withFake(t, fake, func(t *trial) {
		start := time.Now()
		for range 100 {
			got(t, echo, "x", "x")
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("100 calls without latency took %v", d)
		}
		if submits, _, _ := fake.counts(); len(submits) != 100 {
			t.Errorf("%d RPCs, want 100", len(submits))
		}
	})
}

func TestConcurrentRunsAreSentTogether(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.echo = true
	fake.beforeSubmit = func(int, *frayv1.SubmitTasksRequest) error {
		time.Sleep(10 * time.Millisecond)
		return nil
	}
	withFake(t, fake, func(t *trial) {
		start := time.Now()
		var group sync.WaitGroup
		for range 1000 {
			group.Go(func() { got(t, echo, "x", "x") })
		}
		group.Wait()
		submits, _, _ := fake.counts()
		if len(submits) != 3 || submits[0] != 1 || time.Since(start) != 20*time.Millisecond {
			t.Errorf("RPCs of %v tasks in %v: want one alone, one that the others wait for, and those, in 20ms", submits, time.Since(start))
		}
	})
}

func TestRunAllIsSentInBoundedBatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		tasks     int
		size      int
		mostTasks int
		mostRPCs  int
	}{
		{name: "by count", tasks: 30_000, size: 0, mostTasks: 10_000, mostRPCs: 6},
		{name: "by size", tasks: 20, size: 1 << 20, mostTasks: 4, mostRPCs: 8},
		{name: "each too large for a batch", tasks: 3, size: 5 << 20, mostTasks: 1, mostRPCs: 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := newFake()
			fake.echo = true
			var inFlight, most atomic.Int32
			fake.beforeSubmit = func(int, *frayv1.SubmitTasksRequest) error {
				if n := inFlight.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(10 * time.Millisecond)
				inFlight.Add(-1)
				return nil
			}
			withFake(t, fake, func(t *trial) {
				ctx := t.ctx
				blob := make([]byte, tt.size)
				ins := make([][]byte, tt.tasks)
				for i := range ins {
					ins[i] = blob
				}
				futures, err := reverse.RunAll(ctx, ins)
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := fray.Wait(ctx, futures, len(futures), -1); err != nil {
					t.Fatal(err)
				}
				submits, _, _ := fake.counts()
				if len(submits) > tt.mostRPCs || slices.Max(submits) > tt.mostTasks || most.Load() > 2 {
					t.Errorf("RPCs of %v tasks, up to %d in flight", submits, most.Load())
				}
			})
		})
	}
}

func TestSubmitSurvivesTrouble(t *testing.T) {
	t.Parallel()
	unavailable := connect.NewError(connect.CodeUnavailable, errors.New("away"))
	tests := []struct {
		name string
		set  func(*fakeController)
		rpcs int
		took [2]time.Duration
	}{
		{name: "unavailable", rpcs: 4, took: [2]time.Duration{0, time.Second}, set: func(f *fakeController) {
			f.beforeSubmit = func(n int, _ *frayv1.SubmitTasksRequest) error {
				if n <= 3 {
					return unavailable
				}
				return nil
			}
		}},
		{name: "reply lost", rpcs: 2, took: [2]time.Duration{0, time.Second}, set: func(f *fakeController) {
			f.afterSubmit = func(n int, _ *frayv1.SubmitTasksRequest) error {
				if n == 1 {
					return unavailable
				}
				return nil
			}
		}},
		{name: "no reply", rpcs: 2, took: [2]time.Duration{11 * time.Second, 12 * time.Second}, set: func(f *fakeController) {
			f.afterSubmit = func(n int, _ *frayv1.SubmitTasksRequest) error {
				if n == 1 {
					time.Sleep(11 * time.Second) // the deadline of the attempt is 10s
				}
				return nil
			}
		}},
		{name: "full, with a hint", rpcs: 2, took: [2]time.Duration{time.Minute, time.Minute + 10*time.Second}, set: func(f *fakeController) {
			f.beforeSubmit = func(n int, _ *frayv1.SubmitTasksRequest) error {
				if n == 1 {
					return wire.Error(wire.ReasonQueueFull, time.Minute, "full")
				}
				return nil
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := newFake()
			fake.echo = true
			tt.set(fake)
			withFake(t, fake, func(t *trial) {
				ctx := t.ctx
				start := time.Now()
				futures, err := echo.RunAll(ctx, inputs(10))
				if err != nil {
					t.Fatal(err)
				}
				values(t, futures)
				submits, _, _ := fake.counts()
				if d := time.Since(start); len(submits) != tt.rpcs || d < tt.took[0] || d > tt.took[1] {
					t.Errorf("RPCs of %v tasks in %v, want %d in %v", submits, d, tt.rpcs, tt.took)
				}
			})
		})
	}
}

func TestTasksThatFindNoRoomAreOfferedAgain(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.echo = true
	room := 10
	fake.refuse = func(*frayv1.TaskSpec) connect.Code {
		if room--; room < 0 {
			return connect.CodeResourceExhausted
		}
		return 0
	}
	withFake(t, fake, func(t *trial) {
		ctx := t.ctx
		go func() {
			for range 10 {
				time.Sleep(1500 * time.Millisecond)
				fake.mu.Lock()
				room = 10
				fake.mu.Unlock()
			}
		}()
		start := time.Now()
		futures, err := echo.RunAll(ctx, inputs(100))
		if err != nil {
			t.Fatal(err)
		}
		values(t, futures)
		submits, _, _ := fake.counts()
		if d := time.Since(start); d > 30*time.Second || len(submits) > 25 {
			t.Errorf("took %v and %d RPCs", d, len(submits))
		}
		time.Sleep(time.Minute)
	})
}

func TestFullQueueBlocksRunWhileItsContextLives(t *testing.T) {
	t.Parallel()
	fake := newFake()
	full := atomic.Bool{}
	full.Store(true)
	fake.refuse = func(*frayv1.TaskSpec) connect.Code {
		if full.Load() {
			return connect.CodeResourceExhausted
		}
		return 0
	}
	withFake(t, fake, func(t *trial) {
		ctx := t.ctx
		short, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := echo.Run(short, "x", fray.WithTaskID("given-up")); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(20 * time.Second)
		before, _, _ := fake.counts()
		time.Sleep(time.Minute)
		after, _, _ := fake.counts()
		if len(before) > 15 || len(after) != len(before) {
			t.Errorf("%d RPCs while Run waited, %d after", len(before), len(after)-len(before))
		}
		full.Store(false)
		run(t, echo, "x")
		if fake.tasks["given-up"] != nil {
			t.Error("the task that was given up has been submitted")
		}
	})
}

func TestOneBadTaskDoesNotTouchTheOthers(t *testing.T) {
	t.Parallel()
	invalid := func(_ int, req *frayv1.SubmitTasksRequest) error {
		for _, spec := range req.GetTasks() {
			if strings.HasSuffix(spec.GetTaskId(), "/7") {
				return wire.Error(wire.ReasonInvalid, 0, "bad task")
			}
		}
		return nil
	}
	tooLarge := func(_ int, req *frayv1.SubmitTasksRequest) error {
		if invalid(0, req) != nil {
			return connect.NewError(connect.CodeResourceExhausted, errors.New("message is larger than configured max"))
		}
		return nil
	}
	exists := func(spec *frayv1.TaskSpec) connect.Code {
		if strings.HasSuffix(spec.GetTaskId(), "/7") {
			return connect.CodeAlreadyExists
		}
		return 0
	}
	tests := []struct {
		name   string
		before func(int, *frayv1.SubmitTasksRequest) error
		refuse func(*frayv1.TaskSpec) connect.Code
		code   connect.Code
	}{
		{name: "the request is invalid", before: invalid, code: connect.CodeInvalidArgument},
		{name: "the request is too large", before: tooLarge, code: connect.CodeOutOfRange},
		{name: "the task is refused", refuse: exists, code: connect.CodeAlreadyExists},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := newFake()
			fake.echo, fake.beforeSubmit, fake.refuse = true, tt.before, tt.refuse
			withFake(t, fake, func(t *trial) {
				ctx := t.ctx
				futures, err := echo.RunAll(ctx, inputs(20), fray.WithTaskID("batch"))
				if connect.CodeOf(err) != tt.code || !strings.Contains(err.Error(), "batch/7") {
					t.Errorf("error %v, want code %v", err, tt.code)
				}
				for i, f := range futures {
					v, err := f.Get(ctx)
					if i == 7 {
						if connect.CodeOf(err) != tt.code {
							t.Errorf("future 7: %q, %v", v, err)
						}
					} else if err != nil || v != strconv.Itoa(i) {
						t.Errorf("future %d: %q, %v", i, v, err)
					}
				}
			})
		})
	}
}

func TestTheSpecSaysWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		f := run(t, echo, "x", fray.WithTaskID("id"), fray.WithRetries(2), fray.WithBackoff(1500*time.Microsecond, 3, time.Minute),
			fray.WithMaxWorkerLosses(0), fray.WithExecutionTimeout(time.Nanosecond), fray.WithSchedulingTimeout(time.Hour),
			fray.WithResources(map[string]int64{"gpu": 1}), fray.WithPriority(-3), fray.WithLabels(map[string]string{"zone": "a"}),
			fray.WithLimit(stripe.For("acme")), fray.WithLimit(fray.NewLimit("db", fray.MaxConcurrent(2))))
		spec := fake.specs[f.ID()]
		jitter := 0.2
		losses := uint32(0)
		want := &frayv1.TaskSpec{
			TaskId: "id", Function: "echo", Payload: &frayv1.Payload{Encoding: "json", Data: []byte(`"x"`)}, Priority: -3,
			Resources: map[string]int64{"gpu": 1}, RequiredLabels: map[string]string{"zone": "a"},
			RetryPolicy:     &frayv1.RetryPolicy{MaxRetries: 2, BackoffBaseMs: 2, BackoffFactor: 3, BackoffCapMs: 60_000, BackoffJitter: &jitter},
			MaxWorkerLosses: &losses, ExecutionTimeoutMs: 1, SchedulingTimeoutMs: 3_600_000,
			Limits: []*frayv1.Limit{{Name: "stripe", Key: "acme", MaxConcurrent: 5, MaxStarts: 100, PeriodMs: 60_000}, {Name: "db", MaxConcurrent: 2}},
		}
		if spec.String() != want.String() {
			t.Errorf("got  %v\nwant %v", spec, want)
		}
		if err := wire.CheckSpec(spec); err != nil {
			t.Error(err)
		}
	})
}

func TestWatchFollowsTheLog(t *testing.T) {
	t.Parallel()
	fake := newFake()
	var cursors []uint64
	fake.beforeWatch = func(n int, req *frayv1.WatchJobRequest) error {
		cursors = append(cursors, req.GetCursor())
		if n%3 == 0 {
			return connect.NewError(connect.CodeUnavailable, errors.New("away"))
		}
		return nil
	}
	withFake(t, fake, func(t *trial) {
		ctx := t.ctx
		futures, err := echo.RunAll(ctx, inputs(20), fray.WithTaskID("t"))
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range futures {
			fake.complete(f.ID())
			if v, err := f.Get(ctx); err != nil || v != strconv.Itoa(i) {
				t.Fatalf("future %d: %q, %v", i, v, err)
			}
		}
		if !slices.IsSorted(cursors) || cursors[len(cursors)-1] < 19 {
			t.Errorf("cursors %v", cursors)
		}
		if _, _, lookups := fake.counts(); lookups != 0 {
			t.Errorf("%d tasks were asked for one by one", lookups)
		}
		_, before, _ := fake.counts()
		time.Sleep(time.Hour)
		if _, after, _ := fake.counts(); after > before+1 {
			t.Errorf("%d polls while nothing was open", after-before)
		}
		// A second context of the same job is told of all that ended before, and does not mind.
		second := newTrial(t.T, newJobContext(t.T, fray.KindFray,
			fray.WithControllerAddress("fake:1"), fray.WithHTTPClient(fake.client()), fray.WithJobID(t.jc.JobID())))
		f := run(second, echo, "x")
		fake.complete(f.ID())
		if v, err := f.Get(ctx); err != nil || v != "x" {
			t.Errorf("got %q, %v", v, err)
		}
	})
}

func TestOmittedValuesAreFetched(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.echo, fake.omit = true, true
	withFake(t, fake, func(t *trial) {
		ctx := t.ctx
		futures, err := echo.RunAll(ctx, inputs(20))
		if err != nil {
			t.Fatal(err)
		}
		values(t, futures)
	})
}

func TestOutageOfTheController(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		ctx := t.ctx
		futures, err := echo.RunAll(ctx, inputs(10), fray.WithTaskID("t"))
		if err != nil {
			t.Fatal(err)
		}
		down := atomic.Bool{}
		down.Store(true)
		away := func() error {
			if down.Load() {
				return connect.NewError(connect.CodeUnavailable, errors.New("away"))
			}
			return nil
		}
		fake.mu.Lock()
		fake.beforeWatch = func(int, *frayv1.WatchJobRequest) error { return away() }
		fake.beforeSubmit = func(int, *frayv1.SubmitTasksRequest) error { return away() }
		fake.mu.Unlock()
		time.AfterFunc(10*time.Minute, func() { down.Store(false) })
		late := make(chan error)
		go func() {
			_, err := echo.Call(ctx, "late", fray.WithTaskID("late"))
			late <- err
		}()
		time.Sleep(9 * time.Minute)
		submits, watches, _ := fake.counts()
		if n := len(submits) + watches; n > 600 || n < 100 {
			t.Errorf("%d calls in nine minutes", n)
		}
		time.Sleep(2 * time.Minute)
		for i := range 10 {
			fake.complete(fmt.Sprintf("t/%d", i))
		}
		values(t, futures)
		fake.complete("late")
		if err := <-late; err != nil {
			t.Error(err)
		}
	})
}

func TestVanishedTasksAreLost(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		// before: tasks that end before the controller forgets, so that the cursor is past zero.
		before int
		// after: tasks of other clients that it knows afterwards.
		after int
	}{
		{name: "cursor ahead", before: 5},
		{name: "cursor at zero"},
		{name: "cursor overtaken", before: 2, after: 3},
		{name: "masked by tasks of others", after: 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := newFake()
			down := atomic.Bool{}
			fake.beforeWatch = func(int, *frayv1.WatchJobRequest) error {
				if down.Load() {
					return connect.NewError(connect.CodeUnavailable, errors.New("away"))
				}
				return nil
			}
			withFake(t, fake, func(t *trial) {
				ctx := t.ctx
				futures, err := echo.RunAll(ctx, inputs(10), fray.WithTaskID("t"))
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range futures[:tt.before] {
					fake.complete(f.ID())
				}
				values(t, futures[:tt.before])
				synctest.Wait()
				down.Store(true)
				fake.forget()
				time.Sleep(20 * time.Second)
				for i := range tt.after {
					id := fmt.Sprintf("other/%d", i)
					fake.admit(&frayv1.SubmitTasksRequest{JobId: t.jc.JobID(), Tasks: []*frayv1.TaskSpec{{TaskId: id}}})
					if tt.before > 0 {
						fake.complete(id)
					}
				}
				down.Store(false)
				start := time.Now()
				for _, f := range futures[tt.before:] {
					_, err := f.Get(ctx)
					var e *fray.TaskError
					if !errors.Is(err, fray.ErrTaskLost) || !errors.As(err, &e) || e.Reason != fray.ReasonTaskLost {
						t.Errorf("got %v", err)
					}
				}
				if d := time.Since(start); d > 20*time.Second {
					t.Errorf("noticed after %v", d)
				}
				// And it goes on.
				f := run(t, echo, "x", fray.WithTaskID("next"))
				fake.complete("next")
				if v, err := f.Get(ctx); err != nil || v != "x" {
					t.Errorf("got %q, %v", v, err)
				}
			})
		})
	}
}

func TestExistingTaskThatHasEndedIsTold(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.echo = true
	withFake(t, fake, func(t *trial) {
		for range 3 {
			start := time.Now()
			got(t, echo, "x", "x", fray.WithTaskID("same"))
			if d := time.Since(start); d > time.Second {
				t.Errorf("took %v", d)
			}
		}
	})
}

func TestFuturesOfOneTask(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		ctx := t.ctx
		var futures []*fray.Future[string]
		for range 3 {
			futures = append(futures, run(t, echo, "x", fray.WithTaskID("same")))
		}
		fake.complete("same")
		for _, f := range futures {
			if v, err := f.Get(ctx); err != nil || v != "x" {
				t.Errorf("got %q, %v", v, err)
			}
		}
	})
}

func TestEndsOnTheWire(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status   frayv1.TaskStatus
		failure  frayv1.FailureReason
		error    *frayv1.TaskError
		reason   fray.Reason
		is       error
		contains string
	}{
		{status: frayv1.TaskStatus_TASK_STATUS_CANCELLED, reason: fray.ReasonCancelled, is: fray.ErrCancelled},
		{
			failure: frayv1.FailureReason_FAILURE_REASON_APPLICATION, reason: fray.ReasonApplication, is: errDeclared,
			error:    &frayv1.TaskError{Message: "oh: declared", Type: "x.Y", Sentinel: "declared"},
			contains: "task id (fail): attempt 1 of 1 on worker w1: application error: oh: declared",
		},
		{failure: frayv1.FailureReason_FAILURE_REASON_TIMEOUT, reason: fray.ReasonTimeout, is: context.DeadlineExceeded},
		{failure: frayv1.FailureReason_FAILURE_REASON_WORKER_LOST, reason: fray.ReasonWorkerLost, is: fray.ErrWorkerLost},
		{failure: frayv1.FailureReason_FAILURE_REASON_SCHEDULING_TIMEOUT, reason: fray.ReasonSchedulingTimeout, is: fray.ErrSchedulingTimeout},
		{failure: frayv1.FailureReason_FAILURE_REASON_UNDECODABLE, reason: fray.ReasonUndecodable, is: fray.ErrUndecodable},
		{failure: frayv1.FailureReason_FAILURE_REASON_DEPENDENCY_FAILED, reason: fray.ReasonDependencyFailed},
		{failure: 99, reason: "99", contains: "99"},
	}
	for _, tt := range tests {
		t.Run(string(tt.reason), func(t *testing.T) {
			t.Parallel()
			fake := newFake()
			withFake(t, fake, func(t *trial) {
				ctx := t.ctx
				f := run(t, fail, "x", fray.WithTaskID("id"))
				fake.mu.Lock()
				fake.end("id", func(r *frayv1.TaskResult) {
					r.Task.Status, r.Task.FailureReason, r.Error = tt.status, tt.failure, tt.error
					if tt.status == 0 {
						r.Task.Status = frayv1.TaskStatus_TASK_STATUS_FAILED
					}
				})
				fake.mu.Unlock()
				_, err := f.Get(ctx)
				var e *fray.TaskError
				if !errors.As(err, &e) || e.Reason != tt.reason || (tt.is != nil && !errors.Is(err, tt.is)) || !strings.Contains(err.Error(), tt.contains) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestCancelAsksTheController(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		ctx := t.ctx
		f := run(t, echo, "x")
		if err := f.Cancel(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Get(ctx); !errors.Is(err, fray.ErrCancelled) {
			t.Error(err)
		}
		lost := run(t, echo, "x")
		fake.forget()
		if err := lost.Cancel(ctx); !errors.Is(err, fray.ErrTaskLost) {
			t.Error(err)
		}
		if _, err := lost.Get(ctx); !errors.Is(err, fray.ErrTaskLost) {
			t.Error(err)
		}
	})
}

func TestCloseLeavesTasksToTheController(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		ctx := t.ctx
		futures, err := echo.RunAll(ctx, inputs(10))
		if err != nil {
			t.Fatal(err)
		}
		fake.mu.Lock()
		fake.beforeSubmit = func(int, *frayv1.SubmitTasksRequest) error {
			return connect.NewError(connect.CodeUnavailable, errors.New("away"))
		}
		fake.mu.Unlock()
		blocked := make(chan error)
		go func() {
			_, err := echo.Run(ctx, "x")
			blocked <- err
		}()
		time.Sleep(time.Second)
		start := time.Now()
		if err := t.jc.Close(); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		for _, f := range futures {
			if _, err := f.Get(ctx); !errors.Is(err, fray.ErrClosed) {
				t.Error(err)
			}
		}
		if err := <-blocked; !errors.Is(err, fray.ErrClosed) {
			t.Error(err)
		}
		if len(fake.canceled) != 0 {
			t.Errorf("cancelled %v", fake.canceled)
		}
	})
}

func TestWatchThatIsForbiddenFailsFutures(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.beforeWatch = func(int, *frayv1.WatchJobRequest) error {
		time.Sleep(time.Second)
		return connect.NewError(connect.CodePermissionDenied, errors.New("not yours"))
	}
	withFake(t, fake, func(t *trial) {
		ctx := t.ctx
		f := run(t, echo, "x")
		if _, err := f.Get(ctx); connect.CodeOf(err) != connect.CodePermissionDenied || !strings.Contains(err.Error(), f.ID()) {
			t.Error(err)
		}
	})
}

func TestControllerThatDoesNotWaitIsNotHammered(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.beforeWatch = func(_ int, req *frayv1.WatchJobRequest) error {
		req.MaxWaitMs = 0
		return nil
	}
	withFake(t, fake, func(t *trial) {
		run(t, echo, "x")
		time.Sleep(10 * time.Second)
		if _, watches, _ := fake.counts(); watches > 110 {
			t.Errorf("%d polls in ten seconds", watches)
		}
	})
}

func TestOverTCP(t *testing.T) {
	t.Parallel()
	for _, grpc := range []bool{false, true} {
		t.Run(fmt.Sprintf("grpc=%v", grpc), func(t *testing.T) {
			t.Parallel()
			fake := newFake()
			fake.echo = true
			mux := http.NewServeMux()
			mux.Handle(frayv1connect.NewControllerServiceHandler(fake))
			server := httptest.NewUnstartedServer(mux)
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetHTTP1(true)
			server.Config.Protocols.SetUnencryptedHTTP2(true)
			server.Start()
			t.Cleanup(server.Close)
			opts := []fray.Option{fray.WithControllerAddress(strings.TrimPrefix(server.URL, "http://"))}
			if grpc {
				protocols := new(http.Protocols)
				protocols.SetUnencryptedHTTP2(true)
				transport := &http.Transport{Protocols: protocols}
				t.Cleanup(transport.CloseIdleConnections)
				opts = append(opts, fray.WithClientOptions(connect.WithGRPC()), fray.WithHTTPClient(&http.Client{Transport: transport}))
			}
			trial := newTrial(t, newJobContext(t, fray.KindFray, opts...))
			futures, err := echo.RunAll(trial.ctx, inputs(5000))
			if err != nil {
				t.Fatal(err)
			}
			values(trial, futures)
		})
	}
}

func BenchmarkRemoteRunAll(b *testing.B) {
	fake := newFake()
	fake.echo = true
	mux := http.NewServeMux()
	mux.Handle(frayv1connect.NewControllerServiceHandler(fake))
	server := httptest.NewServer(mux)
	defer server.Close()
	jc, err := fray.NewJobContext(b.Context(), fray.KindFray, fray.WithControllerAddress(server.URL))
	if err != nil {
		b.Fatal(err)
	}
	defer jc.Close()
	ctx := fray.NewContext(b.Context(), jc)
	ins := inputs(50_000)
	b.ReportAllocs()
	for b.Loop() {
		futures, err := echo.RunAll(ctx, ins)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := fray.Wait(ctx, futures, len(futures), -1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(ins))/b.Elapsed().Seconds(), "tasks/s")
}

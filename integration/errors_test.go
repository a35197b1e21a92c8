package integration_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/integration/tasks"
)

// failed returns the error of a task that must have one.
func failed[Out any](ctx context.Context, t testing.TB, f *fray.Future[Out]) *fray.TaskError {
	t.Helper()
	value, err := f.Get(ctx)
	var e *fray.TaskError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, %v; want a *TaskError", value, err)
	}
	return e
}

// wantEnd checks how a task failed.
func wantEnd(t testing.TB, e *fray.TaskError, reason fray.Reason, attempt, attempts int) {
	t.Helper()
	if e.Reason != reason || e.Attempt != attempt || e.MaxAttempts != attempts {
		t.Errorf("%q, attempt %d of %d, want %q, attempt %d of %d: %v", e.Reason, e.Attempt, e.MaxAttempts, reason, attempt, attempts, e)
	}
}

// quick makes retries come at once.
var quick = fray.WithBackoff(time.Millisecond, 1, time.Millisecond)

func TestErrors(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.worker("w0", "--slots", "16")
	playOn(t, c, []scenario{
		{
			name: "sentinel", protects: "errors.Is finds a declared error across processes, and the message names all there is to know",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				f := run(ctx, t, tasks.Fail, tasks.Failure{Message: "disk 7", Sentinel: true})
				e := failed(ctx, t, f)
				wantEnd(t, e, fray.ReasonApplication, 1, 1)
				if !errors.Is(e, tasks.ErrBroken) || e.WorkerID != "w0" || e.Function != "fail" || e.TaskID != f.ID() || e.Type != "*fmt.wrapError" {
					t.Errorf("got %+v", e)
				}
				for _, part := range []string{f.ID(), "fail", "attempt 1 of 1", "worker w0", "application error", "disk 7: it is broken"} {
					if !strings.Contains(e.Error(), part) {
						t.Errorf("text %q lacks %q", e, part)
					}
				}
			},
		},
		{
			name: "no sentinel", protects: "an error that only reads like a sentinel is not taken for it",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				e := failed(ctx, t, run(ctx, t, tasks.Fail, tasks.Failure{Message: tasks.ErrBroken.Error()}))
				if errors.Is(e, tasks.ErrBroken) || e.Message != tasks.ErrBroken.Error() {
					t.Errorf("got %+v", e)
				}
			},
		},
		{
			name: "retries", protects: "a task is tried just as often as its budget says",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				f := run(ctx, t, tasks.Fail, tasks.Failure{Message: "no", Sentinel: true}, fray.WithRetries(4), quick)
				e := failed(ctx, t, f)
				wantEnd(t, e, fray.ReasonApplication, 5, 5)
				if task := c.task(f.ID()); task.GetFailureCount() != 5 || task.GetWorkerLossCount() != 0 || task.GetDeliveryFailureCount() != 0 {
					t.Errorf("charged %v", task)
				}
			},
		},
		{
			name: "retries succeed", protects: "the attempt that succeeds ends the task",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				if v := get(ctx, t, run(ctx, t, tasks.Fail, tasks.Failure{Message: "no", Until: 3}, fray.WithRetries(9), quick)); v != 3 {
					t.Errorf("attempt %d succeeded", v)
				}
			},
		},
		{
			name: "non-retryable", protects: "what is hopeless is not tried again",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				e := failed(ctx, t, run(ctx, t, tasks.Fail, tasks.Failure{Message: "no", Final: true, Sentinel: true}, fray.WithRetries(9), quick))
				wantEnd(t, e, fray.ReasonApplication, 1, 10)
				if !errors.Is(e, tasks.ErrBroken) {
					t.Errorf("sentinel is gone: %v", e)
				}
			},
		},
		{
			name: "retry after", protects: "a task chooses when to be tried again, against the policy's backoff",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				// The policy alone would have it wait for a day.
				day := fray.WithBackoff(24*time.Hour, 1, 24*time.Hour)
				start := time.Now()
				const after = 50 * time.Millisecond
				if v := get(ctx, t, run(ctx, t, tasks.Fail, tasks.Failure{Message: "busy", RetryAfter: after, Until: 2}, fray.WithRetries(1), day)); v != 2 {
					t.Errorf("attempt %d succeeded", v)
				}
				if took := time.Since(start); took < after {
					t.Errorf("tried again within %v", took)
				}
			},
		},
		{
			name: "panic", protects: "a panic fails its task, with a stack, and not its worker",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				e := failed(ctx, t, run(ctx, t, tasks.Panic, "out of cheese"))
				wantEnd(t, e, fray.ReasonApplication, 1, 1)
				if e.Type != "panic" || !strings.Contains(e.Message, "out of cheese") || !strings.Contains(e.Stack, "tasks.go") {
					t.Errorf("got %+v", e)
				}
				get(ctx, t, run(ctx, t, tasks.Square, 2))
			},
		},
		{
			name: "goexit", protects: "a function that ends its goroutine fails its task, and its slot is free again",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				wantEnd(t, failed(ctx, t, run(ctx, t, tasks.Exit, struct{}{})), fray.ReasonApplication, 1, 1)
			},
		},
		{
			// The error escaped the reporting, and its task ran for ever.
			name: "error without text", protects: "an error that cannot be encoded is reported all the same",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				e := failed(ctx, t, run(ctx, t, tasks.Fail, tasks.Failure{Mute: true}))
				wantEnd(t, e, fray.ReasonApplication, 1, 1)
				if !strings.Contains(e.Message, "no text") {
					t.Errorf("message %q", e.Message)
				}
			},
		},
		{
			name: "result without encoding", protects: "a result that cannot be encoded fails its task for good",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				e := failed(ctx, t, run(ctx, t, tasks.NotANumber, struct{}{}, fray.WithRetries(9), quick))
				wantEnd(t, e, fray.ReasonUndecodable, 1, 10)
				if !errors.Is(e, fray.ErrUndecodable) || !strings.Contains(e.Message, "NaN") {
					t.Errorf("got %v", e)
				}
			},
		},
		{
			name: "execution timeout", protects: "an attempt that runs too long is stopped, and charged to the retries",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				f := run(ctx, t, tasks.Sleep, time.Hour, fray.WithExecutionTimeout(30*time.Millisecond), fray.WithRetries(1), quick)
				e := failed(ctx, t, f)
				wantEnd(t, e, fray.ReasonTimeout, 2, 2)
				if !errors.Is(e, context.DeadlineExceeded) || errors.Is(e, context.Canceled) {
					t.Errorf("got %v", e)
				}
			},
		},
	})
}

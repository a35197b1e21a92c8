package integration_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/integration/tasks"
)

func TestStopping(t *testing.T) {
	t.Parallel()
	play(t, []scenario{
		{
			name: "timeout ignored", protects: "a function that ignores its context loses its task in time, keeps its slot, and gives it back when it returns",
			run: func(t *testing.T, c *cluster) {
				w := c.worker("w", "--slots", "1")
				ctx := c.client()
				h := c.hold()
				h.Stubborn = true
				e := failed(ctx, t, run(ctx, t, tasks.Held, h, fray.WithExecutionTimeout(50*time.Millisecond)))
				wantEnd(t, e, fray.ReasonTimeout, 1, 1)
				c.wantAbandonedSlot(ctx, w, h)
			},
		},
		{
			name: "cancel pending", protects: "what has not started is cancelled at once, and never starts",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				ledger := c.path("ledger")
				f := run(ctx, t, tasks.Touch, ledger)
				if err := f.Cancel(ctx); err != nil {
					t.Fatal(err)
				}
				e := failed(ctx, t, f)
				if e.Reason != fray.ReasonCancelled || !errors.Is(e, fray.ErrCancelled) || !errors.Is(e, context.Canceled) || e.Attempt != 0 {
					t.Errorf("got %+v", e)
				}
				c.worker("w")
				get(ctx, t, run(ctx, t, tasks.Square, 2))
				if n := len(c.ledger(ledger)); n != 0 {
					t.Errorf("ran %d times", n)
				}
			},
		},
		{
			name: "cancel running", protects: "a function that runs is told at once, and its task is cancelled when it returns",
			run: func(t *testing.T, c *cluster) {
				c.worker("w")
				ctx := c.client()
				h := c.hold()
				f := run(ctx, t, tasks.Held, h)
				c.awaitHeld(f.ID(), h)
				if err := f.Cancel(ctx); err != nil {
					t.Fatal(err)
				}
				wantEnd(t, failed(ctx, t, f), fray.ReasonCancelled, 1, 1)
				c.awaitEvents(h.Ledger, "stop", 1)
				get(ctx, t, run(ctx, t, tasks.Square, 2)) // the slot is free
				if err := f.Cancel(ctx); err != nil {
					t.Errorf("cancel again: %v", err)
				}
			},
		},
		{
			name: "cancel ignored", protects: "a task is cancelled also when its function does not listen; only the slot waits for that",
			run: func(t *testing.T, c *cluster) {
				w := c.worker("w", "--slots", "1")
				ctx := c.client()
				h := c.hold()
				h.Stubborn = true
				f := run(ctx, t, tasks.Held, h)
				c.awaitHeld(f.ID(), h)
				if err := f.Cancel(ctx); err != nil {
					t.Fatal(err)
				}
				wantEnd(t, failed(ctx, t, f), fray.ReasonCancelled, 1, 1)
				c.wantAbandonedSlot(ctx, w, h)
			},
		},
		{
			name: "cancel job", protects: "one call ends all that is open of a job, and nothing of another",
			run: func(t *testing.T, c *cluster) {
				c.worker("w", "--slots", "2")
				ctx, other := c.client(), c.client()
				h, mine := c.hold(), c.hold()
				bystander := run(other, t, tasks.Held, h)
				c.awaitHeld(bystander.ID(), h)
				var futures []*fray.Future[string]
				for range 5 { // one of them runs
					futures = append(futures, run(ctx, t, tasks.Held, mine))
				}
				c.awaitEvents(mine.Ledger, "start", 1)
				jc, err := fray.FromContext(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if err := jc.Cancel(ctx); err != nil {
					t.Fatal(err)
				}
				for _, f := range futures {
					if e := failed(ctx, t, f); e.Reason != fray.ReasonCancelled {
						t.Errorf("got %v", e)
					}
				}
				c.open(h)
				get(other, t, bystander)
			},
		},
		{
			name: "close", protects: "a client that leaves takes no task with it",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				f := run(ctx, t, tasks.Square, 3)
				jc, err := fray.FromContext(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if err := jc.Close(); err != nil {
					t.Fatal(err)
				}
				if _, err := f.Get(ctx); !errors.Is(err, fray.ErrClosed) {
					t.Errorf("got %v", err)
				}
				c.worker("w")
				c.awaitStatus(f.ID(), frayv1.TaskStatus_TASK_STATUS_COMPLETED)
			},
		},
	})
}

// wantAbandonedSlot checks that the only slot of w is taken by the function that h holds, which
// nobody waits for any more, and that it is free once that returns.
func (c *cluster) wantAbandonedSlot(ctx context.Context, w *process, h tasks.Hold) {
	c.t.Helper()
	client := frayv1connect.NewWorkerServiceClient(c.http, w.url)
	health := func() *frayv1.HealthCheckResponse {
		res, err := client.HealthCheck(ctx, &frayv1.HealthCheckRequest{})
		if err != nil {
			c.t.Fatal(err)
		}
		return res
	}
	if got := health(); got.GetAbandonedCount() != 1 || got.GetHealth() != frayv1.WorkerHealth_WORKER_HEALTH_STUCK {
		c.t.Errorf("health %v", got)
	}
	next := run(ctx, c.t, tasks.Square, 2)
	c.awaitStatus(next.ID(), frayv1.TaskStatus_TASK_STATUS_PENDING)
	c.open(h)
	get(ctx, c.t, next)
	eventually(c.t, "no slot is abandoned", func() bool { return health().GetAbandonedCount() == 0 })
}

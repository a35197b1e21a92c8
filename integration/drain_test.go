package integration_test

import (
	"context"
	"slices"
	"syscall"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/integration/tasks"
)

func TestDrain(t *testing.T) {
	t.Parallel()
	byOrder := func(c *cluster, w *process) {
		c.t.Helper()
		if _, err := c.DrainWorker(c.context(), &frayv1.DrainWorkerRequest{WorkerId: w.name, GraceMs: proto.Int64(60_000)}); err != nil {
			c.t.Fatal(err)
		}
	}
	bySignal := func(c *cluster, w *process) {
		c.t.Helper()
		w.signal(syscall.SIGTERM)
	}
	play(t, []scenario{
		{
			name: "by order", protects: "an operator takes a worker away and nothing is lost or charged",
			run: func(t *testing.T, c *cluster) { testDrain(t, c, byOrder) },
		},
		{
			name: "by SIGTERM", protects: "stopping a worker's process takes nothing away but its capacity",
			run: func(t *testing.T, c *cluster) { testDrain(t, c, bySignal) },
		},
		{
			name: "grace is over", protects: "a worker that must leave gives back what does not end in time, at no charge",
			run: func(t *testing.T, c *cluster) {
				a := c.worker("a", "--drain-grace", "100ms")
				ctx := c.client()
				h := c.hold()
				f := run(ctx, t, tasks.Held, h)
				c.awaitHeld(f.ID(), h)
				a.signal(syscall.SIGTERM)
				if code := a.exit(); code != 0 {
					t.Errorf("exit code %d", code)
				}
				c.worker("b")
				c.open(h)
				if v := get(ctx, t, f); v != "b" {
					t.Errorf("result is of worker %q", v)
				}
				if task := c.task(f.ID()); task.GetFailureCount() != 0 || task.GetWorkerLossCount() != 0 {
					t.Errorf("charged %v", task)
				}
			},
		},
		{
			name: "idle", protects: "a worker that has nothing to do leaves at once, and its session with it",
			run: func(t *testing.T, c *cluster) {
				a := c.worker("a")
				byOrder(c, a)
				if code := a.exit(); code != 0 {
					t.Errorf("exit code %d", code)
				}
				if c.findWorker("a") != nil {
					t.Error("its session is open still")
				}
				if n := c.scrape(c.url())["fray_sessions_expired_total"]; n != 0 {
					t.Errorf("%v sessions expired", n)
				}
			},
		},
	})
}

func testDrain(t *testing.T, c *cluster, drain func(*cluster, *process)) {
	a := c.worker("a", "--slots", "1", "--drain-grace", "1m")
	ctx := c.client()
	// Tasks that take no time, so that the worker learns to fetch ahead.
	if _, err := tasks.Square.RunAll(ctx, make([]int, 100)); err != nil {
		t.Fatal(err)
	}
	h := c.hold()
	running := run(ctx, t, tasks.Held, h, fray.WithPriority(-1))
	c.awaitHeld(running.ID(), h)
	ledger := c.path("ledger")
	queued, err := tasks.Touch.RunAll(ctx, slices.Repeat([]string{ledger}, 20))
	if err != nil {
		t.Fatal(err)
	}
	client := frayv1connect.NewWorkerServiceClient(c.http, a.url)
	eventually(t, "tasks wait at the worker for its slot", func() bool {
		return c.workerHealth(ctx, client).GetQueuedCount() > 0
	})

	drain(c, a)
	eventually(t, "the worker drains, and has given back what waited", func() bool {
		res := c.workerHealth(ctx, client)
		return res.GetHealth() == frayv1.WorkerHealth_WORKER_HEALTH_DRAINING && res.GetQueuedCount() == 0 && res.GetRunningCount() == 1
	})
	c.worker("b")
	for _, f := range queued {
		if v := get(ctx, t, f); v != "b" {
			t.Errorf("ran on %q", v)
		}
	}
	if !a.Running() {
		t.Fatal("the worker left before its task")
	}
	c.open(h)
	if v := get(ctx, t, running); v != "a" {
		t.Errorf("what ran was taken away: result is of %q", v)
	}
	if code := a.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := len(c.ledger(ledger)); n != len(queued) {
		t.Errorf("%d tasks ran %d times", len(queued), n)
	}
	for _, f := range queued {
		if task := c.task(f.ID()); task.GetWorkerLossCount() != 0 || task.GetFailureCount() != 0 {
			t.Errorf("charged %v", task)
		}
	}
	if c.findWorker("a") != nil {
		t.Error("its session is open still")
	}
}

func (c *cluster) workerHealth(ctx context.Context, client frayv1connect.WorkerServiceClient) *frayv1.HealthCheckResponse {
	c.t.Helper()
	res, err := client.HealthCheck(ctx, &frayv1.HealthCheckRequest{})
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

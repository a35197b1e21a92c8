package integration_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/integration/tasks"
)

func (c *cluster) awaitPending(id string, reason frayv1.PendingReason) {
	c.t.Helper()
	eventually(c.t, "task "+id+" is pending for "+reason.String(), func() bool {
		task := c.task(id)
		return task.GetStatus() == frayv1.TaskStatus_TASK_STATUS_PENDING && task.GetPendingReason() == reason
	})
}

// occupy holds a slot, and returns what frees it. With a client of its own, so that it counts for
// no job under test.
func (c *cluster) occupy(opts ...fray.CallOption) (free func()) {
	c.t.Helper()
	ctx := c.client()
	h := c.hold()
	f := run(ctx, c.t, tasks.Held, h, opts...)
	c.awaitHeld(f.ID(), h)
	return func() {
		c.t.Helper()
		c.open(h)
		get(ctx, c.t, f)
	}
}

func TestScheduling(t *testing.T) {
	t.Parallel()
	play(t, []scenario{
		{
			name: "no worker yet", protects: "tasks wait for workers, and say so",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				f := run(ctx, t, tasks.Square, 5)
				c.awaitPending(f.ID(), frayv1.PendingReason_PENDING_REASON_NO_ELIGIBLE_WORKER)
				c.worker("other", "--functions", "sleep")
				c.awaitPending(f.ID(), frayv1.PendingReason_PENDING_REASON_NO_ELIGIBLE_WORKER)
				c.worker("w")
				if v := get(ctx, t, f); v != 25 {
					t.Errorf("got %d", v)
				}
			},
		},
		{
			name: "impossible resources", protects: "a task that fits no worker waits visibly, and holds up nothing else",
			run: func(t *testing.T, c *cluster) {
				c.worker("small", "--resource", "cpu=1000")
				ctx := c.client()
				f := run(ctx, t, tasks.Square, 5, fray.WithResources(map[string]int64{"cpu": 2000}))
				gpu := run(ctx, t, tasks.Square, 6, fray.WithResources(map[string]int64{"gpu": 1}))
				c.awaitPending(f.ID(), frayv1.PendingReason_PENDING_REASON_NO_ELIGIBLE_WORKER)
				c.awaitPending(gpu.ID(), frayv1.PendingReason_PENDING_REASON_NO_ELIGIBLE_WORKER)
				get(ctx, t, run(ctx, t, tasks.Square, 5, fray.WithResources(map[string]int64{"cpu": 1000})))
				c.worker("large", "--resource", "cpu=2000", "--resource", "gpu=1")
				get(ctx, t, f)
				get(ctx, t, gpu)
			},
		},
		{
			name: "resources", protects: "what a worker has is never given out twice",
			run: testResources,
		},
		{
			name: "labels", protects: "a task runs only where its labels are",
			run: func(t *testing.T, c *cluster) {
				c.worker("a", "--slots", "4", "--label", "zone=a")
				c.worker("b", "--slots", "4", "--label", "zone=b", "--label", "disk=ssd")
				ctx := c.client()
				for worker, labels := range map[string]map[string]string{
					"a": {"zone": "a"}, "b": {"zone": "b", "disk": "ssd"},
				} {
					futures, err := tasks.Touch.RunAll(ctx, slices.Repeat([]string{""}, 20), fray.WithLabels(labels))
					if err != nil {
						t.Fatal(err)
					}
					for _, f := range futures {
						if v := get(ctx, t, f); v != worker {
							t.Errorf("task for %v ran on %q", labels, v)
						}
					}
				}
				lost := run(ctx, t, tasks.Square, 1, fray.WithLabels(map[string]string{"zone": "a", "disk": "ssd"}))
				c.awaitPending(lost.ID(), frayv1.PendingReason_PENDING_REASON_NO_ELIGIBLE_WORKER)
			},
		},
		{
			name: "priorities", protects: "what is urgent runs first, and what is equally urgent in the order in which it came",
			run: func(t *testing.T, c *cluster) {
				c.worker("w", "--slots", "1", "--max-prefetch", "-1")
				free := c.occupy()
				ctx := c.client()
				ledger := c.path("ledger")
				var want []string
				var futures []*fray.Future[string]
				for _, p := range []int{-5, 0, 5} {
					var ids []string
					for range 3 {
						f := run(ctx, t, tasks.Touch, ledger, fray.WithPriority(p))
						futures, ids = append(futures, f), append(ids, f.ID())
					}
					want = append(ids, want...)
				}
				free()
				for _, f := range futures {
					get(ctx, t, f)
				}
				var got []string
				for _, e := range c.ledger(ledger) {
					got = append(got, e.Task)
				}
				if !slices.Equal(got, want) {
					t.Errorf("ran in order %v, want %v", got, want)
				}
			},
		},
		{
			name: "scheduling timeout", protects: "a task that does not start in time fails, and never starts later",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				ledger := c.path("ledger")
				f := run(ctx, t, tasks.Touch, ledger, fray.WithSchedulingTimeout(50*time.Millisecond), fray.WithRetries(3))
				e := failed(ctx, t, f)
				wantEnd(t, e, fray.ReasonSchedulingTimeout, 0, 4)
				if !errors.Is(e, fray.ErrSchedulingTimeout) {
					t.Errorf("got %v", e)
				}
				c.worker("w")
				get(ctx, t, run(ctx, t, tasks.Touch, ledger, fray.WithSchedulingTimeout(time.Minute)))
				if n := len(c.ledger(ledger)); n != 1 {
					t.Errorf("%d tasks ran", n)
				}
			},
		},
		{
			name: "fairness", protects: "a small job does not wait for a large one that came first",
			run: testFairness,
		},
		{
			name: "admission", protects: "a full queue slows clients down, and costs them nothing else",
			controller: []string{"--max-queued-tasks", "50"},
			run:        testAdmission,
		},
		{
			name: "admission gives up", protects: "a caller with a deadline does not wait for a full queue for longer",
			controller: []string{"--max-queued-tasks", "2"},
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				first, err := tasks.Square.RunAll(ctx, []int{1, 2})
				if err != nil {
					t.Fatal(err)
				}
				impatient, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
				if _, err := tasks.Square.Run(impatient, 3); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				c.worker("w")
				for i, f := range first {
					if v := get(ctx, t, f); v != (i+1)*(i+1) {
						t.Errorf("got %d", v)
					}
				}
				get(ctx, t, run(ctx, t, tasks.Square, 4))
			},
		},
	})
}

func testResources(t *testing.T, c *cluster) {
	const most = 2
	c.worker("w", "--slots", "8", "--resource", "cpu=2000")
	ctx := c.client()
	h := c.hold()
	futures, err := tasks.Held.RunAll(ctx, slices.Repeat([]tasks.Hold{h}, 6), fray.WithResources(map[string]int64{"cpu": 1000}))
	if err != nil {
		t.Fatal(err)
	}
	c.awaitEvents(h.Ledger, "start", most)
	get(ctx, t, run(ctx, t, tasks.Square, 1)) // needs none, and there are slots
	if w := c.findWorker("w"); w.GetResourcesInUse()["cpu"] != 2000 {
		t.Errorf("in use: %v", w.GetResourcesInUse())
	}
	c.open(h)
	for _, f := range futures {
		get(ctx, t, f)
	}
	running := 0
	for _, e := range c.ledger(h.Ledger) {
		running++
		if e.Event == "end" {
			running -= 2
		}
		if running > most {
			t.Fatalf("%d ran at once, there is room for %d", running, most)
		}
	}
}

func testFairness(t *testing.T, c *cluster) {
	// What the large job may have done before the small one is through: its share of the turns, and
	// what the worker had fetched ahead.
	const large, small, most = 2000, 5, 500
	c.worker("w", "--slots", "1", "--max-prefetch", "64")
	free := c.occupy()
	ledger := c.path("ledger")
	first, second := c.client(fray.WithJobID("large")), c.client(fray.WithJobID("small"))
	much, err := tasks.Touch.RunAll(first, slices.Repeat([]string{ledger}, large))
	if err != nil {
		t.Fatal(err)
	}
	little, err := tasks.Touch.RunAll(second, slices.Repeat([]string{ledger}, small), fray.WithTaskID("small"))
	if err != nil {
		t.Fatal(err)
	}
	free()
	for _, f := range little {
		get(second, t, f)
	}
	for _, f := range much {
		get(first, t, f)
	}
	entries := c.ledger(ledger)
	last := slices.IndexFunc(entries, func(e tasks.Entry) bool { return e.Task == "small/"+strconv.Itoa(small-1) })
	if len(entries) != large+small || last > most {
		t.Errorf("of %d tasks, the small job's last was the %dth", len(entries), last+1)
	}
}

func testAdmission(t *testing.T, c *cluster) {
	const n = 300
	c.worker("w", "--slots", "4")
	ctx := c.client()
	ins := make([]int, n)
	for i := range ins {
		ins[i] = i
	}
	futures, err := tasks.Square.RunAll(ctx, ins)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range futures {
		if v := get(ctx, t, f); v != i*i {
			t.Errorf("task %d has value %d", i, v)
		}
	}
	if refused := c.scrape(c.url())["fray_tasks_refused_total"]; refused == 0 {
		t.Error("the queue was never full")
	}
}

package integration_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/integration/tasks"
)

func TestWorkerLoss(t *testing.T) {
	t.Parallel()
	short := []string{"--session-ttl", shortTTL}
	play(t, []scenario{
		{
			name: "killed", protects: "the task of a worker that dies runs elsewhere, without a charge to its retries",
			controller: short,
			run: func(t *testing.T, c *cluster) {
				a := c.worker("a")
				ctx := c.client()
				h := c.hold()
				f := run(ctx, t, tasks.Held, h)
				c.awaitHeld(f.ID(), h)
				c.worker("b")
				a.kill()
				c.awaitEvents(h.Ledger, "start", 2)
				c.open(h)
				if v := get(ctx, t, f); v != "b" {
					t.Errorf("result is of worker %q", v)
				}
				task := c.task(f.ID())
				if task.GetWorkerLossCount() != 1 || task.GetFailureCount() != 0 || task.GetAttemptNumber() != 2 {
					t.Errorf("charged %v", task)
				}
				want := []tasks.Entry{
					{Task: f.ID(), Attempt: 1, Worker: "a", Event: "start"},
					{Task: f.ID(), Attempt: 2, Worker: "b", Event: "start"},
					{Task: f.ID(), Attempt: 2, Worker: "b", Event: "end"},
				}
				if got := c.ledger(h.Ledger); !slices.Equal(got, want) {
					t.Errorf("ledger %v, want %v", got, want)
				}
			},
		},
		{
			name: "many killed", protects: "no task is lost when half of the workers die in the middle of a run",
			controller: short,
			run: func(t *testing.T, c *cluster) {
				const n = 400
				workers := []*process{c.worker("w0", "--slots", "4"), c.worker("w1", "--slots", "4"), c.worker("w2", "--slots", "4"), c.worker("w3", "--slots", "4")}
				ctx := c.client()
				ledger := c.path("ledger")
				futures, err := tasks.Touch.RunAll(ctx, slices.Repeat([]string{ledger}, n), fray.WithTaskID("t"))
				if err != nil {
					t.Fatal(err)
				}
				c.awaitEvents(ledger, "touch", 20)
				workers[0].kill()
				workers[2].kill()
				for _, f := range futures {
					get(ctx, t, f)
				}
				ran := map[string]bool{}
				for _, e := range c.ledger(ledger) {
					ran[e.Task] = true
				}
				if len(ran) != n {
					t.Errorf("%d of %d tasks ran", len(ran), n)
				}
			},
		},
		{
			name: "returns under its name", protects: "a worker that comes back under its id takes the old one's place at once, wherever it is now",
			// A worker was called at the address where it had been before.
			run: func(t *testing.T, c *cluster) {
				a := c.worker("a")
				ctx := c.client()
				h := c.hold()
				f := run(ctx, t, tasks.Held, h)
				c.awaitHeld(f.ID(), h)
				a.kill()
				again := c.workerAt(c.url(), "a")
				// The session's TTL is far longer than this waits.
				c.awaitEvents(h.Ledger, "start", 2)
				c.open(h)
				get(ctx, t, f)
				if w := c.findWorker("a"); w.GetAdvertiseUrl() != again.url || again.url == a.url {
					t.Errorf("controller has it at %q, it is at %q", w.GetAdvertiseUrl(), again.url)
				}
			},
		},
		{
			// Each took the id away from the other at once, a thousand times in a second.
			name: "one id for two", protects: "of two workers that have one id by mistake the first keeps it while it lives, with its tasks",
			run: func(t *testing.T, c *cluster) {
				first := c.worker("twin")
				ctx := c.client()
				h := c.hold()
				held := run(ctx, t, tasks.Held, h)
				c.awaitHeld(held.ID(), h)
				other := c.workerAt(c.url(), "twin")
				refused := func() float64 { return c.scrape(other.url)["fray_worker_register_failures_total"] }
				eventually(t, "the other was refused some times", func() bool { return refused() >= 3 })
				if n := c.scrape(other.url)["fray_worker_sessions_total"]; n != 0 {
					t.Errorf("the other has had %v sessions", n)
				}
				c.open(h)
				if get(ctx, t, held); c.task(held.ID()).GetWorkerLossCount() != 0 {
					t.Errorf("the task was charged with its worker's loss: %v", c.task(held.ID()))
				}
				first.kill()
				eventually(t, "the other has the id once it is free", func() bool { return c.scrape(other.url)["fray_worker_sessions_total"] == 1 })
			},
		},
		{
			name: "poison", protects: "a task that kills its workers fails, before it has walked the whole fleet",
			run: testPoison,
		},
		{
			name: "kills once", protects: "a task survives the worker that it kills, within its budget and apart from its retries",
			run: func(t *testing.T, c *cluster) {
				fleet := newFleet(c, 1)
				ctx := c.client()
				f := run(ctx, t, tasks.Crash, tasks.Death{Attempts: 2, Exit: true}, fray.WithRetries(0))
				fleet.keepAlive(f.Done())
				if v := get(ctx, t, f); v != 3 {
					t.Errorf("attempt %d survived", v)
				}
			},
		},
		{
			name: "paused", protects: "a worker that was away for too long does no harm when it is back, and is of use again",
			controller: short,
			run:        testPaused,
		},
	})
}

// fleet is workers that are started again when they die.
type fleet struct {
	c       *cluster
	workers []*process
}

func newFleet(c *cluster, n int) *fleet {
	c.t.Helper()
	f := &fleet{c: c}
	for i := range n {
		f.workers = append(f.workers, c.worker("w"+strconv.Itoa(i)))
	}
	return f
}

// keepAlive starts dead workers again until done is closed, and has all of them alive then.
func (f *fleet) keepAlive(done <-chan struct{}) {
	f.c.t.Helper()
	eventually(f.c.t, "the task has ended", func() bool {
		over := false
		select {
		case <-done:
			over = true
		default:
		}
		for i, w := range f.workers {
			if !w.Running() {
				w.exit()
				f.workers[i] = f.c.workerAt(f.c.url(), w.name)
			}
		}
		return over
	})
}

func testPoison(t *testing.T, c *cluster) {
	const losses = 2
	fleet := newFleet(c, 3)
	ctx := c.client()
	ledger := c.path("ledger")
	f := run(ctx, t, tasks.Crash, tasks.Death{Ledger: ledger}, fray.WithMaxWorkerLosses(losses), fray.WithRetries(5))
	fleet.keepAlive(f.Done())
	e := failed(ctx, t, f)
	wantEnd(t, e, fray.ReasonWorkerLost, losses+1, 6)
	if !errors.Is(e, fray.ErrWorkerLost) {
		t.Errorf("got %v", e)
	}
	if n := len(c.ledger(ledger)); n != losses+1 {
		t.Errorf("killed %d workers, may kill %d", n, losses+1)
	}
	for i := range fleet.workers {
		c.awaitWorker("w" + strconv.Itoa(i))
	}
	futures, err := tasks.Square.RunAll(ctx, []int{1, 2, 3, 4, 5, 6})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range futures {
		get(ctx, t, f)
	}
}

func testPaused(t *testing.T, c *cluster) {
	a := c.worker("a", "--label", "name=a")
	ctx := c.client()
	h := c.hold()
	f := run(ctx, t, tasks.Held, h)
	c.awaitHeld(f.ID(), h)
	a.pause()
	c.awaitNoWorker("a")
	c.worker("b")
	c.awaitEvents(h.Ledger, "start", 2)
	c.open(h)
	if v := get(ctx, t, f); v != "b" {
		t.Errorf("result is of worker %q", v)
	}

	a.resume() // and ends its attempt, whose report is late
	eventually(t, "the late report is judged stale", func() bool {
		return c.scrape(a.url)[`fray_worker_reports_total{verdict="stale"}`] >= 1
	})
	if n := c.scrape(c.url())["fray_stale_reports_total"]; n < 1 {
		t.Errorf("controller counts %v stale reports", n)
	}
	c.awaitWorker("a")
	if v := get(ctx, t, run(ctx, t, tasks.Touch, "", fray.WithLabels(map[string]string{"name": "a"}))); v != "a" {
		t.Errorf("ran on %q", v)
	}
	if task := c.task(f.ID()); task.GetWorkerId() != "b" || task.GetAttemptNumber() != 2 || get(ctx, t, f) != "b" {
		t.Errorf("the end has changed: %v", task)
	}
	if n := c.scrape(a.url)["fray_worker_sessions_total"]; n < 2 {
		t.Errorf("worker has had %v sessions", n)
	}
}

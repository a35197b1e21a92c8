package integration_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/integration/tasks"
)

// TestPitfalls are ways in which systems of this kind are known to have failed. Each is named after
// what must hold, and begins with what went wrong. Others stand with their subject: a failing
// report that was taken for a failure of its task in TestOutages, an error that cannot be encoded
// in TestErrors, a worker that was called where it no longer was in TestWorkerLoss, a restart that
// lost everything without a word in TestControllerRestartsEmpty.
func TestPitfalls(t *testing.T) {
	t.Parallel()
	short := []string{"--session-ttl", shortTTL}
	play(t, []scenario{
		{
			// The server waited just as long as its caller: a task was taken off the queue for an
			// answer that nobody was there to get, and was running for ever.
			name: "a grant for nobody is granted again", protects: "a task survives the loss of the answer that leases it",
			controller: short,
			run: func(t *testing.T, c *cluster) {
				w := c.rawWorker("gone", 1, nil)
				ctx := c.client()
				const wait = 100 * time.Millisecond
				impatient, cancel := context.WithTimeout(ctx, wait)
				defer cancel()
				left := make(chan struct{})
				go func() {
					defer close(left)
					w.peek(impatient, 1, wait.Milliseconds())
				}()
				f := run(ctx, t, tasks.Square, 7)
				<-left
				c.worker("w")
				if v := get(ctx, t, f); v != 49 {
					t.Errorf("got %d", v)
				}
				if task := c.task(f.ID()); task.GetFailureCount() != 0 {
					t.Errorf("charged %v", task)
				}
			},
		},
		{
			// Only a poll renewed the session, and a worker that had all its slots taken did not
			// poll.
			name: "a busy worker is not taken for dead", protects: "tasks may run for longer than a session lasts without a sign of life",
			controller: short,
			run: func(t *testing.T, c *cluster) {
				c.worker("w", "--slots", "1")
				ctx := c.client()
				f := run(ctx, t, tasks.Sleep, 5*time.Second)
				get(ctx, t, f)
				if task := c.task(f.ID()); task.GetAttemptNumber() != 1 || task.GetWorkerLossCount() != 0 {
					t.Errorf("charged %v", task)
				}
				if n := c.scrape(c.url())["fray_sessions_expired_total"]; n != 0 {
					t.Errorf("%v sessions expired", n)
				}
			},
		},
		{
			// A worker that was registered and could not be reached had no load, and so was given
			// every task.
			name: "a worker that does not ask gets nothing", protects: "work goes to a worker that has room for it",
			run: func(t *testing.T, c *cluster) {
				c.rawWorker("mute", 1000, nil)
				c.worker("w")
				ctx := c.client()
				futures, err := tasks.Touch.RunAll(ctx, slices.Repeat([]string{""}, 50))
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range futures {
					if v := get(ctx, t, f); v != "w" {
						t.Errorf("ran on %q", v)
					}
				}
				if n := c.findWorker("mute").GetHeldCount(); n != 0 {
					t.Errorf("%d tasks are at a worker that never asked", n)
				}
			},
		},
		{
			// It was not known whether an assignment had arrived, so it was made again, and two
			// results were committed.
			name: "one result is committed", protects: "a task has one end, however many attempts of it are under way",
			controller: short,
			run: func(t *testing.T, c *cluster) {
				w := c.rawWorker("late", 1, nil)
				ctx := c.client()
				f := run(ctx, t, tasks.Square, 7)
				first := w.lease(1)
				if len(first) != 1 {
					t.Fatalf("leased %d", len(first))
				}
				c.awaitNoWorker("late") // its session ends: it sends no heartbeat
				w.registers(1, nil)
				second := w.lease(1)
				if len(second) != 1 || second[0].GetAttempt().GetNumber() != 2 {
					t.Fatalf("leased %v", second)
				}
				wantVerdict(t, "the report of the first attempt", w.report(first[0], succeeded, "1"), stale)
				wantVerdict(t, "the report of the second attempt", w.report(second[0], succeeded, "2"), accepted)
				wantVerdict(t, "the report of the first attempt, again", w.report(first[0], succeeded, "1"), stale)
				if v := get(ctx, t, f); v != 2 {
					t.Errorf("got %d", v)
				}
			},
		},
		{
			// A late report or a copy of one overwrote what had been told already.
			name: "an end is an end", protects: "what a client was told stays true",
			run: func(t *testing.T, c *cluster) {
				w := c.rawWorker("w", 2, nil)
				ctx := c.client()
				f, g := run(ctx, t, tasks.Square, 1), run(ctx, t, tasks.Square, 2)
				leased := w.lease(2)
				if len(leased) != 2 {
					t.Fatalf("leased %d", len(leased))
				}
				wantVerdict(t, "a success", w.report(leased[0], succeeded, "10"), accepted)
				wantVerdict(t, "its copy", w.report(leased[0], succeeded, "10"), duplicate)
				wantVerdict(t, "a failure after it", w.report(leased[0], failing, "no"), duplicate)
				if err := g.Cancel(ctx); err != nil {
					t.Fatal(err)
				}
				wantVerdict(t, "a failure", w.report(leased[1], failing, "no"), accepted)
				wantVerdict(t, "a success after it", w.report(leased[1], succeeded, "20"), duplicate)
				if v := get(ctx, t, f); v != 10 {
					t.Errorf("got %d", v)
				}
				if e := failed(ctx, t, g); e.Reason != fray.ReasonCancelled {
					t.Errorf("got %v", e)
				}
				for _, l := range leased {
					w.report(l, succeeded, "30")
				}
				if v := get(ctx, t, f); v != 10 || c.task(g.ID()).GetStatus() != frayv1.TaskStatus_TASK_STATUS_CANCELLED {
					t.Error("an end has changed")
				}
			},
		},
		{
			// What could not be decoded was put back into the queue, and could not be decoded
			// again, for ever.
			name: "an undecodable input fails at once", protects: "a bad payload costs one attempt, and names what is wrong",
			run: func(t *testing.T, c *cluster) {
				c.worker("w")
				for id, payload := range map[string]*frayv1.Payload{
					"not-json":  {Encoding: "json", Data: []byte("{")},
					"wrong":     {Encoding: "json", Data: []byte(`"seven"`)},
					"other":     {Encoding: "proto", Data: []byte{8, 1}},
					"nonsense":  {Encoding: "x-unknown", Data: []byte{0}},
					"overflows": {Encoding: "json", Data: bytes.Repeat([]byte("9"), 400)},
				} {
					spec := &frayv1.TaskSpec{TaskId: id, Function: "square", Payload: payload, RetryPolicy: &frayv1.RetryPolicy{MaxRetries: 100}}
					if _, err := c.SubmitTask(c.context(), &frayv1.SubmitTaskRequest{JobId: "bad", Task: spec}); err != nil {
						t.Fatal(err)
					}
					res, err := c.GetTaskResult(c.context(), &frayv1.GetTaskResultRequest{TaskId: id, MaxWaitMs: 20_000})
					if err != nil {
						t.Fatal(err)
					}
					task := res.GetResult().GetTask()
					if task.GetFailureReason() != frayv1.FailureReason_FAILURE_REASON_UNDECODABLE || task.GetAttemptNumber() != 1 || res.GetResult().GetError().GetMessage() == "" {
						t.Errorf("%s ended as %v", id, res)
					}
				}
			},
		},
		{
			// A reconciliation stopped a task that had just been leased, because the heartbeat had
			// been written before.
			name: "a task that was just leased is left alone", protects: "a heartbeat that crosses a lease does no harm",
			run: func(t *testing.T, c *cluster) {
				w := c.rawWorker("w", 1, nil)
				ctx := c.client()
				f := run(ctx, t, tasks.Square, 7)
				leased := w.lease(1)
				if len(leased) != 1 {
					t.Fatalf("leased %d", len(leased))
				}
				// Written before the answer to the poll came.
				if res := w.beat(0, nil, nil); len(res.GetStopLeaseTokens()) != 0 {
					t.Errorf("told to stop %v", res)
				}
				if task := c.task(f.ID()); task.GetStatus() != frayv1.TaskStatus_TASK_STATUS_LEASED || task.GetAttemptNumber() != 1 {
					t.Errorf("is %v", task)
				}
				if res := w.beat(1, nil, leased); len(res.GetStopLeaseTokens()) != 0 {
					t.Errorf("told to stop %v", res)
				}
				c.awaitStatus(f.ID(), frayv1.TaskStatus_TASK_STATUS_RUNNING)
				wantVerdict(t, "its report", w.report(leased[0], succeeded, "49"), accepted)
			},
		},
		{
			// An attempt that was lost between its lease and its start kept what it would have
			// occupied.
			name: "capacity is not leaked", protects: "what an attempt occupies is free again, wherever it got lost",
			run: func(t *testing.T, c *cluster) {
				cpu := map[string]int64{"cpu": 1000}
				w := c.rawWorker("w", 1, cpu)
				ctx := c.client()
				f := run(ctx, t, tasks.Square, 7, fray.WithResources(cpu), fray.WithMaxWorkerLosses(100))
				for round := range 10 {
					leased := w.lease(1)
					if len(leased) != 1 {
						t.Fatalf("round %d: leased %d", round, len(leased))
					}
					switch round % 3 {
					case 0: // it says that it does not have it
						w.beat(w.polls, nil, nil)
					case 1:
						wantVerdict(t, "the return", w.report(leased[0], frayv1.AttemptOutcome_ATTEMPT_OUTCOME_RETURNED, ""), accepted)
					case 2:
						w.registers(1, cpu)
					}
					if n := c.findWorker("w").GetResourcesInUse()["cpu"]; n != 0 {
						t.Fatalf("round %d: %d in use by nobody", round, n)
					}
				}
				leased := w.lease(1)
				wantVerdict(t, "its report", w.report(leased[0], succeeded, "49"), accepted)
				if v := get(ctx, t, f); v != 49 {
					t.Errorf("got %d", v)
				}
			},
		},
		{
			// Tasks that waited at a worker and had not begun were charged a retry when it died.
			name: "what was only fetched ahead is not charged", protects: "tasks pay for no worker that did not run them",
			run: testFetchedAheadIsFree,
		},
		{
			// A worker whose lease calls got nowhere was alive by its heartbeats, and attracted
			// work for ever.
			name: "a dead lease path attracts no work", protects: "a worker that takes leases and never gets them is left out",
			controller: short,
			run: func(t *testing.T, c *cluster) {
				w := c.rawWorker("deaf", 4, nil)
				w.keepBeating()
				ctx := c.client()
				futures, err := tasks.Touch.RunAll(ctx, slices.Repeat([]string{""}, 8))
				if err != nil {
					t.Fatal(err)
				}
				if n := len(w.peek(c.context(), 4, 20_000)); n != 4 {
					t.Fatalf("leased %d", n)
				}
				c.worker("w")
				for _, f := range futures {
					if v := get(ctx, t, f); v != "w" {
						t.Errorf("ran on %q", v)
					}
					if task := c.task(f.ID()); task.GetWorkerLossCount() != 0 || task.GetFailureCount() != 0 {
						t.Errorf("charged %v", task)
					}
				}
				if c.findWorker("deaf") == nil {
					t.Error("its heartbeats do not count")
				}
			},
		},
		{
			// A task was over, its report got lost, and it was judged lost with it and run again,
			// for ever.
			name: "a lost report is sent again", protects: "a task that has ended is not run again because its report was lost",
			run: func(t *testing.T, c *cluster) {
				p := newProxy(t, c.url())
				w := c.workerAt(p.url, "w")
				c.awaitWorker("w")
				ctx := c.client()
				h := c.hold()
				f := run(ctx, t, tasks.Held, h)
				c.awaitHeld(f.ID(), h)
				p.cut()
				c.open(h)
				c.awaitEvents(h.Ledger, "end", 1)
				eventually(t, "the report fails", func() bool { return c.scrape(w.url)["fray_worker_report_failures_total"] > 0 })
				p.mend()
				get(ctx, t, f)
				if n := c.events(h.Ledger)["start"]; n != 1 {
					t.Errorf("ran %d times", n)
				}
			},
		},
		{
			// The loss of a worker was charged to the retries of the application, or a failure to
			// the workers.
			name: "budgets are apart", protects: "each kind of trouble has a budget of its own",
			run: func(t *testing.T, c *cluster) {
				w := c.worker("w")
				ctx := c.client()
				h := c.hold()
				f := run(ctx, t, tasks.Held, h, fray.WithRetries(0), fray.WithMaxWorkerLosses(1))
				c.awaitHeld(f.ID(), h)
				w.kill()
				w = c.workerAt(c.url(), "w")
				c.awaitEvents(h.Ledger, "start", 2)
				c.open(h)
				get(ctx, t, f)
				e := failed(ctx, t, run(ctx, t, tasks.Fail, tasks.Failure{Message: "no"}, fray.WithRetries(2), fray.WithMaxWorkerLosses(0), quick))
				wantEnd(t, e, fray.ReasonApplication, 3, 3)
				// And a budget of no losses is one.
				h = c.hold()
				f = run(ctx, t, tasks.Held, h, fray.WithRetries(9), fray.WithMaxWorkerLosses(0))
				c.awaitHeld(f.ID(), h)
				w.kill()
				c.workerAt(c.url(), "w")
				if e := failed(ctx, t, f); e.Reason != fray.ReasonWorkerLost || !errors.Is(e, fray.ErrWorkerLost) {
					t.Errorf("got %v", e)
				}
			},
		},
		{
			// Results were kept for ever.
			name: "what is over is collected", protects: "a controller does not grow with what it has done",
			controller: []string{"--retention", "300ms"},
			run: func(t *testing.T, c *cluster) {
				c.worker("w")
				ctx := c.client()
				futures, err := tasks.Square.RunAll(ctx, []int{1, 2, 3})
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range futures {
					_, _ = f.Get(ctx) // lost, if the machine was too busy to ask in time
				}
				eventually(t, "nothing is left of the tasks", func() bool {
					_, err := c.GetTask(c.context(), &frayv1.GetTaskRequest{TaskId: futures[0].ID()})
					return connect.CodeOf(err) == connect.CodeNotFound && c.scrape(c.url())["fray_tasks_forgotten_total"] == 3
				})
				list, err := c.ListTasks(c.context(), &frayv1.ListTasksRequest{})
				if err != nil || len(list.GetTasks()) != 0 {
					t.Errorf("lists %v, %v", list, err)
				}
			},
		},
	})
}

func testFetchedAheadIsFree(t *testing.T, c *cluster) {
	w := c.rawWorker("w", 1, nil)
	ctx := c.client()
	futures, err := tasks.Touch.RunAll(ctx, slices.Repeat([]string{""}, 5), fray.WithMaxWorkerLosses(0))
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.LeaseTasks(c.context(), &frayv1.LeaseTasksRequest{
		SessionToken: w.session, PollSeq: 1, FreeSlots: 1, MaxTasks: 5, MaxWaitMs: 20_000,
	})
	if err != nil || len(res.GetTasks()) != 5 {
		t.Fatalf("leased %v, %v", res, err)
	}
	w.beat(1, res.GetTasks()[1:], res.GetTasks()[:1])
	w.registers(1, nil) // as after its death
	c.worker("other")
	e := failed(ctx, t, futures[0])
	wantEnd(t, e, fray.ReasonWorkerLost, 1, 1)
	for _, f := range futures[1:] {
		get(ctx, t, f)
		if task := c.task(f.ID()); task.GetWorkerLossCount() != 0 || task.GetFailureCount() != 0 || task.GetDeliveryFailureCount() != 1 {
			t.Errorf("charged %v", task)
		}
	}
}

package integration_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/integration/tasks"
)

// outageLength is long beside every retry's first delays, and short beside a session's TTL.
const outageLength = 2 * time.Second

func TestOutages(t *testing.T) {
	t.Parallel()
	play(t, []scenario{
		{
			name: "controller stands still", protects: "a controller that does not answer for a while costs nobody anything but time",
			run: func(_ *testing.T, c *cluster) {
				c.worker("w0", "--slots", "2")
				c.worker("w1", "--slots", "2")
				c.testOutage(c.url(), c.controller.pause, c.controller.resume)
			},
		},
		{
			name: "network is away", protects: "lost connections, with the calls and answers in them, cost nobody anything but time",
			run: func(t *testing.T, c *cluster) {
				p := newProxy(t, c.url())
				c.workerAt(p.url, "w0", "--slots", "2")
				c.workerAt(p.url, "w1", "--slots", "2")
				c.awaitWorker("w0")
				c.awaitWorker("w1")
				c.testOutage(p.url, p.cut, p.mend)
			},
		},
		{
			name: "network is away for longer than a session", protects: "workers whose sessions ended meanwhile register anew, and no task is lost",
			controller: []string{"--session-ttl", "1s"},
			run: func(t *testing.T, c *cluster) {
				p := newProxy(t, c.url())
				c.workerAt(p.url, "w0", "--slots", "2")
				c.awaitWorker("w0")
				ctx := newClient(t, p.url)
				h := c.hold()
				f := run(ctx, t, tasks.Held, h)
				c.awaitHeld(f.ID(), h)
				p.cut()
				c.awaitNoWorker("w0")
				p.mend()
				c.awaitEvents(h.Ledger, "start", 2)
				c.awaitEvents(h.Ledger, "stop", 1) // the attempt of the session that was lost
				c.open(h)
				get(ctx, t, f)
			},
		},
		{
			name: "client starts first", protects: "clients and workers may come before their controller",
			run: func(t *testing.T, c *cluster) {
				p := newProxy(t, c.url())
				p.cut()
				c.workerAt(p.url, "w")
				ctx := newClient(t, p.url)
				type end struct {
					value int
					err   error
				}
				ended := make(chan end, 1)
				go func() {
					v, err := tasks.Square.Call(ctx, 3)
					ended <- end{v, err}
				}()
				outage(t, outageLength/10)
				p.mend()
				if e := <-ended; e.value != 9 || e.err != nil {
					t.Errorf("got %d, %v", e.value, e.err)
				}
			},
		},
		{
			name: "every reply may be lost", protects: "a call whose answer is lost on its way has the effect that one answered has",
			run: testTornReplies,
		},
	})
}

// testOutage takes something away in the middle of a run. Clients and workers reach the controller
// at url.
func (c *cluster) testOutage(url string, down, up func()) {
	t := c.t
	t.Helper()
	const n = 600
	ctx := newClient(t, url)
	ledger := c.path("ledger")
	ins := slices.Repeat([]string{ledger}, n)
	h := c.hold()
	held := run(ctx, t, tasks.Held, h)
	c.awaitHeld(held.ID(), h)
	futures, err := tasks.Touch.RunAll(ctx, ins[:n/2])
	if err != nil {
		t.Fatal(err)
	}
	c.awaitEvents(ledger, "touch", 1)
	down()
	c.open(h) // ends while its report has nowhere to go
	more := make(chan error, 1)
	var rest []*fray.Future[string]
	go func() {
		var err error
		rest, err = tasks.Touch.RunAll(ctx, ins[n/2:]) // while nobody answers
		more <- err
	}()
	outage(t, outageLength)
	up()
	if err := <-more; err != nil {
		t.Fatal(err)
	}
	for _, f := range append(futures, rest...) {
		get(ctx, t, f)
	}
	get(ctx, t, held)
	// No session was lost, so nothing ran twice, whatever got lost of calls and answers.
	if got := c.events(ledger)["touch"]; got != n {
		t.Errorf("%d tasks ran %d times", n, got)
	}
	// A report that fails was taken for a failure of the task.
	if task := c.task(held.ID()); task.GetAttemptNumber() != 1 || task.GetFailureCount() != 0 {
		t.Errorf("charged %v", task)
	}
}

func testTornReplies(t *testing.T, c *cluster) {
	const n, cuts = 300, 8
	p := newProxy(t, c.url())
	c.workerAt(p.url, "w", "--slots", "2")
	c.awaitWorker("w")
	ctx := newClient(t, p.url)
	ledger := c.path("ledger")
	ended := make(chan error, 1)
	var futures []*fray.Future[string]
	go func() {
		var err error
		for range 10 {
			var some []*fray.Future[string]
			some, err = tasks.Touch.RunAll(ctx, slices.Repeat([]string{ledger}, n/10))
			futures = append(futures, some...)
			if err != nil {
				break
			}
		}
		for _, f := range futures {
			if err == nil {
				_, err = f.Get(ctx)
			}
		}
		ended <- err
	}()
	for i := range cuts {
		// The next cut comes in the middle of an answer: the server has done what it was asked for,
		// and nobody knows.
		p.mu.Lock()
		p.downAfter = p.replied + int64(200+313*i)
		p.mu.Unlock()
		eventually(t, "the network is cut", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.down || len(ended) > 0
		})
		p.mend()
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := len(c.ledger(ledger)); got != n {
		t.Errorf("%d tasks ran %d times", n, got)
	}
}

// A restart without a durable store forgets all tasks. Clients hung on them for ever, and workers
// never came back.
func TestControllerRestartsEmpty(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "--listen", "127.0.0.1:"+freePort(t), "--in-memory")
	w := c.worker("w", "--slots", "2")
	ctx := c.client()
	h := c.hold()
	done := run(ctx, t, tasks.Square, 3)
	get(ctx, t, done)
	lost, err := tasks.Held.RunAll(ctx, slices.Repeat([]tasks.Hold{h}, 4))
	if err != nil {
		t.Fatal(err)
	}
	c.awaitEvents(h.Ledger, "start", 2)
	before, err := c.GetClusterInfo(c.context(), &frayv1.GetClusterInfoRequest{})
	if err != nil {
		t.Fatal(err)
	}

	c.controller.kill()
	c.reborn()
	for _, f := range lost {
		e := failed(ctx, t, f)
		if e.Reason != fray.ReasonTaskLost || !errors.Is(e, fray.ErrTaskLost) {
			t.Errorf("got %v", e)
		}
	}
	if v := get(ctx, t, done); v != 9 {
		t.Errorf("what was told has changed to %d", v)
	}
	c.awaitWorker("w")
	c.awaitEvents(h.Ledger, "stop", 2)
	if v := get(ctx, t, run(ctx, t, tasks.Square, 4)); v != 16 {
		t.Errorf("got %d", v)
	}
	after, err := c.GetClusterInfo(c.context(), &frayv1.GetClusterInfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if after.GetControllerIncarnation() <= before.GetControllerIncarnation() {
		t.Errorf("incarnation %d follows %d", after.GetControllerIncarnation(), before.GetControllerIncarnation())
	}
	if !w.Running() {
		t.Error("the worker has died")
	}
}

package worker_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker"
)

func TestStopOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c)
		obeys, ignores := c.add("nap", `100`), c.add("sulk", `100`)
		pass(time.Second)
		c.change(func() { c.stop = []uint64{obeys, ignores} })
		pass(time.Second)
		c.expect(t, obeys, "STOPPED")
		c.expect(t, ignores, "NONE")
		beats := len(c.seen().beats)
		pass(5 * time.Second)
		c.expect(t, ignores, "STOPPED")
		if n := len(c.seen().beats) - beats; n > 20 {
			t.Errorf("%d heartbeats while a stop was repeated", n)
		}
		pass(3 * time.Minute)
		if n := len(c.seen().reports); n != 4 { // Both started, and both ended, once.
			t.Errorf("%d reports: %v", n, c.seen().reports)
		}
		w.stop(t)
	})
}

func TestAbandonedAttemptKeepsItsSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c, slots(1))
		c.add("sulk", `60`, timeout(time.Second))
		pass(10 * time.Second)
		next := c.add("echo", `""`)
		pass(10 * time.Second)
		c.expect(t, next, "NONE")
		pass(41 * time.Second)
		c.expect(t, next, "SUCCEEDED")
		w.stop(t)
	})
}

func TestBlockedTaskLendsItsSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		done := make(chan struct{})
		var events []string
		var mu sync.Mutex
		note := func(event string) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, event)
		}
		inner := fray.Define("inner", func(context.Context, string) (string, error) { <-done; return "", nil })
		waits := function("waits", func(ctx context.Context) {
			jobs, err := fray.NewJobContext(ctx, fray.KindThreadPool)
			if err != nil {
				t.Error(err)
				return
			}
			defer jobs.Close()
			if _, err := inner.Call(fray.NewContext(ctx, jobs), ""); err != nil {
				t.Error(err)
			}
			note("parent goes on")
		})
		child := function("child", func(ctx context.Context) {
			close(done)
			_ = rest(ctx, 1)
			note("child ends")
		})
		w := start(t, c, slots(1), func(c *worker.Config) { c.Functions = []fray.Function{waits, child} })
		parent := c.add("waits", `""`)
		kid := c.add("child", `""`)
		pass(5 * time.Second)
		c.expect(t, parent, "SUCCEEDED")
		c.expect(t, kid, "SUCCEEDED")
		if got := strings.Join(events, ", "); got != "child ends, parent goes on" {
			t.Errorf("two tasks ran in one slot: %s", got)
		}
		w.stop(t)
	})
}

package worker_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray/worker"
)

const leaseTTL = 3 * time.Minute

func leaseOf(job string) func(*worker.Config) {
	return func(c *worker.Config) { c.JobLease, c.JobLeaseTTL = job, leaseTTL }
}

func (r *running) hasLeft() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// A worker stays while its job is watched, and leaves a TTL after it was last, with what runs.
func TestWorkerLeavesOnceNobodyWatchesItsJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		c.watchers = 1
		w := start(t, c, leaseOf("job"))
		pass(10 * leaseTTL)
		if w.hasLeft() {
			t.Fatal("it left though its job is watched")
		}
		if asked := c.seen().asked; len(asked) < 25 || slices.ContainsFunc(asked, func(job string) bool { return job != "job" }) {
			t.Errorf("it asked for %d jobs: %v", len(asked), asked)
		}
		lease := c.add("nap", `20`)
		pass(time.Second)
		c.change(func() { c.watchers = 0 })
		begin := time.Now()
		pass(leaseTTL - time.Second)
		if w.hasLeft() {
			t.Error("it left before the TTL was over")
		}
		running := c.add("nap", `15`)
		<-w.ended
		if took := time.Since(begin); took < leaseTTL || took > 2*leaseTTL {
			t.Errorf("it left after %v", took)
		}
		if !errors.Is(w.err, worker.ErrJobUnwatched) || !c.seen().left {
			t.Errorf("run: %v, left %t", w.err, c.seen().left)
		}
		c.expect(t, lease, "SUCCEEDED")
		c.expect(t, running, "SUCCEEDED")
	})
}

// A client that comes back in time keeps its workers, however often it goes.
func TestWorkerStaysIfItsJobIsWatchedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c, leaseOf("job"))
		for range 5 {
			c.change(func() { c.watchers = 0 })
			pass(leaseTTL - time.Second)
			c.change(func() { c.watchers = 1 })
			pass(leaseTTL)
		}
		if w.hasLeft() {
			t.Fatal("it left")
		}
		w.stop(t)
	})
}

// A controller that is not heard says nothing about the job: the worker waits, and not for ever. One
// answer in between counts.
func TestWorkerWaitsForAControllerThatDoesNotSay(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{"away": {err: errUnreachable}, "silent": {loseCall: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newController()
				c.watchers = 1
				w := start(t, c, leaseOf("job"))
				pass(time.Second)
				for range 2 {
					c.change(func() { c.fault = func(string) fault { return f } })
					pass(9 * leaseTTL)
					c.change(func() { c.fault = nil })
					pass(leaseTTL)
				}
				if w.hasLeft() {
					t.Fatal("it left within ten times its TTL")
				}
				c.change(func() { c.fault = func(string) fault { return f } })
				pass(13 * leaseTTL)
				if !w.hasLeft() || !errors.Is(w.err, worker.ErrJobUnwatched) {
					t.Fatalf("it stays for ever: %v", w.err)
				}
			})
		})
	}
}

// Silence has the count begin anew: that nobody watched before it and after it says nothing of what
// was between, such as a restart of the controller.
func TestSilenceIsNoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		asked := 0
		c.fault = func(procedure string) fault {
			if procedure != "GetJob" {
				return fault{}
			}
			if asked++; asked%3 == 0 {
				return fault{err: errUnreachable}
			}
			return fault{}
		}
		w := start(t, c, leaseOf("job"))
		pass(20 * leaseTTL)
		if w.hasLeft() {
			t.Fatalf("it left: %v", w.err)
		}
		w.stop(t)
	})
}

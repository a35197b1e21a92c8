package worker_test

import (
	"testing"
	"testing/synctest"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

func TestDrainLetsRunningTasksFinish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c, slots(1))
		c.add("nap", `0.001`)
		pass(time.Second)
		runs, waits := c.add("nap", `10`), c.add("nap", `10`)
		pass(100 * time.Millisecond)
		if took := w.stop(t); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("left after %v", took)
		}
		c.expect(t, waits, "RETURNED")
		c.expect(t, runs, "SUCCEEDED")
		if n := len(c.seen().beats); !c.seen().beats[n-1].GetDraining() || !c.seen().left {
			t.Errorf("last heartbeat %v, left %t", c.seen().beats[n-1], c.seen().left)
		}
		late := c.add("echo", `""`)
		pass(time.Minute)
		c.expect(t, late, "NONE")
	})
}

func TestDrainGraceEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, function string
		order          func(*controller, *running)
		takes          time.Duration
	}{
		{
			name: "returns when asked", function: "nap", takes: 30 * time.Second,
			order: func(_ *controller, w *running) { w.cancel() },
		},
		{
			name: "never returns", function: "sulk", takes: 35 * time.Second,
			order: func(_ *controller, w *running) { w.cancel() },
		},
		{
			name: "operator", function: "nap", takes: 50 * time.Second,
			order: func(c *controller, _ *running) {
				c.change(func() { c.order = &frayv1.HeartbeatResponse{DrainGraceMs: 50_000} })
			},
		},
		{
			name: "operator, then a signal", function: "nap", takes: 30 * time.Second,
			order: func(c *controller, w *running) {
				c.change(func() { c.order = &frayv1.HeartbeatResponse{DrainGraceMs: 50_000} })
				synctest.Wait()
				w.cancel()
			},
		},
		{
			name: "close", function: "nap", takes: 0,
			order: func(_ *controller, w *running) { w.Close() },
		},
		{
			name: "signal, then close", function: "nap", takes: 3 * time.Second,
			order: func(_ *controller, w *running) {
				w.cancel()
				pass(3 * time.Second)
				w.Close()
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newController()
				w := start(t, c)
				lease := c.add(tt.function, `1000`)
				pass(time.Second)
				begin := time.Now()
				tt.order(c, w)
				<-w.ended
				if w.err != nil {
					t.Errorf("run: %v", w.err)
				}
				if took := time.Since(begin); took < tt.takes || took > tt.takes+time.Second {
					t.Errorf("left after %v, want %v", took, tt.takes)
				}
				c.expect(t, lease, "RETURNED")
				if len(c.seen().registrations) != 1 || !c.seen().left {
					t.Errorf("%d registrations, left %t", len(c.seen().registrations), c.seen().left)
				}
				pass(time.Hour)
			})
		})
	}
}

// A report that is lost on the way is not given up with the worker: that it was lost shows only when its
// call has taken too long, and then there must be time for another.
func TestLeavingDeliversWhatWasLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c)
		lease := c.add("nap", `1`)
		pass(100 * time.Millisecond)
		c.change(func() { c.fault = failing("ReportTasks", 1, fault{loseCall: true}) })
		if took := w.stop(t); took < 10*time.Second || took > 15*time.Second {
			t.Errorf("took %v", took)
		}
		c.expect(t, lease, "SUCCEEDED")
	})
}

// So it is where the worker would give up just when the lost call has taken too long, and the next has not begun.
func TestLeavingCallsAgainWhatWasJustLost(t *testing.T) {
	t.Parallel()
	for after := 4900 * time.Millisecond; after < 5200*time.Millisecond; after += 10 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			c := newController()
			c.carries = false
			w := start(t, c)
			c.change(func() { c.fault = failing("ReportTasks", 1, fault{loseCall: true}) })
			lease := c.add("echo", `""`)
			pass(after)
			w.stop(t)
			if got := c.outcome(lease); got != "SUCCEEDED" {
				t.Errorf("a worker that leaves after %v reports %s", after, got)
			}
		})
	}
}

// One that is lost for good is given up.
func TestLeavingDoesNotWaitForAControllerThatIsSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c)
		lease := c.add("nap", `1`)
		pass(100 * time.Millisecond)
		c.change(func() { c.fault = func(string) fault { return fault{loseCall: true} } })
		if took := w.stop(t); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
		c.expect(t, lease, "NONE")
	})
}

func TestLeavingDoesNotWaitForAControllerThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		c.carries = false
		w := start(t, c)
		lease := c.add("echo", `""`)
		c.change(func() { c.fault = failing("ReportTasks", 1000, fault{err: errUnreachable}) })
		pass(time.Second)
		c.change(func() { c.fault = func(string) fault { return fault{err: errUnreachable} } })
		if took := w.stop(t); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
		c.expect(t, lease, "NONE")
	})
}

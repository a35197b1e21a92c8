package worker_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// The reports of brief attempts cost no calls of their own.
func TestPollsCarryTheReportsOfBriefAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c)
		for range 20 {
			c.expectSoon(t, c.add("echo", `"v"`), "SUCCEEDED")
			c.expectSoon(t, c.add("fail", `"v"`), "FAILED")
		}
		h := c.seen()
		if h.carried != 40 || len(h.reports) != 40 {
			t.Errorf("%d of %d reports went along with polls, want all 40", h.carried, len(h.reports))
		}
		if n := len(h.polls); n > 41 {
			t.Errorf("%d polls for 40 tasks that came one by one", n)
		}
		pass(2 * time.Second)
		if n := c.seen().polls; len(n) > 43 {
			t.Errorf("%d polls after two idle seconds", len(n))
		}
		w.stop(t)
	})
}

// What takes its time does not keep the worker from asking for more, and is reported as soon as it is
// over.
func TestPollsDoNotWaitForLongAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c)
		long := c.add("nap", `0.5`)
		pass(10 * time.Millisecond)
		c.expectSoon(t, c.add("echo", `"v"`), "SUCCEEDED")
		c.expect(t, long, "NONE")
		pass(500 * time.Millisecond)
		c.expect(t, long, "SUCCEEDED")
		if h := c.seen(); h.carried != 1 {
			t.Errorf("%d reports were carried, want that of the brief attempt", h.carried)
		}
		w.stop(t)
	})
}

// A poll that carried reports and failed lost them, or kept them until it was answered.
func TestWhatAPollCarriedIsNotLost(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault  fault
		within time.Duration
		edit   func(*controller)
	}{
		"unavailable":     {fault: fault{err: errUnreachable}, within: time.Second},
		"refused as odd":  {fault: fault{err: connect.NewError(connect.CodeInternal, errors.New("bug"))}, within: time.Second},
		"unauthenticated": {fault: fault{err: connect.NewError(connect.CodeUnauthenticated, errors.New("who are you?"))}, within: time.Second},
		"connection cut":  {fault: fault{cutReply: true}, within: 2 * time.Second},
		"call lost":       {fault: fault{loseCall: true}, within: 7 * time.Second},
		"reply lost":      {fault: fault{loseReply: true}, within: 7 * time.Second},
		"without verdict": {within: 2 * time.Second, edit: func(c *controller) { c.mute = true }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newController()
				w := start(t, c)
				pass(time.Millisecond)
				c.change(func() {
					c.fault = failing("LeaseTasks", 1, test.fault)
					if test.edit != nil {
						test.edit(c)
					}
				})
				lease := c.add("echo", `"v"`) // For the poll that is under way; the next one has the fault.
				pass(test.within)
				if v := c.expect(t, lease, "SUCCEEDED").GetValue().GetData(); string(v) != `"v"` {
					t.Errorf("value %s", v)
				}
				pass(10 * time.Second) // The poll may be put off for longer.
				if held := c.seen().beats[len(c.seen().beats)-1].GetFinishedLeaseTokens(); len(held) != 0 {
					t.Errorf("still in the outbox: %v", held)
				}
				c.expectSoon(t, c.add("echo", `"w"`), "SUCCEEDED")
				w.stop(t)
			})
		})
	}
}

// A report that the controller does not take kept its worker from asking for work.
func TestRefusedReportDoesNotHoldUpPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		refuse := &refusing{controller: c, value: `"poison"`}
		mux := http.NewServeMux()
		mux.Handle(frayv1connect.NewControllerServiceHandler(refuse))
		c.handler = mux
		w := start(t, c)
		poison := c.add("echo", `"poison"`)
		pass(time.Millisecond)
		if n := refuse.refused.Load(); n != 2 {
			t.Errorf("%d refusals, want one of the poll with the report, and one of the report alone", n)
		}
		c.expectSoon(t, c.add("echo", `"good"`), "SUCCEEDED")
		c.expect(t, poison, "NONE")
		refuse.appeased.Store(true)
		pass(10 * time.Second)
		c.expect(t, poison, "SUCCEEDED")
		w.stop(t)
	})
}

// LeaseTasks refuses as ReportTasks does.
func (r *refusing) LeaseTasks(ctx context.Context, req *frayv1.LeaseTasksRequest) (*frayv1.LeaseTasksResponse, error) {
	if err := r.bitter(req.GetReports()); err != nil {
		return nil, err
	}
	return r.controller.LeaseTasks(ctx, req)
}

// Large reports, and more than fit, go the way that has its bounds.
func TestPollsCarrySmallReportsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c, slots(40))
		big := make([]byte, 20<<10)
		for i := range big {
			big[i] = 'x'
		}
		c.change(func() {
			for range 40 {
				c.enqueue("echo", `"`+string(big)+`"`)
			}
		})
		pass(time.Millisecond)
		h := c.seen()
		if len(h.reports) != 40 || h.carried == 0 || h.carried > 3 {
			t.Errorf("%d of %d reports went along with a poll, want all, and those of 64 KiB", h.carried, len(h.reports))
		}
		w.stop(t)
	})
}

// expectSoon is expect of an attempt that ends as soon as it begins.
func (c *controller) expectSoon(t *testing.T, lease uint64, want string) {
	t.Helper()
	pass(time.Millisecond)
	c.expect(t, lease, want)
}

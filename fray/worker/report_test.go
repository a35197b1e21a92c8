package worker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// A report that failed, or whose reply was lost, became a failure or was never sent again.
func TestReportIsSentUntilItIsJudged(t *testing.T) {
	t.Parallel()
	tests := map[string]fault{
		"unavailable":     {err: errUnreachable},
		"refused as odd":  {err: connect.NewError(connect.CodeInternal, errors.New("bug"))},
		"full":            {err: wire.Error(wire.ReasonQueueFull, time.Second, "busy")},
		"reply lost":      {loseReply: true},
		"connection cut":  {cutReply: true},
		"unauthenticated": {err: connect.NewError(connect.CodeUnauthenticated, errors.New("who are you?"))},
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newController()
				c.carries = false
				c.fault = failing("ReportTasks", 3, f)
				w := start(t, c)
				lease := c.add("echo", `"v"`)
				pass(2 * time.Minute)
				if v := c.expect(t, lease, "SUCCEEDED").GetValue().GetData(); string(v) != `"v"` {
					t.Errorf("value %s", v)
				}
				for _, r := range c.seen().reports {
					if r.GetOutcome() != frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED {
						t.Errorf("reported %v", r.GetOutcome())
					}
				}
				if held := c.seen().beats[len(c.seen().beats)-1].GetFinishedLeaseTokens(); len(held) != 0 {
					t.Errorf("still in the outbox: %v", held)
				}
				w.stop(t)
			})
		})
	}
}

// A report that the controller refused to judge kept its whole batch from being delivered, or was
// made a failure.
func TestRefusedReportDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		refuse := &refusing{controller: c, value: `"poison"`}
		mux := http.NewServeMux()
		mux.Handle(frayv1connect.NewControllerServiceHandler(refuse))
		c.handler = mux
		var good, poison []uint64
		for i := range 40 {
			if i == 7 || i == 23 {
				poison = append(poison, c.add("echo", `"poison"`))
				continue
			}
			good = append(good, c.add("echo", `"good"`))
		}
		w := start(t, c, slots(40))
		pass(time.Second)
		for _, lease := range good {
			c.expect(t, lease, "SUCCEEDED")
		}
		pass(time.Minute)
		if n := refuse.refused.Load(); n > 100 {
			t.Errorf("%d refused calls for %d reports in a minute", n, len(poison))
		}
		refuse.appeased.Store(true)
		pass(10 * time.Second)
		for _, lease := range poison {
			if v := c.expect(t, lease, "SUCCEEDED").GetValue(); string(v.GetData()) != refuse.value {
				t.Errorf("value %v", v)
			}
		}
		w.stop(t)
	})
}

// refusing is a controller that takes no report with a certain value, until it is appeased.
type refusing struct {
	*controller

	value    string
	refused  atomic.Int32
	appeased atomic.Bool
}

// bitter refuses reports among which is that one.
func (r *refusing) bitter(reports []*frayv1.TaskReport) error {
	for _, report := range reports {
		if string(report.GetValue().GetData()) == r.value && !r.appeased.Load() {
			r.refused.Add(1)
			return connect.NewError(connect.CodeInvalidArgument, errors.New("too bitter"))
		}
	}
	return nil
}

func (r *refusing) ReportTasks(ctx context.Context, req *frayv1.ReportTasksRequest) (*frayv1.ReportTasksResponse, error) {
	if err := r.bitter(req.GetReports()); err != nil {
		return nil, err
	}
	return r.controller.ReportTasks(ctx, req)
}

func TestStartedIsToldOfLongTasksOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c)
		c.add("nap", `0.019`)
		long := c.add("nap", `1`)
		pass(2 * time.Second)
		var started []uint64
		for _, r := range c.seen().reports {
			if r.GetOutcome() == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STARTED {
				started = append(started, r.GetAttempt().GetLeaseToken())
			}
		}
		if len(started) != 1 || started[0] != long {
			t.Errorf("started: %v", started)
		}
		w.stop(t)
	})
}

// A brief outage of the controller ended the worker, or what it had done.
func TestOutboxSurvivesAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c, slots(4))
		var leases []uint64
		for i := range 4 {
			leases = append(leases, c.add("nap", fmt.Sprint(i+2)))
		}
		pass(time.Second)
		var calls atomic.Int32
		c.change(func() { c.fault = func(string) fault { calls.Add(1); return fault{err: errUnreachable} } })
		pass(10 * time.Minute)
		if n := calls.Load(); n < 100 || n > 2000 {
			t.Errorf("%d calls during an outage of ten minutes", n)
		}
		c.change(func() { c.fault = nil })
		pass(20 * time.Second)
		for _, lease := range leases {
			c.expect(t, lease, "SUCCEEDED")
		}
		w.stop(t)
	})
}

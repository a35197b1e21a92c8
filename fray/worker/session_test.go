package worker_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// A worker that was busy for longer than the TTL was declared dead.
func TestBusyWorkerRenewsItsSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c, slots(1))
		lease := c.add("nap", `60`)
		begin := time.Now()
		pass(61 * time.Second)
		c.expect(t, lease, "SUCCEEDED")
		if n := len(c.seen().beats); n < int(time.Since(begin)/interval) {
			t.Errorf("%d heartbeats in %v", n, time.Since(begin))
		}
		if running := c.seen().beats[len(c.seen().beats)-2].GetRunningLeaseTokens(); len(running) != 1 || running[0] != lease {
			t.Errorf("heartbeats say that %v runs", running)
		}
		if len(c.seen().registrations) != 1 {
			t.Errorf("%d registrations", len(c.seen().registrations))
		}
		w.stop(t)
	})
}

// A heartbeat written before a grant arrived was taken to say that the worker does not have it.
func TestHeartbeatSaysWhichGrantsItKnows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c, slots(1))
		pass(time.Second)
		c.add("nap", `30`)
		pass(30 * time.Second)
		for i, b := range c.seen().beats {
			if (b.GetReceivedPollSeq() > 0) != (len(b.GetRunningLeaseTokens()) > 0) {
				t.Errorf("heartbeat %d: %v", i, b)
			}
			if b.GetHeartbeatSeq() != uint64(i+1) {
				t.Errorf("heartbeat %d has number %d", i+1, b.GetHeartbeatSeq())
			}
		}
		w.stop(t)
	})
}

func TestWorkerRegistersAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c)
		first, second := c.add("nap", `20`), c.add("nap", `20`)
		pass(time.Second)
		c.change(func() {
			c.expired = true
			c.keep = func(held []*frayv1.HeldAttempt) []uint64 { return []uint64{held[0].GetAttempt().GetLeaseToken()} }
		})
		pass(2 * time.Second)
		if len(c.seen().registrations) != 2 || c.seen().registrations[0].GetRegistrationId() == c.seen().registrations[1].GetRegistrationId() {
			t.Fatalf("registrations: %v", c.seen().registrations)
		}
		held := c.seen().registrations[1].GetHeld()
		if len(held) != 2 || held[0].GetState() != frayv1.AttemptState_ATTEMPT_STATE_RUNNING {
			t.Errorf("held: %v", held)
		}
		c.expect(t, first, "NONE")
		c.expect(t, second, "STOPPED")
		third := c.add("echo", `""`)
		pass(20 * time.Second)
		c.expect(t, first, "SUCCEEDED")
		c.expect(t, third, "SUCCEEDED")
		w.stop(t)
	})
}

// A worker whose controller had been restarted a few times stayed away from it for a whole TTL.
func TestSessionsThatDoNotLast(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		restarts bool
		least    int
		most     int
	}{
		"another worker has its id":           {least: 5, most: 25},
		"the controller starts over and over": {restarts: true, least: 61, most: 61},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newController()
				w := start(t, c)
				for range 60 {
					pass(time.Second)
					c.change(func() {
						c.expired = true
						if test.restarts {
							c.lives++
						}
					})
				}
				pass(100 * time.Millisecond)
				if n := len(c.seen().registrations); n < test.least || n > test.most {
					t.Errorf("%d registrations in a minute, want %d to %d", n, test.least, test.most)
				}
				pass(time.Minute)
				w.stop(t)
			})
		})
	}
}

func TestLostSessionStopsAttemptsWithoutANewOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c)
		lease := c.add("nap", `60`)
		pass(time.Second)
		c.change(func() {
			c.expired = true
			c.fault = failing("RegisterWorker", 1000, fault{err: errUnreachable})
		})
		pass(30 * time.Second)
		c.change(func() { c.fault = nil })
		pass(10 * time.Second)
		r := c.expect(t, lease, "STOPPED")
		if ran := time.Duration(r.GetRunDurationUs()) * time.Microsecond; ran > sessionTTL+interval {
			t.Errorf("ran for %v, too long after its session was lost", ran)
		}
		w.stop(t)
	})
}

func TestRegistrationIsRepeatedUnlessItIsInvalid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		c.fault = failing("RegisterWorker", 2, fault{loseReply: true})
		w := start(t, c)
		pass(time.Minute)
		if len(c.seen().registrations) != 3 || c.seen().registrations[0].GetRegistrationId() != c.seen().registrations[2].GetRegistrationId() {
			t.Errorf("registrations: %v", c.seen().registrations)
		}
		w.stop(t)
	})
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		mux := http.NewServeMux()
		mux.Handle(frayv1connect.NewControllerServiceHandler(strict{c}))
		c.handler = mux
		w := start(t, c)
		<-w.ended
		if connect.CodeOf(w.err) != connect.CodeInvalidArgument || !strings.Contains(w.err.Error(), `register worker "w1"`) {
			t.Errorf("run: %v", w.err)
		}
	})
}

type strict struct{ *controller }

func (strict) RegisterWorker(context.Context, *frayv1.RegisterWorkerRequest) (*frayv1.RegisterWorkerResponse, error) {
	return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("not you"))
}

// A worker whose id another process has waits for it to go, and ends when it does not.
func TestAnotherProcessHasTheID(t *testing.T) {
	t.Parallel()
	for name, busy := range map[string]time.Duration{"for a while": 20 * time.Second, "for good": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newController()
				mux := http.NewServeMux()
				mux.Handle(frayv1connect.NewControllerServiceHandler(&taken{controller: c, until: time.Now().Add(busy)}))
				c.handler = mux
				w := start(t, c)
				pass(2 * time.Minute)
				switch processes := processesOf(c.seen().registrations); {
				case busy < time.Minute && len(processes) != 1:
					t.Errorf("registered as processes %v", processes)
				case busy < time.Minute:
					w.stop(t)
				default:
					<-w.ended
					if w.err == nil || !strings.Contains(w.err.Error(), `worker "w1": it lives: give one of them another id`) {
						t.Errorf("run: %v", w.err)
					}
				}
			})
		})
	}
}

// taken is a controller that knows another process under the worker's id for a while.
type taken struct {
	*controller

	until time.Time
}

func (c *taken) RegisterWorker(ctx context.Context, req *frayv1.RegisterWorkerRequest) (*frayv1.RegisterWorkerResponse, error) {
	if time.Now().Before(c.until) {
		return nil, wire.Error(wire.ReasonWorkerLives, 0, "worker %q: it lives", req.GetWorkerId())
	}
	return c.controller.RegisterWorker(ctx, req)
}

// A process says in each of its sessions that it is the same.
func TestSessionsOfOneProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c)
		pass(time.Second)
		c.change(func() { c.expired = true })
		pass(time.Minute)
		if processes := processesOf(c.seen().registrations); len(c.seen().registrations) < 2 || len(processes) != 1 || processes[0] == "" {
			t.Errorf("%d sessions of processes %q", len(c.seen().registrations), processes)
		}
		w.stop(t)
	})
}

func processesOf(registrations []*frayv1.RegisterWorkerRequest) (ids []string) {
	for _, r := range registrations {
		if !slices.Contains(ids, r.GetProcessId()) {
			ids = append(ids, r.GetProcessId())
		}
	}
	return ids
}

package check_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/sim/check"
)

// causes are those of a worker.
var causes = map[error]check.Cause{
	worker.ErrStopped: check.CauseOrdered, worker.ErrSessionLost: check.CauseSessionLost, worker.ErrLeaving: check.CauseLeaving,
}

// The end of an execution tells why its context was done, and when: at once for a function that
// obeys, and long before the end for one that does not.
func TestStopsAreRecordedWithTheirCause(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cause error
		deaf  bool
		want  check.Cause
	}{
		"ordered":      {cause: worker.ErrStopped, want: check.CauseOrdered},
		"deaf":         {cause: worker.ErrStopped, deaf: true, want: check.CauseOrdered},
		"session lost": {cause: worker.ErrSessionLost, want: check.CauseSessionLost},
		"leaving":      {cause: worker.ErrLeaving, want: check.CauseLeaving},
		"timed out":    {cause: context.DeadlineExceeded, want: check.CauseTimedOut},
		"unknown":      {cause: context.Canceled, want: check.CauseUnknown},
		"not stopped":  {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := check.NewHistory(check.HistoryConfig{})
				ctx, cancel := context.WithCancelCause(context.WithoutCancel(contextOfTask(t)))
				defer cancel(nil)
				if test.cause != nil {
					time.AfterFunc(time.Second, func() { cancel(test.cause) })
				}
				f := fray.Define("f", func(ctx context.Context, _ int) (int, error) {
					if !test.deaf && test.cause != nil {
						<-ctx.Done()
						return 0, ctx.Err()
					}
					time.Sleep(time.Minute)
					return 1, nil
				})
				r := check.NewRecorder(h, "host")
				r.Causes = causes
				_, _ = r.Function(f).Invoke(ctx, fray.Payload{Encoding: "json", Data: []byte("2")})
				events := h.Events()
				start, end := events[0], events[1]
				if start.Digest != check.DigestValue("json", []byte("2")) {
					t.Error("the start does not have the digest of the input")
				}
				after := time.Second
				if test.cause == nil {
					after = 0
				}
				if end.Cause != test.want || end.StoppedAfter != after {
					t.Errorf("stopped %v after %v, want %v after %v", end.Cause, end.StoppedAfter, test.want, after)
				}
				if obeys := !test.deaf && test.cause != nil; obeys != (end.Digest == 0) {
					t.Errorf("the end has digest %x", end.Digest)
				}
			})
		})
	}
}

// A heartbeat's answer may tell a worker to leave, and a registration's what it keeps.
func TestOrdersToLeaveAreRecorded(t *testing.T) {
	t.Parallel()
	f := &fixed{}
	h, _, client := f.recorded()
	f.beat = &frayv1.HeartbeatResponse{Drain: true, DrainGraceMs: 2000, StopLeaseTokens: []uint64{7}}
	f.registered = &frayv1.RegisterWorkerResponse{SessionToken: 1, SessionTtlMs: 15000, KeptLeaseTokens: []uint64{7}}
	if _, err := client.RegisterWorker(t.Context(), &frayv1.RegisterWorkerRequest{WorkerId: "w", Labels: map[string]string{"zone": "a"}, Functions: []string{"f"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Heartbeat(t.Context(), &frayv1.HeartbeatRequest{SessionToken: 1, Draining: true}); err != nil {
		t.Fatal(err)
	}
	events := h.Events()
	if len(events) != 6 {
		t.Fatalf("recorded\n%s", told(h))
	}
	if c := events[0].Capacity; c.Labels["zone"] != "a" || !slices.Equal(c.Functions, []string{"f"}) {
		t.Errorf("registration: %+v", c)
	}
	if !slices.Equal(events[1].Kept, []uint64{7}) {
		t.Errorf("kept: %v", events[1].Kept)
	}
	if !events[3].Draining {
		t.Errorf("heartbeat: %+v", events[3])
	}
	if e := events[5]; e.Kind != check.LeaveOrder || e.TTL != 2*time.Second || e.Worker != "w" {
		t.Errorf("order to leave: %+v", e)
	}
}

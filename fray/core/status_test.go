package core_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// TestLegal holds the table of transitions against the design, pair by pair.
func TestLegal(t *testing.T) {
	t.Parallel()
	legal := map[core.Status][]core.Status{
		0:            {core.Pending},
		core.Pending: {core.Leased, core.Failed, core.Cancelled},
		core.Leased:  {core.Pending, core.Running, core.Completed, core.Failed, core.Cancelled},
		core.Running: {core.Pending, core.Completed, core.Failed, core.Cancelled},
	}
	all := append([]core.Status{0}, core.Statuses()...)
	all = append(all, core.Cancelled+1, 255)
	for _, from := range all {
		for _, to := range all {
			if got, want := core.Legal(from, to), slices.Contains(legal[from], to); got != want {
				t.Errorf("Legal(%v, %v) = %v, want %v", from, to, got, want)
			}
			if from.Terminal() && core.Legal(from, to) {
				t.Errorf("%v is terminal and leads to %v", from, to)
			}
		}
	}
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	for _, s := range core.Statuses() {
		want := s == core.Completed || s == core.Failed || s == core.Cancelled
		if s.Terminal() != want {
			t.Errorf("%v.Terminal() = %v, want %v", s, !want, want)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		at    func(int) fmt.Stringer
		names []string
	}{
		{
			"Status", func(i int) fmt.Stringer { return core.Status(i) },
			[]string{"NONE", "PENDING", "LEASED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"},
		},
		{
			"PendingReason", func(i int) fmt.Stringer { return core.PendingReason(i) },
			[]string{"NONE", "READY", "BLOCKED", "BACKOFF", "NO_ELIGIBLE_WORKER", "RECOVERING", "DELAYED", "MAILBOX", "THROTTLED", "SCHEDULED", "GANG"},
		},
		{
			"FailureReason", func(i int) fmt.Stringer { return core.FailureReason(i) },
			[]string{"NONE", "APPLICATION", "TIMEOUT", "WORKER_LOST", "SCHEDULING_TIMEOUT", "DEPENDENCY_FAILED", "UNDECODABLE", "ACTOR_RESTARTED", "ACTOR_DEAD"},
		},
		{
			"Outcome", func(i int) fmt.Stringer { return core.Outcome(i) },
			[]string{"NONE", "STARTED", "SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED", "RETURNED", "UNDECODABLE", "READY"},
		},
		{
			"ActorState", func(i int) fmt.Stringer { return core.ActorState(i) },
			[]string{"NONE", "PENDING", "PLACED", "LIVE", "RESTARTING", "DEAD"},
		},
		{
			"Verdict", func(i int) fmt.Stringer { return core.ReportVerdict(i) },
			[]string{"NONE", "ACCEPTED", "DUPLICATE", "STALE"},
		},
		{
			"CancelVerdict", func(i int) fmt.Stringer { return core.CancelVerdict(i) },
			[]string{"NONE", "CANCELLED", "STOPPING", "ALREADY_TERMINAL", "NOT_FOUND", "REFUSED"},
		},
		{
			"AttemptEnd", func(i int) fmt.Stringer { return core.AttemptEnd(i) },
			[]string{"leased", "succeeded", "failed", "timed_out", "stopped", "returned", "undecodable", "worker_lost", "undelivered"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for i, want := range append(tt.names, "UNKNOWN") {
				if got := tt.at(i).String(); got != want {
					t.Errorf("%s(%d) is %q, want %q", tt.name, i, got, want)
				}
			}
		})
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	const at = core.Time(5 * time.Second)
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"add", at.Add(time.Second), core.Time(6 * time.Second)},
		{"add less than nothing", at.Add(-6 * time.Second), core.Time(-1 * time.Second)},
		{"add to the end of time", (core.Never - 1).Add(2), core.Never},
		{"add to never", core.Never.Add(time.Hour), core.Never},
		{"sub", at.Sub(core.Time(2 * time.Second)), 3 * time.Second},
		{"milliseconds", core.Time(1999 * time.Microsecond).UnixMilli(), int64(1)},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func TestTokenOfAnotherIncarnation(t *testing.T) {
	t.Parallel()
	first, second := firstSession(t, 1), firstSession(t, 2)
	if first.SameIncarnation(second) || !first.SameIncarnation(first+1) {
		t.Errorf("incarnations of %x and %x are not told apart", first, second)
	}
	s := core.NewScheduler(core.Config{Incarnation: 2})
	var out core.Effects
	s.Step(epoch, &out, &core.Report{Call: 1, Session: first}, &core.Report{Call: 2, Session: second + 7})
	if out.Replies[0].Err != core.ErrSessionStale || out.Replies[1].Err != nil { //nolint:errorlint // The reply carries it bare.
		t.Errorf("reports of two incarnations are answered with %+v", out.Replies)
	}
}

func firstSession(t *testing.T, incarnation uint64) core.Token {
	t.Helper()
	var out core.Effects
	core.NewScheduler(core.Config{Incarnation: incarnation}).Step(epoch, &out, &core.Register{WorkerID: "w", Slots: 1})
	r, ok := out.Replies[0].Body.(core.RegisterReply)
	if !ok {
		t.Fatalf("registration is answered with %+v", out.Replies[0])
	}
	return r.Session
}

// TestTimeDoesNotRunBackwards: an older time is taken to be the present.
func TestTimeDoesNotRunBackwards(t *testing.T) {
	t.Parallel()
	s := core.NewScheduler(core.Config{Incarnation: 1})
	var out core.Effects
	s.Step(epoch, &out)
	s.Step(epoch-1, &out, &core.Submit{Job: "j", Tasks: []core.NewTask{{ID: "a", Shape: &core.Shape{Function: "f"}}}}, &core.Get{ID: "a"})
	r, ok := out.Replies[1].Body.(core.TaskReply)
	if !ok || r.View.Submitted != epoch {
		t.Errorf("submitted at %+v, want %v", out.Replies[1], epoch)
	}
}

func TestEffectsReset(t *testing.T) {
	t.Parallel()
	s := core.NewScheduler(core.Config{Incarnation: 1})
	var out core.Effects
	s.Step(epoch, &out, &core.Submit{Job: "j", Tasks: []core.NewTask{{ID: "a", Shape: &core.Shape{Function: "f"}, Spec: []byte("spec")}}})
	records := out.Records
	out.Reset()
	if len(out.Records)+len(out.Replies)+len(out.Attempts) != 0 || records[0].Data != nil {
		t.Errorf("effects are %+v after a reset, and hold on to %q", out, records[0].Data)
	}
}

// TestListOutlivesManyForgotten: the holes that forgotten tasks leave do not show, nor are they
// kept for ever.
func TestListOutlivesManyForgotten(t *testing.T) {
	t.Parallel()
	s := core.NewScheduler(core.Config{Incarnation: 1, MaxRetained: 1})
	var out core.Effects
	shape := &core.Shape{Function: "f"}
	for i := range 3000 {
		out.Reset()
		s.Step(epoch, &out, &core.Submit{Job: "j", Tasks: []core.NewTask{{ID: fmt.Sprintf("t%d", i), Shape: shape}}})
		if i%100 != 0 {
			s.Step(epoch, &out, &core.Cancel{IDs: []string{fmt.Sprintf("t%d", i)}})
		}
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for after := core.TaskNum(0); ; {
		out.Reset()
		s.Step(epoch, &out, &core.List{After: after, Max: 7})
		r, ok := out.Replies[0].Body.(core.ListReply)
		if !ok {
			t.Fatalf("list is answered with %+v", out.Replies[0])
		}
		for _, v := range r.Tasks {
			ids = append(ids, v.ID)
		}
		if after = r.Next; after == 0 {
			break
		}
	}
	if len(ids) != 31 || ids[0] != "t0" || ids[29] != "t2900" || ids[30] != "t2999" {
		t.Errorf("listed %d tasks: %v", len(ids), ids)
	}
}

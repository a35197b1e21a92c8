package controller_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/lead/leadtest"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/reason"
)

const (
	// firstEpoch is that of the first leader of these tests.
	firstEpoch = 8
	// standbyPatience is how long who stands by looks at a seat before it is taken.
	standbyPatience = lead.DefaultPatience * lead.DefaultBeat
)

// bubbleMember is a member in a bubble of synctest, and a client of it alone.
type bubbleMember struct {
	*controller.Member
	frayv1connect.ControllerServiceClient

	audit *bytes.Buffer
}

// memberInBubble runs a member until the test is over. Before, if not nil, is asked before it calls the
// database.
func memberInBubble(t *testing.T, m *leadtest.Memory, id string, before func(context.Context, leadtest.Call) error, options ...connect.HandlerOption) *bubbleMember {
	t.Helper()
	db := m.Client()
	db.Before = before
	b := &bubbleMember{audit: &bytes.Buffer{}}
	var err error
	b.Member, err = controller.NewMember(controller.Config{Audit: slog.New(slog.NewTextHandler(b.audit, nil))}, lead.Config{
		Database: db, Holder: lead.Holder{ID: id, Address: "http://" + id},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, handler := b.Handler(options...)
	b.ControllerServiceClient = frayv1connect.NewControllerServiceClient(&http.Client{Transport: direct{handler}}, "http://"+id)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("member %s ended with %v", id, err)
		}
	})
	synctest.Wait()
	return b
}

// stepDown asks the member to end an epoch, and checks which it says that it has left.
func (b *bubbleMember) stepDown(t *testing.T, epoch, left uint64) {
	t.Helper()
	res, err := b.StepDown(t.Context(), &frayv1.StepDownRequest{Epoch: epoch})
	if err != nil || res.GetLeftEpoch() != left {
		t.Errorf("asked to end epoch %d it says %v, %v; want %d", epoch, res, err, left)
	}
	synctest.Wait() // Who stands by takes over.
}

// wantLeader checks that one member leads, in an epoch, and that another does not.
func wantLeader(t *testing.T, m *leadtest.Memory, epoch uint64, leads, not *bubbleMember) {
	t.Helper()
	seat := m.Seat()
	if !leads.Leads() || not != nil && not.Leads() || seat.Epoch != epoch || seat.Vacant {
		t.Errorf("it leads: %v, and the other: %v; the seat is %+v, want epoch %d", leads.Leads(), not != nil && not.Leads(), seat, epoch)
	}
}

// wantRefused checks that a call was refused because another leads, and where that is said to be.
func wantRefused(t *testing.T, err error, leader string) {
	t.Helper()
	if why, _ := wire.Info(err); why != wire.ReasonNotLeader || reason.Leader(err) != leader {
		t.Errorf("error %v, want %s with %q", err, wire.ReasonNotLeader, leader)
	}
}

// Another leads in the same instant, with all that was acknowledged; calls that wait are told to come
// back; and the first does not lead again by itself.
func TestLeaderStepsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch - 1)
		a := memberInBubble(t, m, "a", nil)
		b := memberInBubble(t, m, "b", nil)
		wantLeader(t, m, firstEpoch, a, b)
		if err := submitOne(t.Context(), a, "1"); err != nil {
			t.Fatal(err)
		}
		waits := make(chan error, 1)
		go func() {
			_, err := a.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: "1", MaxWaitMs: 60_000})
			waits <- err
		}()
		synctest.Wait()
		began := time.Now()
		a.stepDown(t, firstEpoch, firstEpoch)
		if took := time.Since(began); took > 0 {
			t.Errorf("nobody led for %v", took)
		}
		wantLeader(t, m, firstEpoch+1, b, a)
		wantCode(t, <-waits, connect.CodeUnavailable)
		if _, err := b.GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: "1"}); err != nil {
			t.Errorf("the next leader, of a task that was acknowledged: %v", err)
		}
		time.Sleep(time.Hour)
		wantLeader(t, m, firstEpoch+1, b, a)
		_, err := a.StepDown(t.Context(), &frayv1.StepDownRequest{Epoch: firstEpoch}) // Repeated.
		wantRefused(t, err, "http://b")
	})
}

// An epoch that is over is not ended again, so that a call that is repeated ends no other's.
func TestStepDownEndsNoOtherEpoch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch - 1)
		a := memberInBubble(t, m, "a", nil)
		b := memberInBubble(t, m, "b", nil)
		a.stepDown(t, 0, firstEpoch)
		b.stepDown(t, firstEpoch, 0)
		wantLeader(t, m, firstEpoch+1, b, a)
		_, err := b.StepDown(t.Context(), &frayv1.StepDownRequest{Epoch: firstEpoch + 2})
		wantRefused(t, err, "")
		wantLeader(t, m, firstEpoch+1, b, a)
		b.stepDown(t, 0, firstEpoch+1)
		wantLeader(t, m, firstEpoch+2, a, b)
		for _, want := range []string{"code=ok epoch=8", "code=unavailable epoch=10", "code=ok epoch=0"} {
			if !strings.Contains(b.audit.String(), "procedure="+frayv1connect.ControllerServiceStepDownProcedure+" "+want) {
				t.Errorf("the audit lacks %q: %s", want, b.audit)
			}
		}
	})
}

// Two who ask for the same at a time are told the same.
func TestStepDownIsAskedForTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch - 1)
		commit := make(chan struct{})
		a := memberInBubble(t, m, "a", func(_ context.Context, call leadtest.Call) error {
			if call == leadtest.Commit {
				<-commit
			}
			return nil
		})
		submitted := make(chan error, 1)
		go func() { submitted <- submitOne(t.Context(), a, "1") }()
		synctest.Wait() // It is being committed, which the end of the term waits for.
		const callers = 2
		left := make(chan uint64, callers)
		for range callers {
			go func() {
				res, err := a.StepDown(t.Context(), &frayv1.StepDownRequest{Epoch: firstEpoch})
				if err != nil {
					t.Error(err)
				}
				left <- res.GetLeftEpoch()
			}()
		}
		synctest.Wait()
		if m.Seat().Vacant {
			t.Error("it has left the seat with a commit under way")
		}
		close(commit)
		for range callers {
			if epoch := <-left; epoch != firstEpoch {
				t.Errorf("it says that it has left epoch %d", epoch)
			}
		}
		if err := <-submitted; err != nil && connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("what was being committed: %v", err)
		}
	})
}

// Who steps down and has no other leads again, after others would have had their time.
func TestLeaderStepsDownAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch - 1)
		a := memberInBubble(t, m, "a", nil)
		a.stepDown(t, firstEpoch, firstEpoch)
		time.Sleep(standbyPatience - time.Millisecond)
		synctest.Wait()
		if a.Leads() || !m.Seat().Vacant {
			t.Errorf("it did not leave the seat to others: %+v", m.Seat())
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		wantLeader(t, m, firstEpoch+1, a, nil)
	})
}

func TestControllerAloneDoesNotStepDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := inBubble(t, controller.Config{Store: store.NewMemory()})
		_, err := c.StepDown(t.Context(), &frayv1.StepDownRequest{})
		wantCode(t, err, connect.CodeFailedPrecondition)
		if why, _ := wire.Info(err); why != wire.ReasonUnsupported || !strings.Contains(err.Error(), "stop it, or run several") {
			t.Errorf("error %v", err)
		}
		c.submit("a") // It serves as before.
	})
}

// Whoever asked waits no longer than its context; the term ends all the same.
func TestCallerOfStepDownGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch - 1)
		leaving := make(chan struct{})
		a := memberInBubble(t, m, "a", func(_ context.Context, call leadtest.Call) error {
			if call == leadtest.Leave {
				<-leaving
			}
			return nil
		})
		b := memberInBubble(t, m, "b", nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := a.StepDown(ctx, &frayv1.StepDownRequest{})
		if took := time.Since(began); connect.CodeOf(err) != connect.CodeDeadlineExceeded || took != time.Second {
			t.Errorf("before the seat was left it answers %v, after %v", err, took)
		}
		close(leaving)
		synctest.Wait()
		wantLeader(t, m, firstEpoch+1, b, a)
	})
}

// Where it is unknown whether the seat was left it is not said to be, and others take it before who was
// asked to leave it does.
func TestStepDownWhoseEndIsUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch - 1)
		a := memberInBubble(t, m, "a", func(_ context.Context, call leadtest.Call) error {
			if call == leadtest.Leave {
				return leadtest.ErrCut
			}
			return nil
		})
		b := memberInBubble(t, m, "b", nil)
		_, err := a.StepDown(t.Context(), &frayv1.StepDownRequest{Epoch: firstEpoch})
		wantRefused(t, err, "")
		time.Sleep(standbyPatience + 2*lead.DefaultBeat)
		synctest.Wait()
		wantLeader(t, m, firstEpoch+1, b, a)
	})
}

// A member is served with the options that Handler was given, also while it leads.
func TestMemberHasTheOptionsOfItsHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen atomic.Int32
		counts := connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				seen.Add(1)
				return next(ctx, req)
			}
		}))
		a := memberInBubble(t, leadtest.NewMemory(firstEpoch-1), "a", nil, counts)
		if err := submitOne(t.Context(), a, "1"); err != nil {
			t.Error(err)
		}
		a.stepDown(t, 0, firstEpoch)
		if err := submitOne(t.Context(), a, "2"); err == nil {
			t.Error("who stands by takes a task")
		}
		if n := seen.Load(); n != 3 {
			t.Errorf("an interceptor has seen %d calls of 3", n)
		}
	})
}

package fray_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// mailOrder is what a controller sees of the calls of actors.
type mailOrder struct {
	sync.Mutex

	callers          map[string]bool
	last             map[string]uint64 // by caller and actor
	wrong            []string
	taken            []*frayv1.TaskSpec
	inFlight, most   int
	refused, batches int
}

// Whatever is refused for want of room, split, or lost on the way, the calls of a job context come to each actor
// by rising numbers, in the order of their Runs.
func TestCallsOfActorsComeInTheirOrder(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.echo = true
	seen := &mailOrder{callers: make(map[string]bool), last: make(map[string]uint64)}
	full := false // for the rest of the batch
	fake.beforeSubmit = func(n int, req *frayv1.SubmitTasksRequest) error {
		if req.GetTasks()[0].GetCall() == nil {
			return nil
		}
		seen.Lock()
		seen.batches++
		seen.inFlight++
		seen.most = max(seen.most, seen.inFlight)
		full = false
		seen.Unlock()
		time.Sleep(10 * time.Millisecond)
		seen.Lock()
		defer seen.Unlock()
		seen.inFlight--
		switch {
		case n%7 == 3:
			return wire.Error(wire.ReasonShuttingDown, 0, "later")
		case n%7 == 5 && len(req.GetTasks()) > 3:
			return wire.Error(wire.ReasonInvalid, 0, "not all of them")
		}
		return nil
	}
	fake.afterSubmit = func(n int, _ *frayv1.SubmitTasksRequest) error {
		if n%11 == 4 {
			return connect.NewError(connect.CodeUnavailable, errors.New("the answer is lost"))
		}
		return nil
	}
	fake.reason = wire.ReasonQueueFull
	fake.refuse = func(spec *frayv1.TaskSpec) connect.Code {
		seen.Lock()
		defer seen.Unlock()
		if call := spec.GetCall(); call != nil && (full || call.GetNumber()%17 == 16 && seen.refused < 40) {
			full = true // So is a controller, see the contract of SubmitTasks.
			seen.refused++
			return connect.CodeResourceExhausted
		}
		return 0
	}
	fake.taken = func(spec *frayv1.TaskSpec) {
		call := spec.GetCall()
		if call == nil {
			return
		}
		seen.Lock()
		defer seen.Unlock()
		seen.callers[call.GetCallerId()] = true
		seen.taken = append(seen.taken, spec)
		key := call.GetCallerId() + " " + call.GetActorId()
		if call.GetNumber() <= seen.last[key] {
			seen.wrong = append(seen.wrong, fmt.Sprintf("%s: %d after %d", key, call.GetNumber(), seen.last[key]))
		}
		seen.last[key] = call.GetNumber()
	}
	withFake(t, fake, func(t *trial) {
		actors := []*fray.Actor[*tally]{tallying(t, opening{}), tallying(t, opening{Start: 1})}
		const callers, each = 8, 60
		var group sync.WaitGroup
		for caller := range callers {
			group.Go(func() {
				for i := range each {
					if _, err := note.Run(t.ctx, actors[i%2], caller*1000+i); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		large := make([]string, 300) // More than a batch has room for, in their order, too.
		for i := range large {
			large[i] = fmt.Sprintf("%04d", i) + strings.Repeat("x", 64<<10)
		}
		if _, err := spoil.RunAll(t.ctx, actors[0], large); err != nil {
			t.Error(err)
		}
		if _, err := note.Call(t.ctx, actors[0], 7); err == nil { // It gets its input back, which is no list.
			t.Error("no error")
		}
		fake.mu.Lock()
		alone := len(fake.alone)
		fake.mu.Unlock()
		if alone != len(actors) {
			t.Errorf("%d requests of one task, want those of the lives", alone)
		}
	})
	switch {
	case len(seen.wrong) > 0:
		t.Errorf("numbers do not rise: %v", seen.wrong)
	case len(seen.callers) != 1 || seen.callers[""]:
		t.Errorf("callers %v, want one", seen.callers)
	case seen.most != 1:
		t.Errorf("%d requests at once", seen.most)
	case len(seen.taken) != 8*60+300+1 || seen.refused == 0:
		t.Errorf("%d calls were taken, and %d refused for want of room", len(seen.taken), seen.refused)
	}
	var last [8]int
	lastLarge := ""
	for _, spec := range seen.taken {
		var n int
		text := string(spec.GetPayload().GetData())
		switch spec.GetFunction() {
		case "tally.note":
			if _, err := fmt.Sscan(text, &n); err != nil {
				t.Fatal(err)
			}
			if caller := n / 1000; n != 7 && n < last[caller] {
				t.Errorf("call %d after %d", n, last[caller])
			} else if n != 7 {
				last[caller] = n
			}
		case "tally.spoil":
			if text[:5] <= lastLarge {
				t.Errorf("large call %s after %s", text[:5], lastLarge)
			}
			lastLarge = text[:5]
		}
	}
}

func TestLifeIsSubmittedAsATask(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.reason = wire.ReasonQueueFull
	start := time.Time{}
	fake.refuse = func(*frayv1.TaskSpec) connect.Code {
		if time.Since(start) < 3*time.Second {
			return connect.CodeResourceExhausted
		}
		return 0
	}
	withFake(t, fake, func(t *trial) {
		start = time.Now()
		fake.earlier = true // It does not wait for the end, of which there is none.
		fake.existing = "found"
		a, err := tallies.Create(t.ctx, opening{Start: 3}, fray.WithActorName("n"), fray.WithMaxConcurrency(4), fray.WithMaxRestarts(9), fray.WithTaskID("mine"),
			fray.WithBackoff(time.Second, 3, time.Minute), fray.WithPriority(5), fray.WithResources(map[string]int64{"cpu": 7}),
			fray.WithLabels(map[string]string{"a": "b"}), fray.WithSchedulingTimeout(time.Hour))
		if err != nil || a.ID() != "found" {
			t.Fatalf("got %v, %v", a, err)
		}
		if time.Since(start) < 3*time.Second {
			t.Error("it has not waited for room")
		}
		fake.mu.Lock()
		defer fake.mu.Unlock()
		s, p := fake.specs["mine"], fake.specs["mine"].GetRetryPolicy()
		if s.GetFunction() != "tally" || s.GetActor().GetName() != "n" || s.GetActor().GetMaxConcurrency() != 4 || s.GetMaxWorkerLosses() != 9 || s.GetPriority() != 5 ||
			s.GetResources()["cpu"] != 7 || s.GetRequiredLabels()["a"] != "b" || s.GetSchedulingTimeoutMs() != time.Hour.Milliseconds() || s.GetCall() != nil ||
			p.GetMaxRetries() != 0 || p.GetBackoffBaseMs() != 1000 || p.GetBackoffFactor() != 3 || p.GetBackoffCapMs() != 60_000 {
			t.Errorf("got %v", s)
		}
		if err := wire.CheckSpec(s); err != nil {
			t.Error(err)
		}
	})
}

func TestCreationThatIsRefused(t *testing.T) {
	t.Parallel()
	for reason, is := range map[string]error{
		wire.ReasonExists: fray.ErrAlreadyExists, wire.ReasonUnknownTask: fray.ErrTaskLost, wire.ReasonUnknownObject: fray.ErrObjectLost,
	} {
		fake := newFake()
		fake.reason = reason
		fake.refuse = func(*frayv1.TaskSpec) connect.Code { return wire.Code(reason) }
		withFake(t, fake, func(t *trial) {
			if a, err := tallies.Create(t.ctx, opening{}); a != nil || !errors.Is(err, is) {
				t.Errorf("%s: got %v, %v", reason, a, err)
			}
		})
	}
}

func TestCloseEndsCreation(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.beforeSubmit = func(int, *frayv1.SubmitTasksRequest) error { return wire.Error(wire.ReasonShuttingDown, 0, "away") }
	withFake(t, fake, func(t *trial) {
		ended := make(chan error)
		go func() {
			_, err := tallies.Create(t.ctx, opening{})
			ended <- err
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		short, cancel := context.WithTimeout(t.ctx, time.Second)
		defer cancel()
		if _, err := tallies.Create(short, opening{}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "away") {
			t.Errorf("got %v", err)
		}
		if err := t.jc.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, fray.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestActorsAreFoundAtTheController(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.actors = []*frayv1.Actor{
		{ActorId: "a1", Name: "one", Function: "tally", State: frayv1.ActorState_ACTOR_STATE_LIVE},
		{ActorId: "a2", Name: "other", Function: "ledger", State: frayv1.ActorState_ACTOR_STATE_PENDING},
		{ActorId: "a3", Name: "dead", Function: "tally", State: frayv1.ActorState_ACTOR_STATE_DEAD},
	}
	withFake(t, fake, func(t *trial) {
		a, err := tallies.Find(t.ctx, "one")
		if err != nil || a.ID() != "a1" {
			t.Errorf("got %v, %v", a, err)
		}
		if _, err := tallies.Find(t.ctx, "other"); err == nil || !strings.Contains(err.Error(), "it is of class ledger") {
			t.Errorf("got %v", err)
		}
		for _, name := range []string{"dead", "none"} {
			if _, err := tallies.Find(t.ctx, name); !errors.Is(err, fray.ErrUnknownActor) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if err := a.Delete(t.ctx); !errors.Is(err, fray.ErrUnknownActor) {
			t.Errorf("delete what the controller does not know: %v", err)
		}
	})
}

func TestEndsOfCalls(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		fake.earlier = true
		fake.existing = "a1"
		a := tallying(t, opening{})
		for reason, is := range map[frayv1.FailureReason]error{
			frayv1.FailureReason_FAILURE_REASON_ACTOR_DEAD: fray.ErrActorDead, frayv1.FailureReason_FAILURE_REASON_ACTOR_RESTARTED: fray.ErrActorRestarted,
		} {
			f := calling(t, add, a, 1, fray.WithMaxWorkerLosses(2))
			fake.mu.Lock()
			if s := fake.specs[f.ID()]; s.GetMaxWorkerLosses() != 2 || s.GetCall().GetActorId() != "a1" || s.GetActor() != nil || wire.CheckSpec(s) != nil {
				t.Errorf("got %v", s)
			}
			fake.end(f.ID(), func(r *frayv1.TaskResult) {
				r.Task.Status, r.Task.FailureReason = frayv1.TaskStatus_TASK_STATUS_FAILED, reason
				r.Error = &frayv1.TaskError{Message: "it was so"}
			})
			fake.mu.Unlock()
			if _, err := f.Get(t.ctx); !errors.Is(err, is) || !strings.Contains(err.Error(), "it was so") {
				t.Errorf("%v: got %v", reason, err)
			}
		}
		f := calling(t, add, a, 1)
		fake.mu.Lock()
		defer fake.mu.Unlock()
		if s := fake.specs[f.ID()]; s.MaxWorkerLosses != nil {
			t.Errorf("a call that is to be executed once: %v", s)
		}
	})
}

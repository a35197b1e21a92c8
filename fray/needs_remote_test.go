package fray_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// submitElsewhere has the fake know tasks of another client.
func submitElsewhere(fake *fakeController, ids ...string) {
	for _, id := range ids {
		fake.admit(&frayv1.SubmitTasksRequest{JobId: "other", Tasks: []*frayv1.TaskSpec{{
			TaskId: id, Function: "echo", Payload: &frayv1.Payload{Encoding: "json", Data: fmt.Appendf(nil, "%q", id)},
		}}})
	}
}

// attach returns a future of a task of another client.
func attach(t *trial, id string) *fray.Future[string] {
	t.Helper()
	f, err := fray.Attach[string](t.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// asked returns how often the controller was asked for several tasks, and for one.
func (f *fakeController) asked() (batches, single int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.batches, f.lookups
}

func TestSpecsNameWhatTheirInputsNeed(t *testing.T) {
	t.Parallel()
	type wide struct {
		Map    map[int]*fray.Future[string]
		Refs   []fray.Ref[string]
		Skip   *fray.Future[string] `json:"-"`
		Any    any
		hidden *fray.Future[string]
		Own    ownFuture
		Array  [2]*fray.Future[string]
		Same   map[string]*fray.Ref[string]
		Twice  *fray.Future[string]
	}
	task := fray.Define("wide", func(context.Context, wide) (int, error) { return 0, nil })
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		fs := make([]*fray.Future[string], 20)
		m := make(map[int]*fray.Future[string])
		for i := range fs {
			fs[i] = run(t, echo, "x", fray.WithTaskID(fmt.Sprintf("t%02d", i)))
			if i < 12 {
				m[i] = fs[i]
			}
		}
		object := func(n int) string { return fmt.Sprintf("%064x", n) }
		in := wide{
			Map: m, Refs: []fray.Ref[string]{{ID: object(2)}, {ID: object(1)}, {ID: object(2)}}, Skip: fs[18], hidden: fs[18],
			Any: map[string]any{"b": fs[13], "a": []any{fs[12], fray.Ref[int]{ID: object(3)}}}, Own: ownFuture{fs[18]},
			Array: [2]*fray.Future[string]{fs[14]}, Same: map[string]*fray.Ref[string]{"x": {ID: object(1)}, "y": nil}, Twice: fs[3],
		}
		for _, alone := range []bool{false, true} {
			id := fmt.Sprintf("alone-%v", alone)
			if alone {
				fake.complete("t00", "t01", "t02", "t03", "t04", "t05", "t06", "t07", "t08", "t09", "t10", "t11", "t12", "t13", "t14", "t15", "t16", "t17", "t18", "t19")
				fake.complete("alone-false")
				synctest.Wait()
				short, cancel := context.WithTimeout(t.ctx, time.Second)
				if _, err := task.Call(short, in, fray.WithTaskID(id)); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				cancel()
			} else {
				run(t, task, in, fray.WithTaskID(id))
			}
			fake.mu.Lock()
			spec := fake.specs[id]
			fake.mu.Unlock()
			// Map keys are in the order that JSON has them in.
			tasks := []string{"t00", "t01", "t10", "t11", "t02", "t03", "t04", "t05", "t06", "t07", "t08", "t09", "t12", "t13", "t14"}
			if got := spec.GetNeededTaskIds(); !slices.Equal(got, tasks) {
				t.Errorf("needs tasks %q, want %q", got, tasks)
			}
			if got, want := spec.GetNeededObjectIds(), []string{object(2), object(1), object(3)}; !slices.Equal(got, want) {
				t.Errorf("needs objects %q, want %q", got, want)
			}
		}
		f := run(t, echo, "x")
		fake.mu.Lock()
		defer fake.mu.Unlock()
		if s := fake.specs[f.ID()]; len(s.GetNeededTaskIds())+len(s.GetNeededObjectIds()) > 0 {
			t.Errorf("needs %v", s)
		}
		if len(fake.alone) == 0 {
			t.Error("no call went alone")
		}
	})
}

// ownFuture sees to its encoding itself.
type ownFuture struct{ f *fray.Future[string] }

func (o ownFuture) MarshalJSON() ([]byte, error) { return json.Marshal(o.f) }

func TestFutureOfAnotherClientIsWaitedFor(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		submitElsewhere(fake, "a", "b", "c", "d", "e", "late")
		fs := []*fray.Future[string]{attach(t, "a"), attach(t, "b"), attach(t, "c"), attach(t, "d"), attach(t, "e")}
		time.Sleep(time.Hour)
		if n, _ := fake.asked(); n != 0 {
			t.Errorf("asked for %d times before the first use", n)
		}
		start := time.Now()
		time.AfterFunc(100*time.Second, func() { fake.complete("a", "b", "c", "d", "e") })
		if done, _, err := fray.Wait(t.ctx, fs, 5, -1); err != nil || len(done) != 5 {
			t.Fatalf("got %v, %v", done, err)
		}
		if took := time.Since(start); took.Round(time.Second) != 100*time.Second {
			t.Errorf("ends were told after %v, want 100s", took)
		}
		batches, single := fake.asked()
		if batches > 15 || single > 0 {
			t.Errorf("asked %d and %d times, once in 15 seconds would do", batches, single)
		}
		_, watches, _ := fake.counts()
		if watches > 0 {
			t.Errorf("the job was watched %d times, and has no task", watches)
		}
		for i, id := range []string{"a", "b", "c", "d", "e"} {
			if v, err := fs[i].Get(t.ctx); err != nil || v != id {
				t.Errorf("got %q, %v", v, err)
			}
		}
		time.Sleep(time.Hour)
		if n, _ := fake.asked(); n != batches {
			t.Errorf("asked for %d times more, and there is nothing to ask for", n-batches)
		}
		// It begins anew when there is.
		f := attach(t, "late")
		fake.complete("late")
		if v, err := f.Get(t.ctx); err != nil || v != "late" {
			t.Errorf("got %q, %v", v, err)
		}
	})
}

// A poll that is under way gives way to what it does not ask for.
func TestFutureIsWaitedForBesideOthers(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		ids := make([]string, 200)
		for i := range ids {
			ids[i] = fmt.Sprintf("t%03d", i)
		}
		submitElsewhere(fake, ids...)
		submitElsewhere(fake, "open")
		open := attach(t, "open").Done()
		synctest.Wait()
		time.Sleep(time.Second)
		start := time.Now()
		for _, id := range ids {
			done := attach(t, id).Done()
			synctest.Wait()
			fake.complete(id)
			<-done
		}
		if took := time.Since(start) / time.Duration(len(ids)); took > 10*time.Millisecond {
			t.Errorf("%v for each", took)
		}
		select {
		case <-open:
			t.Error("it has not ended")
		default:
		}
		fake.complete("open")
		<-open
	})
}

// There may be more than one call can ask for.
func TestManyFuturesOfOthersAreWaitedFor(t *testing.T) {
	t.Parallel()
	fake := newFake()
	most := 0
	fake.beforeResults = func(_ context.Context, _ int, req *frayv1.GetTaskResultsRequest) error {
		fake.mu.Lock()
		defer fake.mu.Unlock()
		most = max(most, len(req.GetTaskIds()))
		return nil
	}
	withFake(t, fake, func(t *trial) {
		const many = 20_001
		futures := make([]*fray.Future[string], many)
		for i := range futures {
			id := fmt.Sprintf("t%05d", i)
			submitElsewhere(fake, id)
			futures[i] = attach(t, id)
			futures[i].Done()
		}
		time.Sleep(time.Minute)
		for _, i := range []int{many - 1, 0, many / 2, 9_999, 10_000} {
			start := time.Now()
			fake.complete(fmt.Sprintf("t%05d", i))
			<-futures[i].Done()
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("the end of task %d was told after %v", i, took)
			}
		}
		if most > 10_000 {
			t.Errorf("one call has asked for %d", most)
		}
	})
}

func TestFutureOfAnotherClientSurvivesOutages(t *testing.T) {
	t.Parallel()
	fake := newFake()
	var down atomic.Bool
	fake.beforeResults = func(ctx context.Context, n int, _ *frayv1.GetTaskResultsRequest) error {
		switch {
		case down.Load():
			return connect.NewError(connect.CodeUnavailable, errors.New("down"))
		case n%2 == 0: // Its answer is lost.
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	withFake(t, fake, func(t *trial) {
		submitElsewhere(fake, "a")
		f := attach(t, "a")
		done := f.Done()
		time.Sleep(20 * time.Second)
		down.Store(true)
		time.Sleep(time.Minute)
		short, cancel := context.WithTimeout(t.ctx, time.Second)
		defer cancel()
		if _, err := f.Get(short); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "controller at") {
			t.Errorf("got %v", err)
		}
		fake.complete("a")
		time.Sleep(time.Minute)
		down.Store(false)
		<-done
		if v, err := f.Get(t.ctx); err != nil || v != "a" {
			t.Errorf("got %q, %v", v, err)
		}
	})
}

func TestFutureOfATaskThatIsForgottenEnds(t *testing.T) {
	t.Parallel()
	lost := func(t *trial, f *fray.Future[string]) {
		t.Helper()
		_, err := f.Get(t.ctx)
		var e *fray.TaskError
		if !errors.As(err, &e) || e.Reason != fray.ReasonTaskLost || e.TaskID != f.ID() {
			t.Errorf("got %v", err)
		}
	}
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		lost(t, attach(t, "never"))
		submitElsewhere(fake, "a", "b")
		f := attach(t, "a")
		done := f.Done()
		time.Sleep(time.Second)
		fake.forget()
		<-done
		lost(t, f)
		// A cancellation finds it out, too.
		submitElsewhere(fake, "b")
		f = attach(t, "b")
		f.Done()
		time.Sleep(time.Second)
		fake.mu.Lock()
		delete(fake.tasks, "b") // Who waits is not told.
		fake.mu.Unlock()
		if err := f.Cancel(t.ctx); !errors.Is(err, fray.ErrTaskLost) {
			t.Errorf("got %v", err)
		}
		start := time.Now()
		lost(t, f)
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestFutureOfATaskThatMayNotBeReadEnds(t *testing.T) {
	t.Parallel()
	for _, code := range []connect.Code{connect.CodePermissionDenied, connect.CodeUnauthenticated, connect.CodeUnimplemented} {
		fake := newFake()
		fake.beforeResults = func(context.Context, int, *frayv1.GetTaskResultsRequest) error {
			return connect.NewError(code, errors.New("not yours"))
		}
		withFake(t, fake, func(t *trial) {
			f := attach(t, "a")
			if _, err := f.Get(t.ctx); connect.CodeOf(err) != code || !strings.Contains(err.Error(), "ask for task a (function unknown)") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLargeValueOfAnotherClientIsFetched(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.omit = true
	withFake(t, fake, func(t *trial) {
		submitElsewhere(fake, "a", "b")
		first, second := attach(t, "a"), attach(t, "b")
		done := second.Done()
		fake.complete("a")
		if v, err := first.Get(t.ctx); err != nil || v != "a" {
			t.Errorf("got %q, %v", v, err)
		}
		// A controller that is away has lost the end by the time it is asked for the value.
		var started atomic.Bool
		fake.beforeResult = func(_ context.Context, id string) error {
			if !started.Swap(true) {
				time.Sleep(time.Second)
				fake.forget()
				submitElsewhere(fake, id)
			}
			return nil
		}
		fake.complete("b")
		time.Sleep(time.Minute)
		if isDone(second) || !started.Load() {
			t.Errorf("it runs again")
		}
		if batches, single := fake.asked(); batches > 20 || single != 2 {
			t.Errorf("asked %d and %d times", batches, single)
		}
		fake.complete("b")
		<-done
		if v, err := second.Get(t.ctx); err != nil || v != "b" {
			t.Errorf("got %q, %v", v, err)
		}
	})
}

func TestOpenFutureOfAnotherClientEndsWithItsJobContext(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		submitElsewhere(fake, "a", "b")
		f, later := attach(t, "a"), attach(t, "b")
		done := f.Done()
		time.Sleep(time.Second)
		if err := t.jc.Close(); err != nil {
			t.Error(err)
		}
		<-done
		for _, f := range []*fray.Future[string]{f, later} {
			if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrClosed) || !strings.Contains(err.Error(), "task "+f.ID()) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestCancellationNamesDependants(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		submitElsewhere(fake, "a", "b")
		a, b := attach(t, "a"), attach(t, "b")
		if err := errors.Join(a.Cancel(t.ctx), b.Cancel(t.ctx, fray.WithDependants()), t.jc.Cancel(t.ctx), t.jc.Cancel(t.ctx, fray.WithDependants())); err != nil {
			t.Error(err)
		}
		for _, f := range []*fray.Future[string]{a, b} {
			if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
				t.Errorf("got %v", err)
			}
		}
		if !slices.Equal(fake.canceled, []string{"a", "b"}) || fake.cascades != 2 {
			t.Errorf("cancelled %q, %d calls with dependants", fake.canceled, fake.cascades)
		}
	})
}

func TestFirstCauseIsTold(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		f := run(t, echo, "x")
		fake.mu.Lock()
		fake.end(f.ID(), func(r *frayv1.TaskResult) {
			r.Task = proto.CloneOf(r.GetTask())
			r.Task.Status, r.Task.FailureReason = frayv1.TaskStatus_TASK_STATUS_FAILED, frayv1.FailureReason_FAILURE_REASON_DEPENDENCY_FAILED
			r.Task.CauseTaskId, r.Task.AttemptNumber, r.Task.MaxAttempts = "first", 0, 3
			r.Error = &frayv1.TaskError{Message: "task first, which it needs, did not complete", Type: "dependency failed"}
		})
		fake.mu.Unlock()
		_, err := f.Get(t.ctx)
		dependencyFailed(t, err, "first")
		if want := fmt.Sprintf("task %s (echo): attempt", f.ID()); strings.HasPrefix(err.Error(), want) {
			t.Errorf("it had no attempt: %v", err)
		}
	})
}

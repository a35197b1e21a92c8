package fray_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/internal/failure"
)

// backendUnderTest makes job contexts of one kind. The functions of a job context are those of
// functions.
type backendUnderTest struct {
	kind fray.Kind
	// start returns a job context that is closed when the test ends.
	start func(t *testing.T, opts ...fray.Option) *fray.JobContext
	// inline: Run returns when the task has ended.
	inline bool
	// remote: functions are found by their name alone.
	remote bool
	// slots is how many tasks are executed at the same time.
	slots int
}

func TestSyncConforms(t *testing.T) {
	t.Parallel()
	conformance(t, backendUnderTest{kind: fray.KindSync, inline: true, slots: 1, start: func(t *testing.T, opts ...fray.Option) *fray.JobContext {
		t.Helper()
		return newJobContext(t, fray.KindSync, opts...)
	}})
}

func TestThreadPoolConforms(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 4} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			t.Parallel()
			conformance(t, backendUnderTest{kind: fray.KindThreadPool, slots: workers, start: func(t *testing.T, opts ...fray.Option) *fray.JobContext {
				t.Helper()
				return newJobContext(t, fray.KindThreadPool, append(opts, fray.WithWorkers(workers))...)
			}})
		})
	}
}

// conformanceTest is one behaviour that all backends have.
type conformanceTest struct {
	name     string
	detached bool // needs Run to return before the task ends
	remote   bool // of a backend with a controller
	local    bool // of one without
	slots    int  // that it needs at least
	options  []fray.Option
	run      func(*trial)
}

// inapplicable returns why a backend does not have the behaviour; empty: it has.
func (tt *conformanceTest) inapplicable(b backendUnderTest) string {
	switch {
	case tt.detached && b.inline:
		return "Run returns when the task has ended"
	case tt.remote && !b.remote:
		return "there is no controller, and functions are the client's own"
	case tt.local && b.remote:
		return "there is a controller"
	case tt.slots > b.slots:
		return fmt.Sprintf("it needs %d slots", tt.slots)
	}
	return ""
}

// conformance holds a backend to what all of them promise. Attributes of the tests say what they are
// about, for integration/backends, which makes a table of them.
func conformance(t *testing.T, b backendUnderTest) {
	t.Helper()
	tests := []conformanceTest{
		{name: "a task does not start before its time", run: func(t *trial) {
			soon := time.Now().Add(300 * time.Millisecond)
			f := run(t, echo, "late", fray.WithNotBefore(soon))
			if v, err := f.Get(t.ctx); err != nil || v != "late" || time.Now().Before(soon) {
				t.Errorf("got %q, %v, %v too early", v, err, time.Until(soon))
			}
			soon = time.Now().Add(10 * time.Millisecond).Truncate(time.Millisecond)
			got(t, notBefore, struct{}{}, soon.UTC(), fray.WithNotBefore(soon))
			got(t, notBefore, struct{}{}, time.Time{})
			got(t, echo, "at once", "at once", fray.WithNotBefore(time.Now().Add(-time.Hour)))
			if _, err := echo.Run(t.ctx, "", fray.WithNotBefore(time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC))); err == nil || !strings.Contains(err.Error(), "before which the task is not to start") {
				t.Errorf("a time that is none: %v", err)
			}
		}},
		{name: "a task that waits for its time can be cancelled", detached: true, run: func(t *trial) {
			f := run(t, echo, "never", fray.WithNotBefore(time.Now().Add(time.Hour)), fray.WithSchedulingTimeout(time.Minute))
			if err := f.Cancel(t.ctx); err != nil {
				t.Error(err)
			}
			if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
				t.Errorf("got %v", err)
			}
		}},
		{name: "a value comes back", run: func(t *trial) {
			got(t, echo, "hello", "hello")
			got(t, echo, "", "")
		}},
		{name: "a deep value comes back whole", run: testDeepValue},
		{name: "a message comes back", run: func(t *trial) {
			ctx := t.ctx
			v, err := double.Call(ctx, durationpb.New(time.Second))
			if err != nil || v.AsDuration() != 2*time.Second {
				t.Errorf("got %v, %v", v, err)
			}
		}},
		{name: "a nil message is an empty one", run: func(t *trial) {
			ctx := t.ctx
			v, err := double.Call(ctx, nil)
			if err != nil || v.AsDuration() != 0 {
				t.Errorf("got %v, %v", v, err)
			}
		}},
		{name: "bytes come back", run: func(t *trial) {
			got(t, reverse, []byte{1, 0, 255}, []byte{255, 0, 1})
			got(t, reverse, nil, []byte{})
		}},
		{name: "nothing comes back", run: func(t *trial) {
			got(t, nothing, struct{}{}, struct{}{})
		}},
		{name: "each Get decodes anew", run: func(t *trial) {
			ctx := t.ctx
			f := run(t, reverse, []byte{1, 2})
			first, err1 := f.Get(ctx)
			first[0] = 99
			second, err2 := f.Get(ctx)
			if err := errors.Join(err1, err2); err != nil || second[0] != 2 {
				t.Errorf("second value %v, %v", second, err)
			}
		}},
		{name: "an input may be changed after Run", run: func(t *trial) {
			ctx := t.ctx
			in := []byte{1, 2}
			f := run(t, reverse, in)
			in[0] = 99
			if v, err := f.Get(ctx); err != nil || v[1] != 1 {
				t.Errorf("got %v, %v", v, err)
			}
		}},
		{name: "an error names all", run: func(t *trial) {
			e := fails(t, fail, "undeclared")
			if e.Reason != fray.ReasonApplication || e.Message != "wrapped: undeclared" || e.Type != "*fmt.wrapError" || e.Function != "fail" {
				t.Errorf("got %+v", e)
			}
			for _, part := range []string{e.TaskID, "fail", "attempt 1 of 1", "worker " + e.WorkerID, "application error", "wrapped: undeclared"} {
				if !strings.Contains(e.Error(), part) {
					t.Errorf("text %q lacks %q", e, part)
				}
			}
		}},
		{name: "a declared error is found", run: func(t *trial) {
			if e := fails(t, fail, "declared"); !errors.Is(e, errDeclared) {
				t.Errorf("got %v", e)
			}
		}},
		{name: "an undeclared error is not found", run: func(t *trial) {
			if e := fails(t, fail, "undeclared"); errors.Is(e, errUndeclared) {
				t.Errorf("found in %v", e)
			}
		}},
		{name: "an error's type is told", run: func(t *trial) {
			var typed typedError
			if e := fails(t, fail, "typed"); e.Type != "fray_test.typedError" || errors.As(e, &typed) {
				t.Errorf("got %+v", e)
			}
		}},
		{name: "a panic is a failure with a stack", run: func(t *trial) {
			e := fails(t, fail, "panic")
			if e.Type != "panic" || !strings.Contains(e.Message, "boom") || !strings.Contains(e.Stack, "functions_test.go") {
				t.Errorf("got %+v", e)
			}
		}},
		{name: "a panic with a declared error is found", run: func(t *trial) {
			if e := fails(t, fail, "panic with an error"); e.Type != "panic" {
				t.Errorf("got %+v", e)
			}
		}},
		{name: "a huge error is cut", run: func(t *trial) {
			e := fails(t, fail, "huge")
			if n := len(e.Message); n > failure.MaxBytes || n < failure.MaxBytes-8 || !utf8.ValidString(e.Message) {
				t.Errorf("message of %d bytes", n)
			}
		}},
		{name: "an error that is not UTF-8 is told", run: func(t *trial) {
			if e := fails(t, fail, "invalid"); e.Message != "?" {
				t.Errorf("message %q", e.Message)
			}
		}},
		{name: "an error whose Error method panics is told", run: func(t *trial) {
			if e := fails(t, fail, "bad error"); !strings.Contains(e.Message, "no text") || e.Type != "fray_test.badError" {
				t.Errorf("got %+v", e)
			}
		}},
		{name: "a function that ends its goroutine fails", detached: true, run: func(t *trial) {
			if e := fails(t, fail, "exit"); e.Reason != fray.ReasonApplication {
				t.Errorf("got %+v", e)
			}
			got(t, echo, "the slot is free again", "the slot is free again")
		}},
		{name: "retries succeed", run: func(t *trial) {
			got(t, flaky, 2, 3, fray.WithRetries(2))
		}},
		{name: "retries run out", run: func(t *trial) {
			e := fails(t, flaky, 5, fray.WithRetries(2))
			if e.Attempt != 3 || e.MaxAttempts != 3 || e.Message != "failure 3: declared" || !errors.Is(e, errDeclared) {
				t.Errorf("got %+v", e)
			}
		}},
		{name: "there are no retries by default", run: func(t *trial) {
			if e := fails(t, flaky, 1); e.Attempt != 1 || e.MaxAttempts != 1 {
				t.Errorf("got %+v", e)
			}
		}},
		{name: "a non-retryable error is not retried", run: func(t *trial) {
			e := fails(t, fail, "non-retryable", fray.WithRetries(5))
			if e.Attempt != 1 || e.Message != "hopeless: declared" || e.Type != "*fmt.wrapError" || !errors.Is(e, errDeclared) {
				t.Errorf("got %+v", e)
			}
		}},
		{name: "a function chooses its delay", run: func(t *trial) {
			got(t, later, time.Millisecond, 2)
		}},
		{name: "an attempt times out", run: func(t *trial) {
			e := fails(t, hang, struct{}{}, fray.WithExecutionTimeout(time.Millisecond))
			if e.Reason != fray.ReasonTimeout || !errors.Is(e, context.DeadlineExceeded) || errors.Is(e, context.Canceled) {
				t.Errorf("got %v", e)
			}
		}},
		{name: "a timeout is retried", run: func(t *trial) {
			got(t, hangOnce, struct{}{}, "done",
				fray.WithExecutionTimeout(20*time.Millisecond), fray.WithRetries(3), fray.WithBackoff(1, 1, 1))
		}},
		{name: "a result without an encoding fails at once", run: func(t *trial) {
			e := fails(t, unencodable, struct{}{}, fray.WithRetries(5))
			if e.Reason != fray.ReasonUndecodable || !errors.Is(e, fray.ErrUndecodable) || e.Attempt != 1 {
				t.Errorf("got %v", e)
			}
		}},
		{name: "a task sees who it is", run: func(t *trial) {
			ctx := t.ctx
			f := run(t, tell, struct{}{}, fray.WithRetries(4))
			info, err := f.Get(ctx)
			if err != nil || info.TaskID != f.ID() || info.JobID != t.jc.JobID() || info.Function != "tell" ||
				info.Attempt != 1 || info.MaxAttempts != 5 || info.WorkerID == "" {
				t.Errorf("got %+v, %v", info, err)
			}
		}},
		{name: "a task has the id that it was given", run: func(t *trial) {
			if f := run(t, echo, "x", fray.WithTaskID(t.jc.JobID()+"/mine")); f.ID() != t.jc.JobID()+"/mine" {
				t.Errorf("id %q", f.ID())
			}
		}},
		{name: "a batch keeps its order", run: func(t *trial) {
			ctx := t.ctx
			ins := make([]string, 3000)
			for i := range ins {
				ins[i] = strconv.Itoa(i)
			}
			futures, err := echo.RunAll(ctx, ins, fray.WithTaskID(t.jc.JobID()))
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range futures {
				if v, err := f.Get(ctx); err != nil || v != ins[i] || f.ID() != t.jc.JobID()+"/"+ins[i] {
					t.Fatalf("future %d: %q, %v, id %s", i, v, err, f.ID())
				}
			}
		}},
		{name: "an empty batch is nothing", run: func(t *trial) {
			ctx := t.ctx
			if futures, err := echo.RunAll(ctx, nil); len(futures) != 0 || err != nil {
				t.Errorf("got %v, %v", futures, err)
			}
		}},
		{name: "many may run tasks at once", run: func(t *trial) {
			var group sync.WaitGroup
			for i := range 200 {
				group.Go(func() { got(t, echo, strconv.Itoa(i), strconv.Itoa(i)) })
			}
			group.Wait()
		}},
		{name: "tasks wait for tasks in a row", run: func(t *trial) {
			got(t, chain, 12, 12)
		}},
		{name: "tasks wait for tasks in a tree", run: func(t *trial) {
			got(t, fibonacci, 9, 34)
		}},
		{name: "Get gives up with its context", detached: true, run: testGetGivesUp},
		{name: "a running task is cancelled", detached: true, run: testCancelRunning},
		{name: "an ended task is not cancelled", run: func(t *trial) {
			ctx := t.ctx
			f := run(t, echo, "x")
			if _, err := f.Get(ctx); err != nil {
				t.Fatal(err)
			}
			if err := f.Cancel(ctx); err != nil {
				t.Error(err)
			}
			if v, err := f.Get(ctx); v != "x" || err != nil {
				t.Errorf("got %q, %v", v, err)
			}
		}},
		{name: "a job is cancelled", detached: true, run: testCancelJob},
		{name: "Wait returns what is done, in order", detached: true, run: testWait},
		{name: "Wait rejects what cannot be", run: func(t *trial) {
			ctx := t.ctx
			f := run(t, echo, "x")
			for _, n := range []int{-1, 0, 2} {
				if _, _, err := fray.Wait(ctx, []*fray.Future[string]{f}, n, -1); err == nil {
					t.Errorf("no error for n = %d", n)
				}
			}
		}},
		{name: "AsCompleted yields each as it is done", detached: true, run: testAsCompleted},
		{name: "Map yields in the order of the inputs", run: testMapOrder},
		{name: "Map yields as tasks end", detached: true, run: testMapAsCompleted},
		{name: "Map yields an error in its place", run: testMapErrors},
		{name: "Map takes no more than its bound", detached: true, run: testMapBound},
		{name: "Map tells its progress", run: testMapProgress},
		{name: "Map names its tasks as RunAll does", run: testMapIDs},
		{name: "Map of nothing is nothing", run: func(t *trial) {
			for v, err := range fray.Map(t.ctx, echo, slices.Values([]string(nil))) {
				t.Errorf("got %q, %v", v, err)
			}
		}},
		{name: "Map rejects what cannot be", run: testMapRejects},
		{name: "Map ends with its context", run: testMapContext},
		{name: "Map that is left takes no more", run: testMapLeft},
		{name: "Map that is left cancels what is open", detached: true, run: testMapCancels},
		{name: "Map lets a panic of its inputs through", run: testMapPanic},
		{name: "tasks map tasks", run: func(t *trial) {
			got(t, leaves, 4, 81)
		}},
		{name: "Close fails open futures", detached: true, run: testClose},
		{name: "a closed job context refuses tasks", run: func(t *trial) {
			ctx := t.ctx
			if err := errors.Join(t.jc.Close(), t.jc.Close()); err != nil {
				t.Fatal(err)
			}
			if _, err := echo.Run(ctx, "x"); !errors.Is(err, fray.ErrClosed) {
				t.Errorf("got %v", err)
			}
			futures, err := echo.RunAll(ctx, []string{"x", "y"})
			if !errors.Is(err, fray.ErrClosed) || len(futures) != 2 {
				t.Fatalf("got %v, %v", futures, err)
			}
			if _, err := futures[1].Get(ctx); !errors.Is(err, fray.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}},
		{name: "a done context refuses tasks", run: func(t *trial) {
			ctx := t.ctx
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			if _, err := echo.Run(ctx, "x"); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}},
		{name: "an invalid option is an error", run: func(t *trial) {
			ctx := t.ctx
			if f, err := echo.Run(ctx, "x", fray.WithRetries(-1)); f != nil || err == nil || !strings.Contains(err.Error(), "retries -1") {
				t.Errorf("got %v, %v", f, err)
			}
		}},
		{name: "an id is that of one task", run: testOneID},
		{name: "what is too large is refused", run: testTooLarge},
		{name: "what JSON would change is refused", run: func(t *trial) {
			if f, err := echo.Run(t.ctx, "caf\xe9"); f != nil || !errors.Is(err, fray.ErrUndecodable) || !strings.Contains(err.Error(), "not UTF-8") {
				t.Errorf("input: got %v, %v", f, err)
			}
			e := fails(t, changed, struct{}{}, fray.WithRetries(5))
			if e.Reason != fray.ReasonUndecodable || e.Attempt != 1 || !strings.Contains(e.Message, `value.Names[1]: string "\xff" is not UTF-8`) {
				t.Errorf("result: got %+v", e)
			}
		}},
		{name: "an input of another type fails at once", remote: true, run: func(t *trial) {
			e := fails(t, lax, "text", fray.WithRetries(5))
			if e.Reason != fray.ReasonUndecodable || e.Attempt != 1 {
				t.Errorf("got %v", e)
			}
		}},
	}
	for _, tt := range slices.Concat(tests, objectTests, needsTests, actorTests, limitTests, scheduleTests, onceTests,
		gangTests, jobTests) {
		t.Run(tt.name, func(t *testing.T) {
			t.Attr("backend", string(b.kind))
			t.Attr("behaviour", tt.name)
			if why := tt.inapplicable(b); why != "" {
				t.Attr("inapplicable", why)
				t.Skip(why)
			}
			t.Parallel()
			tt.run(newTrial(t, b.start(t, tt.options...)))
		})
	}
}

func testDeepValue(t *trial) {
	ctx := t.ctx
	yes := true
	in := document{
		Name:   "a <b> & \u2028 \x00",
		Nested: map[string]map[string][]int{"x": {"y": {1, 2}, "": nil}, "z": nil},
		List:   []*document{{Name: "one"}, nil, {Name: "three", Raw: []byte{0, 255}}},
		Next:   &document{Next: &document{Nested: map[string]map[string][]int{}}},
		At:     time.Date(2024, 2, 29, 23, 59, 59, 999999999, time.UTC),
		Took:   -time.Nanosecond,
		Ratio:  1e-300,
		Any:    map[string]any{"a": []any{1.5, "x", nil, true}},
		Flag:   &yes,
	}
	v, err := deep.Call(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*v, in) {
		t.Errorf("got  %+v\nwant %+v", *v, in)
	}
}

func testGetGivesUp(t *trial) {
	ctx := t.ctx
	name, g := newGate()
	f := run(t, meet, name)
	<-g.entered
	short, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := f.Get(short); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), f.ID()) {
		t.Errorf("got %v", err)
	}
	close(g.opened)
	if _, err := f.Get(ctx); err != nil {
		t.Errorf("the task did not go on: %v", err)
	}
	if v, err := f.Get(short); err != nil || v != name {
		t.Errorf("Get of a done task with a done context: %q, %v", v, err)
	}
}

func testCancelRunning(t *trial) {
	ctx := t.ctx
	name, g := newGate()
	f := run(t, meet, name, fray.WithRetries(3))
	<-g.entered
	if err := f.Cancel(ctx); err != nil {
		t.Fatal(err)
	}
	<-f.Done()
	_, err := f.Get(ctx)
	var e *fray.TaskError
	if !errors.Is(err, fray.ErrCancelled) || !errors.Is(err, context.Canceled) || !errors.As(err, &e) || e.Reason != fray.ReasonCancelled {
		t.Errorf("got %v", err)
	}
}

func testCancelJob(t *trial) {
	ctx := t.ctx
	futures, err := hang.RunAll(ctx, make([]struct{}, 20))
	if err != nil {
		t.Fatal(err)
	}
	if err := t.jc.Cancel(ctx); err != nil {
		t.Fatal(err)
	}
	for _, f := range futures {
		if _, err := f.Get(ctx); !errors.Is(err, fray.ErrCancelled) {
			t.Errorf("got %v", err)
		}
	}
}

func testWait(t *trial) {
	ctx := t.ctx
	name, g := newGate()
	blocked := run(t, meet, name)
	<-g.entered
	early, err := echo.RunAll(ctx, []string{"a", "b"}, fray.WithSchedulingTimeout(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	futures := []*fray.Future[string]{early[0], blocked, early[1]}
	// Done or too late, both are ended without the slot that the other one holds.
	done, pending, err := fray.Wait(ctx, futures, 2, -1)
	if err != nil || len(done) != 2 || done[0] != early[0] || done[1] != early[1] || len(pending) != 1 || pending[0] != blocked {
		t.Fatalf("got %v, %v, %v", done, pending, err)
	}
	for _, timeout := range []time.Duration{0, time.Millisecond} {
		if done, pending, err := fray.Wait(ctx, futures, 3, timeout); err != nil || len(done) != 2 || len(pending) != 1 {
			t.Errorf("timeout %v: got %v, %v, %v", timeout, done, pending, err)
		}
	}
	short, cancel := context.WithCancel(ctx)
	cancel()
	if done, _, err := fray.Wait(short, futures, 3, -1); !errors.Is(err, context.Canceled) || len(done) != 2 {
		t.Errorf("got %v, %v", done, err)
	}
	close(g.opened)
	if done, pending, err := fray.Wait(ctx, futures, 3, -1); err != nil || len(done) != 3 || len(pending) != 0 {
		t.Errorf("got %v, %v, %v", done, pending, err)
	}
}

func testAsCompleted(t *trial) {
	ctx := t.ctx
	first := run(t, echo, "first")
	<-first.Done()
	name, g := newGate()
	blocked := run(t, meet, name)
	<-g.entered
	var order []*fray.Future[string]
	for f, err := range fray.AsCompleted(ctx, []*fray.Future[string]{blocked, first}) {
		if err != nil {
			t.Fatal(err)
		}
		if order = append(order, f); len(order) == 1 {
			close(g.opened)
		}
	}
	if len(order) != 2 || order[0] != first || order[1] != blocked {
		t.Errorf("order %v", order)
	}
	hanging := run(t, hang, struct{}{})
	short, cancel := context.WithCancel(ctx)
	cancel()
	n := 0
	for f, err := range fray.AsCompleted(short, []*fray.Future[string]{hanging}) {
		if n++; f != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, %v", f, err)
		}
	}
	if n != 1 {
		t.Errorf("%d rounds", n)
	}
}

func testClose(t *trial) {
	ctx := t.ctx
	name, g := newGate()
	running := run(t, meet, name)
	<-g.entered
	waiting, err := hang.RunAll(ctx, make([]struct{}, 10))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		_, err := running.Get(ctx)
		got <- err
	}()
	if err := t.jc.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, fray.ErrClosed) || !strings.Contains(err.Error(), running.ID()) {
		t.Errorf("got %v", err)
	}
	for _, f := range waiting {
		if _, err := f.Get(ctx); !errors.Is(err, fray.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
}

// testOneID: what is submitted again is the same task, whatever became of it, and another task
// under its id is refused.
func testOneID(t *trial) {
	id := fray.WithTaskID(t.jc.JobID() + "/one")
	first := run(t, count, 1, id)
	values := func() {
		t.Helper()
		for range 3 {
			f := run(t, count, 1, id)
			v, err := f.Get(t.ctx)
			if again, err2 := first.Get(t.ctx); err != nil || err2 != nil || v != again || f.ID() != first.ID() {
				t.Errorf("got %d, %v and %d, %v", v, err, again, err2)
			}
		}
	}
	values()
	refused := func(err error) {
		t.Helper()
		if !errors.Is(err, fray.ErrAlreadyExists) || connect.CodeOf(err) != connect.CodeAlreadyExists ||
			strings.Count(err.Error(), "already_exists") != 1 || !strings.Contains(err.Error(), "choose another task id") {
			t.Errorf("got %v", err)
		}
	}
	_, err := count.Run(t.ctx, 2, id)
	refused(err)
	_, err = count.Run(t.ctx, 1, id, fray.WithRetries(3))
	refused(err)
	_, err = echo.Run(t.ctx, "1", id)
	refused(err)
	futures, err := count.RunAll(t.ctx, []int{1, 1}, fray.WithTaskID(t.jc.JobID()))
	if err != nil {
		t.Fatal(err)
	}
	again, err := count.RunAll(t.ctx, []int{1, 7}, fray.WithTaskID(t.jc.JobID()))
	refused(err)
	_, err = again[1].Get(t.ctx)
	refused(err)
	a, err1 := futures[0].Get(t.ctx)
	b, err2 := again[0].Get(t.ctx)
	if _, err3 := futures[1].Get(t.ctx); errors.Join(err1, err2, err3) != nil || a != b {
		t.Errorf("got %d, %v and %d, %v; %v", a, err1, b, err2, err3)
	}
	values()
	if n, _ := counted.Load(first.ID()); n.(*atomic.Int64).Load() != 1 {
		t.Errorf("one task was executed %d times", n.(*atomic.Int64).Load())
	}
}

func testTooLarge(t *trial) {
	const most = fray.DefaultMaxPayloadBytes
	f := run(t, size, make([]byte, most))
	if n, err := f.Get(t.ctx); err != nil || n != most {
		t.Errorf("the most: got %d, %v", n, err)
	}
	large, err := size.Run(t.ctx, make([]byte, most+1))
	if large != nil || connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), fmt.Sprintf("payload has %d bytes", most+1)) ||
		strings.Count(err.Error(), "invalid_argument") != 1 {
		t.Errorf("got %v, %v", large, err)
	}
	if e := fails(t, fill, most+1, fray.WithRetries(3)); e.Reason != fray.ReasonUndecodable || e.Attempt != 1 ||
		!strings.Contains(e.Message, fmt.Sprintf("result has %d bytes", most+1)) {
		t.Errorf("got %+v", e)
	}
}

package fray_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/frayrpc/fray/fray"
)

// muster is where the tasks of one attempt of a gang meet.
type muster struct {
	mu    sync.Mutex
	here  int
	whole chan struct{}
}

var musters sync.Map // by gang and attempt

// together returns once all of its gang are there, and says where it stands in that.
var together = fray.Define("together", func(ctx context.Context, name string) (string, error) {
	info, _ := fray.InTask(ctx)
	found, _ := musters.LoadOrStore(info.Gang.ID, &muster{whole: make(chan struct{})})
	m, _ := found.(*muster)
	m.mu.Lock()
	if m.here++; m.here == info.Gang.Size {
		close(m.whole)
	}
	m.mu.Unlock()
	select {
	case <-m.whole:
		return fmt.Sprintf("%s: %d of %d", name, info.Gang.Index, info.Gang.Size), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
})

// gangWork does what one of a gang is told to by its attempt's number.
type gangWork struct {
	// The attempt in which it fails; 0: none. Up to that one all others wait to be stopped.
	Fails, Until int
	// It is not to be tried again then.
	Final bool
	// All that start are counted here, by their gates' names.
	Gate string
}

var inGang = fray.Define("in-gang", func(ctx context.Context, w gangWork) (int, error) {
	info, _ := fray.InTask(ctx)
	if w.Gate != "" {
		if g := gateOf(w.Gate); g != nil && info.Attempt == 1 {
			close(g.entered)
		}
	}
	switch {
	case w.Fails == info.Attempt && w.Final:
		return 0, fray.NonRetryable(errors.New("fails for good"))
	case w.Fails == info.Attempt:
		return 0, errors.New("fails")
	case info.Attempt <= w.Until:
		<-ctx.Done()
		return 0, fmt.Errorf("stopped: %w", ctx.Err())
	}
	return info.Attempt, nil
})

func gangFunctions() []fray.Function { return []fray.Function{together, inGang} }

// gangOf submits a gang that has to be accepted.
func gangOf[In, Out any](t *trial, task *fray.Task[In, Out], ins []In, opts ...fray.CallOption) []*fray.Future[Out] {
	t.Helper()
	futures, err := task.RunGang(t.ctx, ins, opts...)
	if err != nil || len(futures) != len(ins) {
		t.Fatalf("%d futures, %v", len(futures), err)
	}
	return futures
}

var gangTests = []conformanceTest{
	{name: "a gang of one is a task", run: func(t *trial) {
		for _, f := range gangOf(t, together, []string{"alone"}) {
			if v, err := f.Get(t.ctx); err != nil || v != "alone: 0 of 1" {
				t.Errorf("got %q, %v", v, err)
			}
		}
	}},
	{name: "tasks of a gang are executed together", detached: true, slots: 3, run: func(t *trial) {
		id := t.jc.JobID() + "/gang"
		for i, f := range gangOf(t, together, []string{"a", "b", "c"}, fray.WithTaskID(id)) {
			if v, err := f.Get(t.ctx); err != nil || v != fmt.Sprintf("%c: %d of 3", 'a'+i, i) || f.ID() != fmt.Sprint(id, "/", i) {
				t.Errorf("task %s: %q, %v", f.ID(), v, err)
			}
		}
		if id := gangOf(t, together, []string{"a", "b"}); id[0].ID() == id[1].ID() {
			t.Errorf("two tasks have the id %s", id[0].ID())
		}
	}},
	{name: "a gang starts anew when an attempt of one is over, at no charge to the others", detached: true, slots: 3, run: func(t *trial) {
		work := []gangWork{{Until: 2}, {Fails: 2, Until: 2}, {Fails: 1}}
		want := []int{3, 3, 2} // What has completed stays.
		for i, f := range gangOf(t, inGang, work, fray.WithRetries(1), fray.WithBackoff(time.Millisecond, 1, time.Millisecond)) {
			if v, err := f.Get(t.ctx); err != nil || v != want[i] {
				t.Errorf("task %d: attempt %d, %v", i, v, err)
			}
		}
	}},
	{name: "one of a gang that fails for good has the others be cancelled", detached: true, slots: 3, run: func(t *trial) {
		futures := gangOf(t, inGang, []gangWork{{Until: 1}, {Fails: 1, Final: true}, {Until: 1}}, fray.WithRetries(3))
		for i, f := range futures {
			_, err := f.Get(t.ctx)
			var e *fray.TaskError
			if !errors.As(err, &e) || (e.Reason == fray.ReasonApplication) != (i == 1) || errors.Is(err, fray.ErrCancelled) != (i != 1) {
				t.Errorf("task %d: %v", i, err)
			}
		}
	}},
	{name: "what has completed of a gang stays", detached: true, slots: 3, run: func(t *trial) {
		first, g := newGate()
		work := []gangWork{{Gate: first}, {Until: 1}, {Until: 1}}
		futures := gangOf(t, inGang, work, fray.WithExecutionTimeout(200*time.Millisecond), fray.WithRetries(1), fray.WithBackoff(time.Millisecond, 1, time.Millisecond))
		<-g.entered
		for i, f := range futures {
			if v, err := f.Get(t.ctx); err != nil || (i == 0) != (v == 1) {
				t.Errorf("task %d: attempt %d, %v", i, v, err)
			}
		}
	}},
	{name: "a gang is cancelled whole", detached: true, slots: 3, run: func(t *trial) {
		name, g := newGate()
		futures := gangOf(t, inGang, []gangWork{{Until: 1, Gate: name}, {Until: 1}, {Until: 1}})
		<-g.entered
		if err := futures[2].Cancel(t.ctx); err != nil {
			t.Error(err)
		}
		waits := gangOf(t, together, []string{"a", "b"}, fray.WithNotBefore(time.Now().Add(time.Hour)))
		if err := waits[0].Cancel(t.ctx); err != nil {
			t.Error(err)
		}
		for i, f := range append(futures[:1:1], futures[1], futures[2]) {
			if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
				t.Errorf("task %d: %v", i, err)
			}
		}
		for i, f := range waits {
			if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
				t.Errorf("task %d that waits for its time: %v", i, err)
			}
		}
	}},
	{name: "a gang waits for what its tasks need", detached: true, slots: 3, run: func(t *trial) {
		name, g := newGate()
		futures := gangOf(t, shout, []*fray.Future[string]{run(t, meet, name), run(t, echo, "four")})
		if isDone(futures[1]) {
			t.Error("it started without the other")
		}
		close(g.opened)
		for i, want := range []string{strings.ToUpper(name), "FOUR"} {
			if v, err := futures[i].Get(t.ctx); err != nil || v != want {
				t.Errorf("task %d: %q, %v", i, v, err)
			}
		}
		failed := run(t, fail, "undeclared")
		futures = gangOf(t, shout, []*fray.Future[string]{run(t, echo, "four"), failed})
		if _, err := futures[1].Get(t.ctx); !errors.Is(err, fray.ErrDependencyFailed) {
			t.Errorf("got %v", err)
		}
		if _, err := futures[0].Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
			t.Errorf("got %v", err)
		}
	}},
	{name: "a gang that cannot be is refused, and nothing of it is run", run: func(t *trial) {
		for _, tt := range []struct {
			ins  []string
			opts []fray.CallOption
			want string
		}{
			{nil, nil, "tasks"},
			{make([]string, 1025), nil, "1025"},
			{[]string{"a", "\xff"}, nil, "input 1: "},
			{[]string{"a"}, []fray.CallOption{fray.WithLimit(newLimit(fray.MaxConcurrent(1)))}, "have no limits"},
		} {
			if fs, err := together.RunGang(t.ctx, tt.ins, tt.opts...); fs != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, %v, want %q", fs, err, tt.want)
			}
		}
		if t.inline {
			if _, err := together.RunGang(t.ctx, []string{"a", "b"}); err == nil || !strings.Contains(err.Error(), "a gang of 2 of together: a sync job context has one slot") {
				t.Errorf("got %v", err)
			}
		}
	}},
	{name: "a gang that is larger than all workers fails past its scheduling timeout, and says so", remote: true, run: func(t *trial) {
		if _, err := run(t, echo, "").Get(t.ctx); err != nil { // So there are workers.
			t.Fatal(err)
		}
		futures := gangOf(t, echo, make([]string, 1000), fray.WithSchedulingTimeout(time.Millisecond))
		failed := 0
		for _, f := range futures {
			_, err := f.Get(t.ctx)
			if errors.Is(err, fray.ErrSchedulingTimeout) && strings.Contains(err.Error(), "of the 1000 tasks of its gang") {
				failed++
			} else if !errors.Is(err, fray.ErrCancelled) {
				t.Errorf("got %v", err)
			}
		}
		if failed == 0 {
			t.Error("none says why")
		}
	}},
	{name: "a gang that is larger than the pool is refused", local: true, detached: true, run: func(t *trial) {
		if _, err := echo.RunGang(t.ctx, make([]string, 1000)); err == nil || !strings.Contains(err.Error(), "slots") {
			t.Errorf("got %v", err)
		}
	}},
}

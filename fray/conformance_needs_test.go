package fray_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
)

// summands have futures wherever a type can.
type summands struct {
	One   *fray.Future[int]
	Many  []*fray.Future[int]
	Named map[string]*fray.Future[int]
	Deep  *summands
}

// all returns the futures in s.
func (s *summands) all() []*fray.Future[int] {
	if s == nil {
		return nil
	}
	all := append([]*fray.Future[int]{s.One}, s.Many...)
	for _, f := range s.Named {
		all = append(all, f)
	}
	all = append(all, s.Deep.all()...)
	return slices.DeleteFunc(all, func(f *fray.Future[int]) bool { return f == nil })
}

// afterwards is a ref that is read once a task has ended.
type afterwards struct {
	After *fray.Future[string]
	Ref   fray.Ref[[]byte]
}

// The tasks of the tests about needs.
var (
	square = fray.Define("square", func(_ context.Context, n int) (int, error) { return n * n, nil })

	sumOf = fray.Define("sum-of", func(ctx context.Context, in summands) (int, error) {
		sum := 0
		for _, f := range in.all() {
			n, err := f.Get(ctx)
			if err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	})
	// settledOf says whether all that it needs has ended by the time it starts.
	settledOf = fray.Define("settled-of", func(ctx context.Context, in []*fray.Future[int]) (bool, error) {
		done, _, err := fray.Wait(ctx, in, len(in), 0)
		return len(done) == len(in), err
	})
	increment = fray.Define("increment", func(ctx context.Context, n *fray.Future[int]) (int, error) {
		v, err := n.Get(ctx)
		return v + 1, err
	})
	shout = fray.Define("shout", func(ctx context.Context, s *fray.Future[string]) (string, error) {
		v, err := s.Get(ctx)
		return strings.ToUpper(v), err
	})
	lengthLater = fray.Define("length-later", func(ctx context.Context, in afterwards) (int, error) {
		v, err := in.Ref.Get(ctx)
		return len(v), err
	})
	sizeOf = fray.Define("size-of", func(ctx context.Context, b *fray.Future[[]byte]) (int, error) {
		v, err := b.Get(ctx)
		return len(v), err
	})
	// spread returns the futures of its children.
	spread = fray.Define("spread", func(ctx context.Context, n int) (summands, error) {
		one, err := square.Run(ctx, n)
		if err != nil {
			return summands{}, err
		}
		many, err := square.RunAll(ctx, []int{n + 1, n + 2})
		return summands{One: one, Deep: &summands{Many: many}}, err
	})
	// passOn has a child depend on what it depends on itself.
	passOn = fray.Define("pass-on", func(ctx context.Context, in summands) (int, error) { return sumOf.Call(ctx, in) })
	// giveBack returns the futures that it was given.
	giveBack = fray.Define("give-back", func(_ context.Context, in summands) (summands, error) { return in, nil })
	keysOf   = fray.Define("keys-of", func(_ context.Context, in map[string]any) (string, error) {
		m, _ := in["future"].(map[string]any)
		return strings.Join(slices.Sorted(maps.Keys(m)), " "), nil
	})
	// rawPayload is known to workers as rawFunction.
	rawPayload = fray.Define("raw-payload", func(context.Context, *fray.Future[int]) ([]byte, error) { return nil, nil })
	// attached adds up tasks that it knows the ids of.
	attached = fray.Define("attached", func(ctx context.Context, ids []string) (int, error) {
		sum := 0
		for _, id := range ids {
			f, err := fray.Attach[int](ctx, id)
			if err != nil {
				return 0, err
			}
			n, err := f.Get(ctx)
			if err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	})
)

// rawFunction returns its input as it came.
type rawFunction struct{}

func (rawFunction) Name() string { return "raw-payload" }

func (rawFunction) Invoke(_ context.Context, input fray.Payload) (fray.Payload, error) {
	return fray.Payload{Encoding: "raw", Data: input.Data}, nil
}

// squares runs a task for each number.
func squares(t *trial, ns ...int) []*fray.Future[int] {
	t.Helper()
	futures, err := square.RunAll(t.ctx, ns)
	if err != nil {
		t.Fatal(err)
	}
	return futures
}

// dependencyFailed checks what a task ends with that needs one which did not complete.
func dependencyFailed(t *trial, err error, cause string) {
	t.Helper()
	var e *fray.TaskError
	if !errors.As(err, &e) || !errors.Is(err, fray.ErrDependencyFailed) || errors.Is(err, fray.ErrCancelled) || e.Reason != fray.ReasonDependencyFailed ||
		e.Cause != cause || e.Message != "task "+cause+", which it needs, did not complete" || e.Type != "dependency failed" || e.Attempt != 0 || e.MaxAttempts != 3 {
		t.Errorf("got %+v", err)
	}
}

// blockedOn runs tasks of which each needs the one before, and the first the task of a gate.
func blockedOn(t *trial, gate *fray.Future[string], n int) []*fray.Future[string] {
	t.Helper()
	var all []*fray.Future[string]
	for range n {
		gate = run(t, shout, gate, fray.WithRetries(2))
		all = append(all, gate)
	}
	return all
}

var needsTests = []conformanceTest{
	{name: "a task finds the values of futures in its input", run: func(t *trial) {
		fs := squares(t, 1, 2, 3, 4, 5, 6)
		got(t, sumOf, summands{
			One: fs[0], Many: []*fray.Future[int]{fs[1], nil, fs[2]}, Named: map[string]*fray.Future[int]{"a": fs[3], "b": fs[4], "c": nil},
			Deep: &summands{One: fs[5], Deep: &summands{}},
		}, 91)
		got(t, increment, fs[2], 10)
		got(t, sumOf, summands{}, 0)
	}},
	{name: "a future may be in an input many times", run: func(t *trial) {
		f := squares(t, 3)[0]
		got(t, sumOf, summands{One: f, Many: []*fray.Future[int]{f, f}, Named: map[string]*fray.Future[int]{"a": f, "b": f}}, 45)
	}},
	{name: "an interface may hold a future", run: func(t *trial) {
		f := squares(t, 3)[0]
		v, err := keysOf.Call(t.ctx, map[string]any{"future": f, "list": []any{f}})
		if err != nil || v != "task" {
			t.Errorf("got %q, %v", v, err)
		}
	}},
	{name: "what is needed has ended by the start", run: func(t *trial) {
		for range 20 {
			got(t, settledOf, squares(t, 1, 2, 3), true)
		}
	}},
	{name: "tasks form chains", run: func(t *trial) {
		f := run(t, square, 2)
		for range 50 {
			f = run(t, increment, f)
		}
		if v, err := f.Get(t.ctx); err != nil || v != 54 {
			t.Errorf("got %d, %v", v, err)
		}
	}},
	{name: "tasks form diamonds", run: func(t *trial) {
		top := run(t, square, 3)
		left, right := run(t, increment, top), run(t, sumOf, summands{Many: []*fray.Future[int]{top, top}})
		got(t, sumOf, summands{One: left, Many: []*fray.Future[int]{right, top}}, 37)
	}},
	{name: "a task waits at the backend for what it needs", detached: true, run: func(t *trial) {
		name, g := newGate()
		first := run(t, meet, name)
		all := blockedOn(t, first, 3)
		<-g.entered
		for _, f := range all {
			if isDone(f) {
				t.Errorf("task %s has not waited", f.ID())
			}
		}
		close(g.opened)
		if v, err := all[2].Get(t.ctx); err != nil || !strings.EqualFold(v, name) {
			t.Errorf("got %q, %v", v, err)
		}
	}},
	{name: "a task fails with what it needs", run: func(t *trial) {
		first := run(t, fail, "declared")
		second := run(t, shout, first, fray.WithRetries(2))
		third := run(t, shout, second, fray.WithRetries(2))
		_, err := second.Get(t.ctx)
		dependencyFailed(t, err, first.ID())
		_, err = third.Get(t.ctx)
		dependencyFailed(t, err, first.ID())
		_, err = shout.Call(t.ctx, third, fray.WithRetries(2))
		dependencyFailed(t, err, first.ID())
	}},
	{name: "a task that waits fails with what it needs", detached: true, run: func(t *trial) {
		first := run(t, hang, struct{}{})
		all := blockedOn(t, first, 3)
		if err := first.Cancel(t.ctx); err != nil {
			t.Error(err)
		}
		for _, f := range all {
			_, err := f.Get(t.ctx)
			dependencyFailed(t, err, first.ID())
		}
	}},
	{name: "a task is cancelled with what it needs", detached: true, run: func(t *trial) {
		first := run(t, hang, struct{}{})
		all := blockedOn(t, first, 3)
		if err := first.Cancel(t.ctx, fray.WithDependants()); err != nil {
			t.Error(err)
		}
		for _, f := range all {
			if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) || errors.Is(err, fray.ErrDependencyFailed) {
				t.Errorf("got %v", err)
			}
		}
	}},
	{name: "a task is cancelled with what it needs, wherever that is known from", detached: true, run: func(t *trial) {
		first := run(t, hang, struct{}{})
		f, err1 := fray.Attach[string](t.ctx, first.ID())
		g, err2 := fray.Attach[string](t.ctx, first.ID())
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		all := blockedOn(t, f, 2)
		if err := g.Cancel(t.ctx, fray.WithDependants()); err != nil {
			t.Error(err)
		}
		for _, f := range append(all, first) {
			if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) || errors.Is(err, fray.ErrDependencyFailed) {
				t.Errorf("got %v", err)
			}
		}
	}},
	{name: "a task that waits can be cancelled", detached: true, run: func(t *trial) {
		name, g := newGate()
		first := run(t, meet, name)
		<-g.entered
		all := blockedOn(t, first, 4)
		if err := all[0].Cancel(t.ctx); err != nil {
			t.Error(err)
		}
		if _, err := all[0].Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
			t.Errorf("got %v", err)
		}
		_, err := all[3].Get(t.ctx)
		dependencyFailed(t, err, all[0].ID())
		close(g.opened)
		if v, err := first.Get(t.ctx); err != nil || v != name {
			t.Errorf("got %q, %v", v, err)
		}
	}},
	{name: "a job is cancelled with all that waits", detached: true, run: func(t *trial) {
		first := run(t, hang, struct{}{})
		all := blockedOn(t, first, 20)
		if err := t.jc.Cancel(t.ctx); err != nil {
			t.Error(err)
		}
		for _, f := range append(all, first) {
			if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
				t.Errorf("got %v", err)
			}
		}
	}},
	{name: "a job context is closed with what waits", detached: true, run: func(t *trial) {
		all := blockedOn(t, run(t, hang, struct{}{}), 3)
		if err := t.jc.Close(); err != nil {
			t.Error(err)
		}
		for _, f := range all {
			if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
	}},
	{name: "a ref in an input is held while the task is open", detached: true, run: func(t *trial) {
		name, g := newGate()
		first := run(t, meet, name)
		<-g.entered
		r := putting(t, noise(600<<10))
		f := run(t, lengthLater, afterwards{first, r})
		if err := r.Release(t.ctx); err != nil {
			t.Error(err)
		}
		close(g.opened)
		if n, err := f.Get(t.ctx); err != nil || n != 600<<10 {
			t.Errorf("got %d, %v", n, err)
		}
		if _, err := r.Get(t.ctx); !errors.Is(err, fray.ErrObjectLost) {
			t.Errorf("after it: %v", err)
		}
	}},
	{name: "what is lost cannot be needed", run: func(t *trial) {
		f, err := fray.Attach[int](t.ctx, t.jc.JobID()+"/none")
		if err != nil {
			t.Fatal(err)
		}
		for _, opts := range [][]fray.CallOption{nil, {fray.WithTaskID(t.jc.JobID() + "/x")}} {
			for _, call := range []func() error{
				func() error { _, err := increment.Run(t.ctx, f, opts...); return err },
				func() error { _, err := increment.Call(t.ctx, f, opts...); return err },
			} {
				if err := call(); !errors.Is(err, fray.ErrTaskLost) || connect.CodeOf(err) != connect.CodeNotFound || !strings.Contains(err.Error(), fmt.Sprintf("it needs task %q", f.ID())) {
					t.Errorf("got %v", err)
				}
			}
			got(t, increment, run(t, square, 1), 2, opts...) // The id is free.
		}
	}},
	{name: "futures come back in results", run: func(t *trial) {
		children, err := spread.Call(t.ctx, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []int{9, 16, 25} {
			if v, err := children.all()[i].Get(t.ctx); err != nil || v != want {
				t.Errorf("got %d, %v", v, err)
			}
		}
		// They are needs like any other.
		got(t, sumOf, children, 50)
	}},
	{name: "futures that came in a result can be waited for", run: func(t *trial) {
		f := run(t, spread, 3)
		all := func() []*fray.Future[int] {
			children, err := f.Get(t.ctx)
			if err != nil {
				t.Fatal(err)
			}
			return children.all()
		}
		if done, _, err := fray.Wait(t.ctx, all(), 3, -1); err != nil || len(done) != 3 {
			t.Errorf("got %v, %v", done, err)
		}
		n := 0
		for f, err := range fray.AsCompleted(t.ctx, all()) {
			if n++; err != nil || !isDone(f) {
				t.Errorf("got %v", err)
			}
		}
		for _, f := range all() {
			<-f.Done()
			if err := f.Cancel(t.ctx); err != nil {
				t.Errorf("cancel what has ended: %v", err)
			}
		}
		if n != 3 {
			t.Errorf("%d of 3", n)
		}
	}},
	{name: "futures are passed on", run: func(t *trial) {
		fs := squares(t, 1, 2, 3)
		in := summands{One: fs[0], Many: fs[1:]}
		got(t, passOn, in, 14)
		back, err := giveBack.Call(t.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		got(t, sumOf, back, 14)
		if back.One.ID() != fs[0].ID() {
			t.Errorf("task %s came back as %s", fs[0].ID(), back.One.ID())
		}
	}},
	{name: "a future may be of a large value", run: func(t *trial) {
		f := run(t, fill, 1<<20)
		got(t, sizeOf, f, 1<<20)
		got(t, sizeOf, f, 1<<20)
	}},
	{name: "a future may be decoded by hand", run: func(t *trial) {
		f := run(t, square, 5)
		text, err := json.Marshal(f)
		if want := fmt.Sprintf(`{"task":%q}`, f.ID()); err != nil || string(text) != want {
			t.Errorf("got %s, %v; want %s", text, err, want)
		}
		var again, waited, given *fray.Future[int]
		if err := errors.Join(json.Unmarshal(text, &again), json.Unmarshal(text, &waited), json.Unmarshal(text, &given)); err != nil {
			t.Fatal(err)
		}
		if _, err := again.Get(context.Background()); !errors.Is(err, fray.ErrNoJobContext) {
			t.Errorf("without a job context: %v", err)
		}
		if v, err := again.Get(t.ctx); err != nil || v != 25 || again.ID() != f.ID() {
			t.Errorf("got %d, %v", v, err)
		}
		got(t, increment, given, 26)
		if done, _, err := fray.Wait(context.Background(), []*fray.Future[int]{waited}, 1, -1); err != nil || len(done) != 1 {
			t.Errorf("a wait that would never end: %v, %v", done, err)
		}
		if _, err := waited.Get(t.ctx); !errors.Is(err, fray.ErrNoJobContext) {
			t.Errorf("after it: %v", err)
		}
		if err := json.Unmarshal(text, f); err == nil {
			t.Error("a future became another")
		}
	}},
	{name: "a future is made of an id", run: func(t *trial) {
		ids := []string{run(t, square, 5).ID(), run(t, square, 6, fray.WithTaskID(t.jc.JobID()+"/6")).ID()}
		f, err := fray.Attach[int](t.ctx, ids[0])
		if err != nil {
			t.Fatal(err)
		}
		if v, err := f.Get(t.ctx); err != nil || v != 25 || f.ID() != ids[0] {
			t.Errorf("got %d, %v", v, err)
		}
		got(t, attached, ids, 61)
		got(t, increment, f, 26)
	}},
	{name: "a failure is told to a future made of an id", run: func(t *trial) {
		first := run(t, fail, "declared")
		f, err := fray.Attach[string](t.ctx, first.ID())
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Get(t.ctx)
		var e *fray.TaskError
		if !errors.As(err, &e) || e.Reason != fray.ReasonApplication || e.Message != "wrapped: declared" || e.Function != "fail" || e.TaskID != first.ID() {
			t.Errorf("got %+v", err)
		}
		if errors.Is(err, errDeclared) { // Who attaches does not know what the function declares.
			t.Errorf("found in %v", err)
		}
	}},
	{name: "an open task can be attached to", detached: true, run: func(t *trial) {
		name, g := newGate()
		first := run(t, meet, name)
		<-g.entered
		f, err := fray.Attach[string](t.ctx, first.ID())
		if err != nil {
			t.Fatal(err)
		}
		if isDone(f) {
			t.Error("it has not ended")
		}
		short, cancel := context.WithCancel(t.ctx)
		cancel()
		if _, err := f.Get(short); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), first.ID()) {
			t.Errorf("got %v", err)
		}
		close(g.opened)
		if v, err := f.Get(t.ctx); err != nil || v != name {
			t.Errorf("got %q, %v", v, err)
		}
	}},
	{name: "an attached task can be cancelled", detached: true, run: func(t *trial) {
		f, err := fray.Attach[string](t.ctx, run(t, hang, struct{}{}).ID())
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Cancel(t.ctx); err != nil {
			t.Error(err)
		}
		if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
			t.Errorf("got %v", err)
		}
	}},
	{name: "what no backend knows is lost", run: func(t *trial) {
		f, err := fray.Attach[int](t.ctx, t.jc.JobID()+"/none")
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Get(t.ctx)
		var e *fray.TaskError
		if !errors.Is(err, fray.ErrTaskLost) || !errors.As(err, &e) || e.TaskID != f.ID() || e.Function != "function unknown" {
			t.Errorf("got %+v", err)
		}
		if err := f.Cancel(t.ctx); err != nil {
			t.Errorf("cancel what is lost: %v", err)
		}
	}},
	{name: "what is no future is refused", run: func(t *trial) {
		if _, err := fray.Attach[int](t.ctx, "not an id"); err == nil || !strings.Contains(err.Error(), `task id "not an id" must be`) {
			t.Errorf("got %v", err)
		}
		if _, err := fray.Attach[int](context.Background(), "id"); !errors.Is(err, fray.ErrNoJobContext) {
			t.Errorf("got %v", err)
		}
		if _, err := fray.Attach[func()](t.ctx, "id"); err == nil || !strings.Contains(err.Error(), "func()") {
			t.Errorf("got %v", err)
		}
		_, err := sumOf.Run(t.ctx, summands{Deep: &summands{One: new(fray.Future[int])}})
		if !errors.Is(err, fray.ErrUndecodable) || !strings.Contains(err.Error(), "the future is empty") {
			t.Errorf("got %v", err)
		}
		_, err = lengthLater.Run(t.ctx, afterwards{})
		if !errors.Is(err, fray.ErrUndecodable) || !strings.Contains(err.Error(), "value.Ref: the ref is empty") {
			t.Errorf("got %v", err)
		}
	}},
	{name: "an id and its needs are one task", run: func(t *trial) {
		fs := squares(t, 1, 2, 3, 4, 5, 6, 7, 8, 9)
		in := func() summands {
			named := make(map[string]*fray.Future[int])
			for i, f := range fs {
				named[fmt.Sprint(i)] = f
			}
			return summands{Named: named}
		}
		id := fray.WithTaskID(t.jc.JobID() + "/sum")
		for range 10 {
			got(t, sumOf, in(), 285, id)
		}
		fs = squares(t, 1, 2, 3, 4, 5, 6, 7, 8, 9)
		if _, err := sumOf.Run(t.ctx, in(), id); !errors.Is(err, fray.ErrAlreadyExists) {
			t.Errorf("got %v", err)
		}
	}},
	{name: "too many needs are refused", run: func(t *trial) {
		id := t.jc.JobID()
		list := func(n int) []*fray.Future[int] {
			fs := make([]*fray.Future[int], n)
			for i := range fs {
				text := fmt.Sprintf(`{"task":"%s/%d"}`, id, i)
				if err := json.Unmarshal([]byte(text), &fs[i]); err != nil {
					t.Fatal(err)
				}
			}
			return fs
		}
		_, err := settledOf.Run(t.ctx, list(1025))
		if !errors.Is(err, fray.ErrUndecodable) || !strings.Contains(err.Error(), "value[1024]: it needs more than 1024 tasks") {
			t.Errorf("got %v", err)
		}
		refs := make([]fray.Ref[string], 1025)
		for i := range refs {
			refs[i].ID = fmt.Sprintf("%064x", i)
		}
		if _, err = joined.Run(t.ctx, refs); err == nil || !strings.Contains(err.Error(), "value[1024]: it needs more than 1024 objects") {
			t.Errorf("got %v", err)
		}
		fs := squares(t, slices.Repeat([]int{1}, 1024)...)
		if n, err := sumOf.Call(t.ctx, summands{Many: append(fs, fs...)}); err != nil || n != 2048 {
			t.Errorf("got %d, %v", n, err)
		}
	}},
	{name: "a future that was refused is no need", run: func(t *trial) {
		id := t.jc.JobID() + "/x"
		run(t, square, 1, fray.WithTaskID(id+"/0"))
		fs, err := square.RunAll(t.ctx, []int{2}, fray.WithTaskID(id))
		if !errors.Is(err, fray.ErrAlreadyExists) {
			t.Fatal(err)
		}
		_, err = increment.Run(t.ctx, fs[0])
		if !errors.Is(err, fray.ErrAlreadyExists) || !strings.Contains(err.Error(), "value: task "+id+"/0 (square) was not accepted") {
			t.Errorf("got %v", err)
		}
	}},
	{name: "futures travel in objects", run: func(t *trial) {
		r := putting(t, summands{Many: squares(t, 2, 3)})
		v, err := r.Get(t.ctx)
		if err != nil {
			t.Fatal(err)
		}
		got(t, sumOf, v, 13)
	}},
	{name: "a future of another backend", run: func(t *trial) {
		for _, kind := range []fray.Kind{fray.KindSync, fray.KindThreadPool} {
			there := newTrial(t.T, newJobContext(t.T, kind))
			f := run(there, square, 7)
			if k := t.jc.Kind(); k == fray.KindFray || k == fray.KindRay {
				_, err := increment.Run(t.ctx, f)
				if !errors.Is(err, fray.ErrUndecodable) || !strings.Contains(err.Error(), fmt.Sprintf("value: task %s (square) runs in this process, on a %s job context", f.ID(), kind)) {
					t.Errorf("got %v", err)
				}
				g := run(t, square, 8)
				got(there, increment, g, 65)
				back, err := giveBack.Call(there.ctx, summands{One: g})
				if err != nil {
					t.Fatal(err)
				}
				if v, err := back.One.Get(there.ctx); err != nil || v != 64 {
					t.Errorf("got %d, %v", v, err)
				}
			} else {
				got(t, increment, f, 50)
			}
		}
	}},
	{name: "a function that is no task sees what came", remote: true, run: func(t *trial) {
		f := run(t, square, 3)
		want := fmt.Appendf(nil, `{"task":%q}`, f.ID())
		v, err := rawPayload.Call(t.ctx, f)
		if err != nil || !bytes.Equal(v, want) {
			t.Errorf("got %s, %v", v, err)
		}
	}},
}

// isDone says whether a task has ended.
func isDone[T any](f *fray.Future[T]) bool {
	select {
	case <-f.Done():
		return true
	default:
		return false
	}
}

package fray_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/frayrpc/fray/fray"
)

// holding runs until its gate is opened. It lends its slot again and again meanwhile, so that others run beside it
// wherever there is but one.
var holding = fray.Define("holding", func(ctx context.Context, name string) (string, error) {
	g := gateOf(name)
	if g == nil {
		return "", fmt.Errorf("no %s", name)
	}
	close(g.entered)
	for {
		select {
		case <-g.opened:
			return name, nil
		default:
		}
		if _, err := echo.Call(ctx, name); err != nil {
			return "", err
		}
	}
})

func limitFunctions() []fray.Function { return []fray.Function{holding} }

var limitCount atomic.Int64

// newLimit returns a limit of a name of its own: those of a controller outlive a job context.
func newLimit(bounds ...fray.LimitBound) fray.Limit {
	return fray.NewLimit(fmt.Sprintf("limit %d", limitCount.Add(1)), bounds...)
}

// hold has a limit's place be taken until open is called.
func hold(t *trial, opts ...fray.CallOption) (f *fray.Future[string], open func()) {
	t.Helper()
	name, g := newGate()
	f = run(t, holding, name, opts...)
	select {
	case <-g.entered:
	case <-f.Done():
		_, err := f.Get(t.ctx)
		t.Fatalf("what is to hold a place has ended: %v", err)
	}
	return f, func() {
		t.Helper()
		close(g.opened)
		if v, err := f.Get(t.ctx); err != nil || v != name {
			t.Errorf("what held a place: %q, %v", v, err)
		}
	}
}

var limitTests = []conformanceTest{
	{name: "a limit lets no more run at once than it says, and holds nobody else up", detached: true, run: func(t *trial) {
		l := newLimit(fray.MaxConcurrent(1))
		_, open := hold(t, fray.WithLimit(l))
		waiting := run(t, echo, "waiting", fray.WithLimit(l))
		got(t, echo, "no limit", "no limit")
		got(t, echo, "another key", "another key", fray.WithLimit(l.For("other")))
		got(t, echo, "another limit", "another limit", fray.WithLimit(newLimit(fray.MaxConcurrent(1))))
		if isDone(waiting) {
			t.Error("two run at once")
		}
		open()
		if v, err := waiting.Get(t.ctx); err != nil || v != "waiting" {
			t.Errorf("got %q, %v", v, err)
		}
	}},
	{name: "the numbers of the last submission count", detached: true, run: func(t *trial) {
		l := newLimit(fray.MaxConcurrent(1))
		_, open := hold(t, fray.WithLimit(l))
		waiting := run(t, echo, "waiting", fray.WithLimit(l))
		got(t, echo, "wider", "wider", fray.WithLimit(fray.NewLimit(l.Name(), fray.MaxConcurrent(2))))
		if v, err := waiting.Get(t.ctx); err != nil || v != "waiting" {
			t.Errorf("got %q, %v", v, err)
		}
		open()
	}},
	{name: "an attempt gives its place back, however it ends", run: func(t *trial) {
		l := fray.WithLimit(newLimit(fray.MaxConcurrent(1)))
		got(t, flaky, 2, 3, fray.WithRetries(2), l)
		fails(t, fail, "panic", l)
		fails(t, hang, struct{}{}, fray.WithExecutionTimeout(time.Millisecond), l)
		got(t, echo, "after them", "after them", l)
	}},
	{name: "a task that waits for a place can be cancelled", detached: true, run: func(t *trial) {
		l := fray.WithLimit(newLimit(fray.MaxConcurrent(1)))
		_, open := hold(t, l)
		cancelled, next := run(t, echo, "cancelled", l), run(t, echo, "next", l)
		if err := cancelled.Cancel(t.ctx); err != nil {
			t.Error(err)
		}
		if _, err := cancelled.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
			t.Errorf("got %v", err)
		}
		if isDone(next) {
			t.Error("it had the place of one that runs")
		}
		open()
		if v, err := next.Get(t.ctx); err != nil || v != "next" {
			t.Errorf("got %q, %v", v, err)
		}
	}},
	{name: "one that is cancelled while it has a place gives it back", detached: true, run: func(t *trial) {
		l := fray.WithLimit(newLimit(fray.MaxConcurrent(1)))
		held, _ := hold(t, l)
		next := run(t, echo, "next", l)
		if err := held.Cancel(t.ctx); err != nil {
			t.Error(err)
		}
		if v, err := next.Get(t.ctx); err != nil || v != "next" {
			t.Errorf("got %q, %v", v, err)
		}
		if _, err := held.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
			t.Errorf("got %v", err)
		}
	}},
	{name: "who waits goes on by priority", detached: true, run: func(t *trial) {
		l := fray.WithLimit(newLimit(fray.MaxConcurrent(1)))
		_, open := hold(t, l)
		last := run(t, count, 1, l)
		first := run(t, count, 1, l, fray.WithPriority(1))
		open()
		a, err := first.Get(t.ctx)
		b, err2 := last.Get(t.ctx)
		if errors.Join(err, err2) != nil || a > b {
			t.Errorf("the one of a higher priority came %v later: %v, %v", time.Duration(a-b), err, err2)
		}
	}},
	{name: "a task has places in all of its limits, or in none", detached: true, run: func(t *trial) {
		one, two := fray.WithLimit(newLimit(fray.MaxConcurrent(1))), fray.WithLimit(newLimit(fray.MaxConcurrent(1)))
		_, open := hold(t, one)
		both := run(t, echo, "both", one, two)
		got(t, echo, "two", "two", two)
		if isDone(both) {
			t.Error("it had a place that was taken")
		}
		open()
		if v, err := both.Get(t.ctx); err != nil || v != "both" {
			t.Errorf("got %q, %v", v, err)
		}
	}},
	{name: "a limit lets no more start in a time than it says", run: func(t *trial) {
		const starts, period, n = 2, 100 * time.Millisecond, 5
		l := newLimit(fray.MaxStarts(starts, period))
		began := time.Now()
		latest := int64(0)
		for range n {
			started, err := count.Call(t.ctx, 1, fray.WithLimit(l))
			if err != nil {
				t.Fatal(err)
			}
			latest = max(latest, started)
		}
		if took := time.Duration(latest - began.UnixNano()); took < (n-starts)*period/starts-time.Millisecond { // Two clocks
			t.Errorf("%d starts within %v, by a limit of %d in %v", n, took, starts, period)
		}
	}},
}

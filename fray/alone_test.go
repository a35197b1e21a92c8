package fray_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// confirmed returns what the submissions that waited for the ends of their tasks have confirmed.
func (f *fakeController) confirmed() []uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []uint64
	for _, r := range f.alone {
		all = append(all, r.GetConfirmedCursor())
	}
	return all
}

// echoes has tasks complete at once from now on.
func (f *fakeController) echoes() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.echo = true
}

// A call on its own takes one request, which confirms what the last one brought.
func TestCallTakesOneRequest(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.echo = true
	withFake(t, fake, func(t *trial) {
		for range 3 {
			got(t, echo, "x", "x")
		}
		synctest.Wait()
		if submits, watches, lookups := fake.counts(); len(submits) != 3 || watches > 0 || lookups > 0 {
			t.Errorf("%d submissions, %d watches and %d lookups for 3 calls", len(submits), watches, lookups)
		}
		if have, want := fake.confirmed(), []uint64{0, 1, 2}; !slices.Equal(have, want) {
			t.Errorf("they confirm %v, want %v", have, want)
		}
	})
}

// As long as another task is open, a call goes as any other, and its end is the watcher's to tell and to
// confirm.
func TestCallBesideOthersGoesWithThem(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		f := run(t, echo, "open", fray.WithTaskID("open"))
		fake.echoes()
		got(t, echo, "x", "x")
		got(t, echo, "x", "x")
		if alone := fake.confirmed(); len(alone) > 0 {
			t.Errorf("%d calls went alone beside another", len(alone))
		}
		fake.complete("open")
		if v, err := f.Get(t.ctx); err != nil || v != "open" {
			t.Errorf("got %q, %v", v, err)
		}
		got(t, echo, "x", "x")
		got(t, echo, "x", "x")
		if have, want := fake.confirmed(), []uint64{0, 4}; !slices.Equal(have, want) {
			t.Errorf("they confirm %v, want %v", have, want)
		}
	})
}

// Others that join a call which goes alone have ends of their own, before its end or after, which it does
// not confirm.
func TestCallDoesNotConfirmForOthers(t *testing.T) {
	t.Parallel()
	fake := newFake()
	var slow atomic.Bool
	fake.beforeWatch = func(int, *frayv1.WatchJobRequest) error {
		if slow.Load() { // So long it is not told.
			time.Sleep(time.Second / 2)
		}
		return nil
	}
	withFake(t, fake, func(t *trial) {
		alone := make(chan error)
		go func() {
			_, err := echo.Call(t.ctx, "x", fray.WithTaskID("alone"))
			alone <- err
		}()
		synctest.Wait()
		f := run(t, echo, "y", fray.WithTaskID("joins"))
		synctest.Wait()
		slow.Store(true)
		fake.complete("joins", "alone")
		if err := <-alone; err != nil {
			t.Error(err)
		}
		if v, err := f.Get(t.ctx); err != nil || v != "y" {
			t.Errorf("got %q, %v", v, err)
		}
		slow.Store(false)
		fake.echoes()
		got(t, echo, "z", "z")
		if have, want := fake.confirmed(), []uint64{0, 2}; !slices.Equal(have, want) {
			t.Errorf("they confirm %v, want %v", have, want)
		}
	})
}

// The answer to a call that goes alone may say that the controller has forgotten the watcher. It has not been
// told of the end of a task whose submission is not answered yet.
func TestCallDoesNotSkipEndsOfOthers(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.echo = true
	fake.beforeSubmit = func(n int, _ *frayv1.SubmitTasksRequest) error {
		if n == 2 {
			time.Sleep(10 * time.Millisecond)
			fake.mu.Lock()
			defer fake.mu.Unlock()
			clear(fake.watchers)
		}
		return nil
	}
	fake.afterSubmit = func(n int, _ *frayv1.SubmitTasksRequest) error {
		if n == 3 {
			time.Sleep(20 * time.Millisecond)
		}
		return nil
	}
	withFake(t, fake, func(t *trial) {
		if v, err := run(t, echo, "w").Get(t.ctx); err != nil || v != "w" {
			t.Errorf("got %q, %v", v, err)
		}
		start := time.Now()
		var group sync.WaitGroup
		group.Go(func() { got(t, echo, "x", "x") })
		synctest.Wait()
		group.Go(func() { got(t, echo, "y", "y") })
		group.Wait()
		if d := time.Since(start); d != 20*time.Millisecond {
			t.Errorf("took %v", d)
		}
	})
}

func TestCallIsToldOfItsEndInTheEnd(t *testing.T) {
	t.Parallel()
	lost := connect.NewError(connect.CodeUnavailable, errors.New("the answer is lost"))
	tests := []struct {
		name    string
		set     func(*fakeController)
		submits int
	}{
		{"after a lost answer", func(f *fakeController) {
			f.echo = true
			f.afterSubmit = func(n int, _ *frayv1.SubmitTasksRequest) error {
				if n == 1 {
					return lost
				}
				return nil
			}
		}, 2},
		{"after a restart that forgot it", func(f *fakeController) {
			f.afterSubmit = func(n int, _ *frayv1.SubmitTasksRequest) error {
				if n == 1 {
					f.forget()
					f.echoes()
					return lost
				}
				return nil
			}
		}, 2},
		{"a large value", func(f *fakeController) { f.echo, f.omit = true, true }, 1},
		{"of an earlier controller", func(f *fakeController) { f.echo, f.earlier = true, true }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := newFake()
			tt.set(fake)
			withFake(t, fake, func(t *trial) {
				got(t, echo, "x", "x")
				if submits, _, _ := fake.counts(); len(submits) != tt.submits {
					t.Errorf("%d submissions, want %d", len(submits), tt.submits)
				}
			})
		})
	}
}

func TestCallThatTakesLong(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		start := time.Now()
		time.AfterFunc(time.Minute, func() { fake.complete("slow") })
		got(t, echo, "x", "x", fray.WithTaskID("slow"))
		if d := time.Since(start); d != time.Minute {
			t.Errorf("took %v, the task a minute", d)
		}
		if submits, watches, _ := fake.counts(); len(submits) != 1 || watches > 6 {
			t.Errorf("%d submissions and %d watches in a minute", len(submits), watches)
		}
	})
}

func TestCallIsRefused(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.refuse = func(*frayv1.TaskSpec) connect.Code { return connect.CodeAlreadyExists }
	withFake(t, fake, func(t *trial) {
		_, err := echo.Call(t.ctx, "x", fray.WithTaskID("taken"))
		if !errors.Is(err, fray.ErrAlreadyExists) || connect.CodeOf(err) != connect.CodeAlreadyExists {
			t.Errorf("got %v", err)
		}
		fake.refuse = nil
		fake.echoes()
		got(t, echo, "y", "y") // It is in nobody's way.
	})
}

// Whoever gives up a call has its error at once, and the next call is none the worse for it.
func TestCallIsGivenUp(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		ctx, cancel := context.WithTimeout(t.ctx, 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, err := echo.Call(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 300*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		fake.echoes()
		got(t, echo, "y", "y")
	})
}

func TestCallEndsWithItsJobContext(t *testing.T) {
	t.Parallel()
	withFake(t, newFake(), func(t *trial) {
		ended := make(chan error)
		go func() {
			_, err := echo.Call(t.ctx, "x")
			ended <- err
		}()
		synctest.Wait()
		if err := t.jc.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, fray.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

// What a watcher at rest was told of a task that was still being submitted, the controller keeps until
// it is; then the watcher says so, and need not be told anything new for that.
func TestEndsOfSubmittedTasksAreConfirmedAtRest(t *testing.T) {
	t.Parallel()
	fake := newFake()
	lost := connect.NewError(connect.CodeUnavailable, errors.New("the answer is lost"))
	fake.afterSubmit = func(n int, req *frayv1.SubmitTasksRequest) error {
		if req.GetTasks()[0].GetTaskId() != "late" || n > 2 {
			return nil
		}
		fake.complete("late", "first") // It is told while its submission is not known to have arrived.
		time.Sleep(5 * time.Second)
		fake.echoes()
		return lost
	}
	var needed atomic.Uint64
	fake.beforeWatch = func(_ int, req *frayv1.WatchJobRequest) error {
		needed.Store(req.GetCursor())
		if req.NeededCursor != nil {
			needed.Store(req.GetNeededCursor())
		}
		return nil
	}
	withFake(t, fake, func(t *trial) {
		f := run(t, echo, "first", fray.WithTaskID("first"))
		got(t, echo, "late", "late", fray.WithTaskID("late"))
		if _, err := f.Get(t.ctx); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if last := needed.Load(); last != 0 {
			t.Errorf("the end of the task that was still being submitted was confirmed: what is needed begins at %d", last)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if last := needed.Load(); last != 2 {
			t.Errorf("in the end, what is told is needed from %d on, want 2", last)
		}
	})
}

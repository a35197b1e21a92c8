package fray_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray"
)

// startsOf are when functions of a test started, since it began.
func startsOf(t *trial, began time.Time, fs []*fray.Future[int64]) (starts []time.Duration) {
	t.Helper()
	for _, f := range fs {
		at, err := f.Get(t.ctx)
		if err != nil {
			t.Fatal(err)
		}
		starts = append(starts, time.Unix(0, at).Sub(began))
	}
	slices.Sort(starts)
	return starts
}

// TestLocalLimitsOnStarts: a bucket of 3 tokens that fills in 6 s lets 3 start at once, then one each 2 s, and after
// a while 3 again.
func TestLocalLimitsOnStarts(t *testing.T) {
	t.Parallel()
	for _, kind := range []fray.Kind{fray.KindSync, fray.KindThreadPool} {
		inBubble(t, kind, func(t *trial) {
			l := newLimit(fray.MaxStarts(3, 6*time.Second))
			began := time.Now()
			check := func(n int, want ...time.Duration) {
				t.Helper()
				fs, err := count.RunAll(t.ctx, make([]int, n), fray.WithLimit(l))
				if err != nil {
					t.Fatal(err)
				}
				if got := startsOf(t, began, fs); !slices.Equal(got, want) {
					t.Errorf("%s: starts at %v, want %v", kind, got, want)
				}
			}
			const s = time.Second
			check(5, 0, 0, 0, 2*s, 4*s)
			check(1, 6*s)
			time.Sleep(4 * s)
			check(3, 10*s, 10*s, 12*s)
			time.Sleep(time.Minute)
			check(4, 72*s, 72*s, 72*s, 74*s)
			// Who makes it less strict does not wait for a bucket that was emptied before.
			l = fray.NewLimit(l.Name(), fray.MaxStarts(1, time.Second))
			check(2, 75*s, 76*s)
		}, fray.WithWorkers(8))
	}
}

// TestTokensAreNotSavedUp: a task that waits for a slot has its token set aside, and no more are.
func TestTokensAreNotSavedUp(t *testing.T) {
	t.Parallel()
	inBubble(t, fray.KindThreadPool, func(t *trial) {
		l := newLimit(fray.MaxStarts(2, 10*time.Second))
		began := time.Now()
		name, g := newGate()
		blocker := run(t, meet, name)
		fs, err := count.RunAll(t.ctx, make([]int, 4), fray.WithLimit(l))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		close(g.opened)
		if _, err := blocker.Get(t.ctx); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{time.Hour, time.Hour, time.Hour + 5*time.Second, time.Hour + 10*time.Second}
		if got := startsOf(t, began, fs); !slices.Equal(got, want) {
			t.Errorf("starts at %v, want %v", got, want)
		}
	}, fray.WithWorkers(1))
}

// TestSyncRefusesALimitThatItHolds: who runs a task of a limit that it has all places of would wait for itself.
func TestSyncRefusesALimitThatItHolds(t *testing.T) {
	t.Parallel()
	var nested *fray.Task[int, int]
	l := newLimit(fray.MaxConcurrent(2))
	nested = fray.Define("nested", func(ctx context.Context, n int) (int, error) {
		if n == 0 {
			return 0, nil
		}
		v, err := nested.Call(ctx, n-1, fray.WithLimit(l))
		return v + 1, err
	})
	x := newTrial(t, newJobContext(t, fray.KindSync))
	if v, err := nested.Call(x.ctx, 1, fray.WithLimit(l)); v != 1 || err != nil {
		t.Errorf("two deep: %d, %v", v, err)
	}
	if _, err := nested.Call(x.ctx, 2, fray.WithLimit(l)); err == nil || !strings.Contains(err.Error(), "has no room before task ") ||
		!strings.Contains(err.Error(), "on a sync job context that would never be") {
		t.Errorf("three deep: %v", err)
	}
}

// TestWaitsForLimitsEnd: with the caller's context on the sync backend, with a scheduling timeout on the threadpool, and with the
// job context on both.
func TestWaitsForLimitsEnd(t *testing.T) {
	t.Parallel()
	once := func() fray.CallOption { return fray.WithLimit(newLimit(fray.MaxStarts(1, 24*time.Hour))) }
	inBubble(t, fray.KindSync, func(t *trial) {
		l := once()
		got(t, echo, "x", "x", l)
		ctx, cancel := context.WithTimeout(t.ctx, time.Minute)
		defer cancel()
		if _, err := echo.Call(ctx, "y", l); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, fray.ErrCancelled) {
			t.Errorf("got %v", err)
		}
		ended := make(chan error)
		go func() {
			_, err := echo.Call(t.ctx, "z", l)
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
	inBubble(t, fray.KindThreadPool, func(t *trial) {
		l := once()
		got(t, echo, "x", "x", l)
		if e := fails(t, echo, "y", l, fray.WithSchedulingTimeout(time.Minute)); e.Reason != fray.ReasonSchedulingTimeout {
			t.Errorf("got %v", e)
		}
		open := run(t, echo, "z", l)
		if err := t.jc.Close(); err != nil {
			t.Error(err)
		}
		if _, err := open.Get(t.ctx); !errors.Is(err, fray.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

// TestManyThatWaitAreCancelled: what is cancelled with the one that has the place does not start for a moment.
func TestManyThatWaitAreCancelled(t *testing.T) {
	t.Parallel()
	inBubble(t, fray.KindThreadPool, func(t *trial) {
		l := fray.WithLimit(newLimit(fray.MaxConcurrent(1)))
		name, g := newGate()
		blocker := run(t, meet, name)
		<-g.entered
		fs, err := count.RunAll(t.ctx, make([]int, 1000), l)
		if err != nil {
			t.Fatal(err)
		}
		if err := t.jc.Cancel(t.ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := blocker.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
			t.Errorf("got %v", err)
		}
		for _, f := range fs {
			if _, err := f.Get(t.ctx); !errors.Is(err, fray.ErrCancelled) {
				t.Fatalf("got %v", err)
			}
			if _, ran := counted.Load(f.ID()); ran {
				t.Fatalf("task %s has run", f.ID())
			}
		}
		got(t, echo, "after them", "after them", l)
	}, fray.WithWorkers(1))
}

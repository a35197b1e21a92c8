package fray_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray"
)

// A function that is abandoned keeps its actor until it returns, whatever the next call's patience.
func TestAbandonedCallKeepsItsActor(t *testing.T) {
	t.Parallel()
	inBubble(t, fray.KindThreadPool, func(t *trial) {
		class := fray.DefineActor("class", func(context.Context, int) (*int, error) { return new(int), nil })
		begun, opened := make(chan struct{}), make(chan struct{})
		deaf := fray.DefineMethod(class, "deaf", func(_ context.Context, n *int, _ int) (int, error) {
			close(begun)
			<-opened
			*n = 100
			return 0, nil
		})
		inc := fray.DefineMethod(class, "inc", func(_ context.Context, n *int, by int) (int, error) {
			*n += by
			return *n, nil
		})
		a, err := class.Create(t.ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		f := calling(t, deaf, a, 0, fray.WithExecutionTimeout(time.Second))
		<-begun
		next, last := calling(t, inc, a, 1, fray.WithExecutionTimeout(time.Minute)), calling(t, inc, a, 2)
		if _, err := f.Get(t.ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 6*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		if _, err := next.Get(t.ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) < time.Minute {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		synctest.Wait()
		if isDone(last) {
			t.Error("a call has not waited")
		}
		close(opened)
		if v, err := last.Get(t.ctx); err != nil || v != 102 {
			t.Errorf("got %d, %v", v, err)
		}
	}, fray.WithWorkers(4))
}

// A state is closed once no call runs on it, or once those are abandoned; with its job context, too.
func TestStateIsClosedInTheEnd(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"delete", "close", "cancel"} {
		synctest.Test(t, func(t *testing.T) {
			jc, err := fray.NewJobContext(context.Background(), fray.KindThreadPool, fray.WithLogger(nil), fray.WithWorkers(2))
			if err != nil {
				t.Fatal(err)
			}
			trial := newTrial(t, jc)
			name, b := newBook()
			a, idle := tallying(trial, opening{Book: name}), tallying(trial, opening{})
			gate, g := newGate()
			calling(trial, stuck, a, gate)
			totals(trial, idle, 1, 1)
			synctest.Wait()
			start := time.Now()
			switch how {
			case "delete":
				err = a.Delete(trial.ctx)
			case "cancel":
				err = jc.Cancel(trial.ctx)
			case "close":
				go func() { _ = jc.Close() }() // It is looked at below.
			}
			if err != nil {
				t.Error(err)
			}
			<-b.ended
			if d := time.Since(start); d != 5*time.Second {
				t.Errorf("%s: closed after %v", how, d)
			}
			close(g.opened)
			_ = jc.Close() // It is late for the one that ignores its context.
			if n := b.closed.Load(); n != 1 {
				t.Errorf("%s: closed %d times", how, n)
			}
		})
	}
}

// What a constructor makes once its actor is dead is closed, too.
func TestLateStateIsClosed(t *testing.T) {
	t.Parallel()
	inBubble(t, fray.KindThreadPool, func(t *trial) {
		name, b := newBook()
		begun, opened := make(chan struct{}), make(chan struct{})
		class := fray.DefineActor("class", func(context.Context, int) (*tally, error) {
			close(begun)
			<-opened
			return newTally(t.ctx, opening{Book: name})
		})
		method := fray.DefineMethod(class, "m", func(context.Context, *tally, int) (int, error) { return 0, nil })
		a, err := class.Create(t.ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := calling(t, method, a, 1)
		<-begun
		if err := a.Delete(t.ctx); err != nil {
			t.Error(err)
		}
		_, err = f.Get(t.ctx)
		dead(t, err, "it was deleted")
		close(opened)
		<-b.ended
	})
}

// What would wait for itself is refused where Run does not return.
func TestInlineCallOfItselfIsRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, fray.KindSync, func(t *trial) {
		var again *fray.Method[int, int, int]
		class := fray.DefineActor("class", func(_ context.Context, n int) (int, error) { return n, nil })
		wide := fray.DefineActor("wide", func(_ context.Context, n int) (int, error) { return n, nil }, fray.WithMaxConcurrency(2))
		var a, w *fray.Actor[int]
		through := fray.Define("through", func(ctx context.Context, n int) (int, error) { return again.Call(ctx, a, n) })
		again = fray.DefineMethod(class, "again", func(ctx context.Context, _, n int) (int, error) {
			if n == 0 {
				return 0, nil
			}
			return through.Call(ctx, n-1)
		})
		var deeper *fray.Method[int, int, int]
		deeper = fray.DefineMethod(wide, "deeper", func(ctx context.Context, _, n int) (int, error) {
			if n == 0 {
				return 7, nil
			}
			return deeper.Call(ctx, w, n-1)
		})
		var err1, err2 error
		a, err1 = class.Create(t.ctx, 1)
		w, err2 = wide.Create(t.ctx, 1)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if _, err := again.Call(t.ctx, a, 1); err == nil || !strings.Contains(err.Error(), "it calls actor "+a.ID()+", which waits for it") {
			t.Errorf("got %v", err)
		}
		if v, err := again.Call(t.ctx, a, 0); err != nil || v != 0 {
			t.Errorf("got %d, %v", v, err)
		}
		if v, err := deeper.Call(t.ctx, w, 1); err != nil || v != 7 {
			t.Errorf("got %d, %v", v, err)
		}
		if _, err := deeper.Call(t.ctx, w, 2); err == nil || !strings.Contains(err.Error(), "which waits for it") {
			t.Errorf("got %v", err)
		}
		itself := fray.DefineActor("itself", func(ctx context.Context, _ int) (int, error) {
			me, err := class.Find(ctx, "me")
			if err != nil {
				return 0, err
			}
			return again.Call(ctx, me, 0)
		})
		if _, err := itself.Create(t.ctx, 0, fray.WithActorName("me")); err != nil {
			t.Error(err)
		}
	})
}

// Several goroutines call an actor of the sync backend: each runs its own calls, in turn.
func TestInlineCallsOfSeveralCallers(t *testing.T) {
	t.Parallel()
	inBubble(t, fray.KindSync, func(t *trial) {
		a := tallying(t, opening{})
		name, g := newGate()
		ended := make(chan error, 3)
		go func() {
			_, err := meetThere.Call(t.ctx, a, name)
			ended <- err
		}()
		<-g.entered
		short, cancel := context.WithTimeout(t.ctx, time.Second)
		defer cancel()
		if _, err := add.Call(short, a, 1); !errors.Is(err, fray.ErrCancelled) {
			t.Errorf("a call that waited for its turn: %v", err)
		}
		go func() {
			_, err := add.Call(t.ctx, a, 10)
			ended <- err
		}()
		synctest.Wait()
		if err := a.Delete(t.ctx); err != nil {
			t.Error(err)
		}
		for range 2 {
			dead(t, <-ended, "it was deleted")
		}
		_, err := add.Call(t.ctx, a, 1)
		dead(t, err, "it was deleted")
	})
}

// A state that each call finds as it was left shows on the local backends, too, whose class has checkpoints.
func TestConcurrencyOfCheckpointsBehindAnInterface(t *testing.T) {
	t.Parallel()
	class := fray.DefineActor("class", func(context.Context, int) (any, error) { return &ledgerState{}, nil }, fray.WithMaxConcurrency(2))
	method := fray.DefineMethod(class, "m", func(context.Context, any, int) (int, error) { return 0, nil })
	for _, kind := range []fray.Kind{fray.KindSync, fray.KindThreadPool} {
		trial := newTrial(t, newJobContext(t, kind))
		a, err := class.Create(trial.ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		_, err = method.Call(trial.ctx, a, 1)
		dead(trial, err, "*fray_test.ledgerState has checkpoints")
	}
}

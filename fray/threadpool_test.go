package fray_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray"
)

var localKinds = []fray.Kind{fray.KindSync, fray.KindThreadPool}

func TestBackoffGrowsToItsCap(t *testing.T) {
	t.Parallel()
	for _, kind := range localKinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			inBubble(t, kind, func(t *trial) {
				ctx := t.ctx
				var starts []time.Time
				task := fray.Define("backoff", func(context.Context, int) (int, error) {
					starts = append(starts, time.Now())
					return 0, errors.New("again")
				}, fray.WithRetries(4), fray.WithBackoff(time.Second, 2, 3*time.Second))
				if _, err := task.Call(ctx, 0); err == nil {
					t.Fatal("no error")
				}
				if len(starts) != 5 {
					t.Fatalf("%d attempts, want 5", len(starts))
				}
				for i, limit := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second} {
					if d := starts[i+1].Sub(starts[i]); d > limit || d < limit*8/10 {
						t.Errorf("delay %d is %v, want from 0.8 to 1 of %v", i, d, limit)
					}
				}
			})
		})
	}
}

func TestTimeoutOfAFunctionThatIgnoresIt(t *testing.T) {
	t.Parallel()
	task := fray.Define("deaf", func(context.Context, time.Duration) (int, error) {
		time.Sleep(time.Minute)
		return 1, nil
	}, fray.WithExecutionTimeout(time.Second))
	for kind, want := range map[fray.Kind]time.Duration{
		fray.KindThreadPool: 6 * time.Second, // the grace of 5 seconds later
		fray.KindSync:       time.Minute,     // the caller's goroutine is not abandoned
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			inBubble(t, kind, func(t *trial) {
				start := time.Now()
				e := fails(t, task, 0)
				if e.Reason != fray.ReasonTimeout || time.Since(start) != want {
					t.Errorf("%v after %v, want %v", e, time.Since(start), want)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestAbandonedFunctionKeepsItsSlot(t *testing.T) {
	t.Parallel()
	inBubble(t, fray.KindThreadPool, func(t *trial) {
		ctx := t.ctx
		deaf := fray.Define("deaf", func(context.Context, int) (int, error) {
			time.Sleep(time.Minute)
			return 1, nil
		})
		start := time.Now()
		f := run(t, deaf, 0)
		synctest.Wait()
		if err := f.Cancel(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Get(ctx); !errors.Is(err, fray.ErrCancelled) || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %v, want it cancelled after the grace of 5s", err, time.Since(start))
		}
		got(t, echo, "x", "x")
		if time.Since(start) != time.Minute {
			t.Errorf("the slot was free after %v, want 1m", time.Since(start))
		}
	}, fray.WithWorkers(1))
}

func TestCloseTellsOfFunctionsThatDoNotStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deaf := fray.Define("deaf", func(context.Context, int) (int, error) {
			time.Sleep(time.Minute)
			return 1, nil
		})
		jc, err := fray.NewJobContext(t.Context(), fray.KindThreadPool)
		if err != nil {
			t.Fatal(err)
		}
		f := run(newTrial(t, jc), deaf, 0)
		synctest.Wait()
		start := time.Now()
		if err := jc.Close(); err == nil || !strings.Contains(err.Error(), "ignore their context") || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if _, err := f.Get(t.Context()); !errors.Is(err, fray.ErrClosed) {
			t.Error(err)
		}
		time.Sleep(time.Minute)
	})
}

func TestThreadPoolRunsByPriorityThenInOrder(t *testing.T) {
	t.Parallel()
	inBubble(t, fray.KindThreadPool, func(t *trial) {
		ctx := t.ctx
		var order []string // one worker, so no two append at once
		record := fray.Define("record", func(_ context.Context, s string) (string, error) {
			order = append(order, s)
			return s, nil
		})
		name, g := newGate()
		blocked := run(t, meet, name)
		<-g.entered
		futures := []*fray.Future[string]{blocked}
		for i := range 9 {
			priority := i % 3
			futures = append(futures, run(t, record, fmt.Sprintf("%d of %d", i, priority), fray.WithPriority(priority)))
		}
		close(g.opened)
		if _, _, err := fray.Wait(ctx, futures, len(futures), -1); err != nil {
			t.Fatal(err)
		}
		want := []string{"2 of 2", "5 of 2", "8 of 2", "1 of 1", "4 of 1", "7 of 1", "0 of 0", "3 of 0", "6 of 0"}
		if !slices.Equal(order, want) {
			t.Errorf("order %v, want %v", order, want)
		}
	}, fray.WithWorkers(1))
}

func TestSchedulingTimeout(t *testing.T) {
	t.Parallel()
	inBubble(t, fray.KindThreadPool, func(t *trial) {
		name, g := newGate()
		run(t, meet, name)
		<-g.entered
		start := time.Now()
		e := fails(t, echo, "x", fray.WithSchedulingTimeout(time.Second))
		if !errors.Is(e, fray.ErrSchedulingTimeout) || e.Attempt != 0 || time.Since(start) != time.Second {
			t.Errorf("%v after %v", e, time.Since(start))
		}
		if strings.Contains(e.Error(), "attempt") {
			t.Errorf("text %q speaks of an attempt", e)
		}
		close(g.opened)
		// A timeout that is over does not matter once the task has started.
		got(t, flaky, 1, 2, fray.WithSchedulingTimeout(time.Second), fray.WithRetries(1), fray.WithBackoff(time.Minute, 1, time.Minute))
	}, fray.WithWorkers(1))
}

func TestCancelBetweenAttempts(t *testing.T) {
	t.Parallel()
	inBubble(t, fray.KindThreadPool, func(t *trial) {
		ctx := t.ctx
		f := run(t, flaky, 5, fray.WithRetries(5), fray.WithBackoff(time.Hour, 1, time.Hour))
		synctest.Wait() // the first attempt has failed
		if err := f.Cancel(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Get(ctx); !errors.Is(err, fray.ErrCancelled) {
			t.Error(err)
		}
		queued := make([]*fray.Future[string], 3)
		name, g := newGate()
		blocked := run(t, meet, name)
		<-g.entered
		for i := range queued {
			queued[i] = run(t, echo, "x")
		}
		if err := queued[1].Cancel(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := queued[1].Get(ctx); !errors.Is(err, fray.ErrCancelled) {
			t.Error(err)
		}
		close(g.opened)
		for _, f := range []*fray.Future[string]{blocked, queued[0], queued[2]} {
			if _, err := f.Get(ctx); err != nil {
				t.Error(err)
			}
		}
	}, fray.WithWorkers(1))
}

func TestContextOfTheJobContextClosesIt(t *testing.T) {
	t.Parallel()
	for _, kind := range localKinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				life, cancel := context.WithCancel(t.Context())
				jc, err := fray.NewJobContext(life, kind)
				if err != nil {
					t.Fatal(err)
				}
				ctx := fray.NewContext(t.Context(), jc)
				got := make(chan error)
				go func() {
					_, err := hang.Call(ctx, struct{}{})
					got <- err
				}()
				synctest.Wait()
				cancel()
				if err := <-got; !errors.Is(err, fray.ErrClosed) {
					t.Error(err)
				}
				if _, err := echo.Run(ctx, "x"); !errors.Is(err, fray.ErrClosed) {
					t.Error(err)
				}
				if err := jc.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestSyncIsCancelledByItsCaller(t *testing.T) {
	t.Parallel()
	inBubble(t, fray.KindSync, func(t *trial) {
		for name, run := range map[string]func(context.Context) error{
			"while it runs": func(ctx context.Context) error {
				_, err := hang.Call(ctx, struct{}{})
				return err
			},
			"between attempts": func(ctx context.Context) error {
				_, err := flaky.Call(ctx, 5, fray.WithRetries(5), fray.WithBackoff(time.Hour, 1, time.Hour))
				return err
			},
		} {
			short, cancel := context.WithTimeout(t.ctx, time.Second)
			if err := run(short); !errors.Is(err, fray.ErrCancelled) {
				t.Errorf("%s: %v", name, err)
			}
			cancel()
		}
	})
}

type valueKey struct{}

func TestFunctionsSeeNoValuesOfTheirCaller(t *testing.T) {
	t.Parallel()
	look := fray.Define("look", func(ctx context.Context, _ int) (bool, error) {
		_, err := fray.FromContext(ctx)
		return ctx.Value(valueKey{}) != nil, err
	})
	for _, kind := range localKinds {
		ctx := fray.NewContext(t.Context(), newJobContext(t, kind))
		if seen, err := look.Call(context.WithValue(ctx, valueKey{}, 1), 0); seen || err != nil {
			t.Errorf("%s: %v, %v", kind, seen, err)
		}
	}
}

func BenchmarkRunAll(b *testing.B) {
	for _, kind := range localKinds {
		b.Run(string(kind), func(b *testing.B) {
			jc, err := fray.NewJobContext(b.Context(), kind)
			if err != nil {
				b.Fatal(err)
			}
			defer jc.Close()
			ctx := fray.NewContext(b.Context(), jc)
			ins := make([]string, 10_000)
			b.ReportAllocs()
			for b.Loop() {
				futures, err := echo.RunAll(ctx, ins)
				if err != nil {
					b.Fatal(err)
				}
				for _, f := range futures {
					if _, err := f.Get(ctx); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N)*float64(len(ins))/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}

func BenchmarkMap(b *testing.B) {
	for _, kind := range localKinds {
		b.Run(string(kind), func(b *testing.B) {
			jc, err := fray.NewJobContext(b.Context(), kind)
			if err != nil {
				b.Fatal(err)
			}
			defer jc.Close()
			benchmarkMap(fray.NewContext(b.Context(), jc), b, make([]string, 10_000))
		})
	}
}

// benchmarkMap maps the inputs in each of the orders.
func benchmarkMap(ctx context.Context, b *testing.B, ins []string) {
	b.Helper()
	for name, opts := range map[string][]fray.MapOption{"in order": nil, "as completed": {fray.MapAsCompleted()}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range fray.Map(ctx, echo, slices.Values(ins), opts...) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N)*float64(len(ins))/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}

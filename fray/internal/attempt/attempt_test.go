package attempt_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/fray/internal/attempt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errStop = errors.New("stop")

func TestRun(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		limits    attempt.Limits
		stopAfter time.Duration // 0: never
		fn        func(context.Context) (int, error)
		want      attempt.Outcome
		is        error
		elapsed   time.Duration // when the result was told
		abandoned bool
	}{
		{
			name: "value", want: attempt.Succeeded,
			fn: func(context.Context) (int, error) { return 7, nil },
		},
		{
			name: "error", want: attempt.Failed, is: io.EOF,
			fn: func(context.Context) (int, error) { return 7, io.EOF },
		},
		{
			name: "panic", want: attempt.Failed,
			fn: func(context.Context) (int, error) { panic("boom") },
		},
		{
			name: "panic with an error", want: attempt.Failed, is: io.EOF,
			fn: func(context.Context) (int, error) { panic(io.EOF) },
		},
		{
			name: "goroutine ended", want: attempt.Failed, is: attempt.ErrExited,
			fn: func(context.Context) (int, error) { runtime.Goexit(); return 7, nil },
		},
		{
			name: "timeout", want: attempt.TimedOut, is: context.DeadlineExceeded, elapsed: time.Second,
			limits: attempt.Limits{Timeout: time.Second, Grace: time.Second},
			fn:     func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() },
		},
		{
			name: "value after the timeout", want: attempt.TimedOut, is: context.DeadlineExceeded, elapsed: 1500 * time.Millisecond,
			limits: attempt.Limits{Timeout: time.Second, Grace: time.Second},
			fn:     func(context.Context) (int, error) { time.Sleep(1500 * time.Millisecond); return 7, nil },
		},
		{
			name: "value just before the timeout", want: attempt.Succeeded, elapsed: 999 * time.Millisecond,
			limits: attempt.Limits{Timeout: time.Second, Grace: time.Second},
			fn:     func(context.Context) (int, error) { time.Sleep(999 * time.Millisecond); return 7, nil },
		},
		{
			name: "timeout ignored", want: attempt.TimedOut, is: context.DeadlineExceeded, elapsed: 2 * time.Second, abandoned: true,
			limits: attempt.Limits{Timeout: time.Second, Grace: time.Second},
			fn:     func(context.Context) (int, error) { time.Sleep(time.Hour); return 7, nil },
		},
		{
			name: "stop", want: attempt.Stopped, is: errStop, stopAfter: time.Second, elapsed: time.Second,
			fn: func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() },
		},
		{
			name: "value in spite of a stop", want: attempt.Succeeded, stopAfter: time.Second, elapsed: 2 * time.Second,
			fn: func(context.Context) (int, error) { time.Sleep(2 * time.Second); return 7, nil },
		},
		{
			name: "stop ignored", want: attempt.Stopped, is: errStop, stopAfter: time.Second, elapsed: 3 * time.Second, abandoned: true,
			limits: attempt.Limits{Timeout: time.Minute, Grace: 2 * time.Second},
			fn:     func(context.Context) (int, error) { time.Sleep(10 * time.Second); return 7, nil },
		},
		{
			name: "stop ignored without a grace", want: attempt.Stopped, is: errStop, stopAfter: time.Second, elapsed: time.Hour,
			fn: func(context.Context) (int, error) { time.Sleep(time.Hour); return 0, io.EOF },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if tt.stopAfter > 0 {
					time.AfterFunc(tt.stopAfter, func() { cancel(errStop) })
				}
				results := make(chan attempt.Result[int], 2)
				ended := make(chan struct{})
				start := time.Now()
				var told time.Duration
				go func() {
					defer close(ended)
					attempt.Run(ctx, tt.limits, tt.fn, func(r attempt.Result[int]) {
						told = time.Since(start)
						results <- r
					})
				}()
				<-ended
				if len(results) != 1 {
					t.Fatalf("%d results, want 1", len(results))
				}
				r := <-results
				if r.Outcome != tt.want || r.Abandoned != tt.abandoned {
					t.Errorf("outcome %v, abandoned %v; want %v, %v", r.Outcome, r.Abandoned, tt.want, tt.abandoned)
				}
				if tt.is != nil && !errors.Is(r.Err, tt.is) {
					t.Errorf("error %v, want one that is %v", r.Err, tt.is)
				}
				if (r.Err == nil) != (tt.want == attempt.Succeeded) {
					t.Errorf("error %v with %v", r.Err, r.Outcome)
				}
				if want := 7; tt.want == attempt.Succeeded && r.Value != want {
					t.Errorf("value %d, want %d", r.Value, want)
				}
				if told != tt.elapsed || r.Elapsed != tt.elapsed {
					t.Errorf("told after %v with %v, want %v", told, r.Elapsed, tt.elapsed)
				}
			})
		})
	}
}

func TestPanicKeepsItsStack(t *testing.T) {
	t.Parallel()
	attempt.Run(t.Context(), attempt.Limits{}, func(context.Context) (int, error) { panic("boom") }, func(r attempt.Result[int]) {
		var p *attempt.PanicError
		if !errors.As(r.Err, &p) {
			t.Fatalf("error %T, want a *PanicError", r.Err)
		}
		if p.Error() != "panic: boom" || !strings.Contains(string(p.Stack), "TestPanicKeepsItsStack") || len(p.Stack) > attempt.MaxStackBytes {
			t.Errorf("panic error %q with the stack\n%s", p, p.Stack)
		}
	})
}

func TestNestedTimeoutIsAStopToTheInnerAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var inner, outer attempt.Outcome
		wait := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
		attempt.Run(t.Context(), attempt.Limits{Timeout: time.Second}, func(ctx context.Context) (int, error) {
			attempt.Run(ctx, attempt.Limits{Timeout: time.Minute}, wait, func(r attempt.Result[int]) { inner = r.Outcome })
			return wait(ctx)
		}, func(r attempt.Result[int]) { outer = r.Outcome })
		if inner != attempt.Stopped || outer != attempt.TimedOut {
			t.Errorf("inner %v, outer %v; want stopped, timed out", inner, outer)
		}
	})
}

func BenchmarkRun(b *testing.B) {
	fn := func(context.Context) (int, error) { return 1, nil }
	done := func(attempt.Result[int]) {}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			attempt.Run(ctx, attempt.Limits{}, fn, done)
		}
	})
	b.Run("bounded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			attempt.Run(ctx, attempt.Limits{Timeout: time.Minute, Grace: 5 * time.Second}, fn, done)
		}
	})
}

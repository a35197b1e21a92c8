// Package attempt runs a function once, the way every backend and every worker does: under a
// deadline, with panics caught, and with a bound on how long a function that ignores its context is
// waited for.
//
//	attempt.Run(ctx, attempt.Limits{Timeout: time.Minute, Grace: 5 * time.Second}, fn, func(r attempt.Result[Payload]) {
//		report(r) // once, whatever fn does
//	})
//	release(slot) // fn has returned
//
// It knows nothing of retries, of encodings and of the wire.
package attempt

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"
)

// Limits bound one attempt.
type Limits struct {
	// Timeout is how long the function may run; its context is done after that. 0: no bound.
	Timeout time.Duration
	// Expired is for a caller that sees to the timeout itself: with this cause it cancels the
	// context that it gives to Run. Timeout is then 0. Nil: nobody else does.
	Expired *TimeoutError
	// Grace is how long the function may go on once its context is done. After that the attempt is
	// abandoned: its result is told without waiting for the function any longer. 0: it is never
	// abandoned.
	Grace time.Duration
}

// Outcome is what became of an attempt.
type Outcome uint8

// The outcomes. Timeouts are strict: what a function returns after its timeout does not count. A
// stop is a request: a value that is returned in spite of it counts.
const (
	// Succeeded: the function returned a value.
	Succeeded Outcome = iota + 1
	// Failed: the function returned an error, panicked, or ended its goroutine.
	Failed
	// TimedOut: the function ran past the timeout.
	TimedOut
	// Stopped: the context that Run was given was done, and no value came.
	Stopped
)

// String returns the outcome in lower case.
func (o Outcome) String() string {
	switch o {
	case Succeeded:
		return "succeeded"
	case Failed:
		return "failed"
	case TimedOut:
		return "timed out"
	case Stopped:
		return "stopped"
	default:
		return "unknown"
	}
}

// Result is how an attempt ended.
type Result[T any] struct {
	Outcome Outcome
	// Value is what the function returned, if it Succeeded.
	Value T
	// Err is nil if it Succeeded. Otherwise it is what the function returned, a *PanicError or
	// ErrExited when it Failed, a *TimeoutError when it TimedOut, and the cause of the context when
	// it was Stopped.
	Err error
	// Returned is the error that the function returned, whatever the Outcome; nil if it has not, or
	// not by itself.
	Returned error
	// Elapsed is how long the function ran, or has run until it was abandoned.
	Elapsed time.Duration
	// Abandoned says that the function has not returned yet.
	Abandoned bool
}

// Run calls fn on the calling goroutine, with a context that is done after limits.Timeout or when
// ctx is, and returns when fn has ended.
//
// It calls done exactly once: when fn has ended, or from another goroutine when limits.Grace has
// passed without that. So done may be called long before Run returns, and what the attempt occupies
// is free only after Run.
//
// A fn that calls [runtime.Goexit] (as testing.T.FailNow does) ends the calling goroutine; done is
// called all the same, and what has to follow belongs into a deferred function.
func Run[T any](ctx context.Context, limits Limits, fn func(context.Context) (T, error), done func(Result[T])) {
	r := &run[T]{start: time.Now(), done: done, timeout: limits.Expired}
	if limits.Timeout > 0 {
		r.timeout = &TimeoutError{Timeout: limits.Timeout}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limits.Timeout, r.timeout)
		defer cancel()
	}
	if limits.Grace > 0 && ctx.Done() != nil {
		unwatch := context.AfterFunc(ctx, func() { r.expire(ctx, limits.Grace) })
		defer unwatch()
	}
	var (
		value T
		err   = ErrExited
	)
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: stack()}
		}
		if r.claim() {
			done(r.judge(ctx, value, err))
		}
	}()
	value, err = fn(ctx)
}

// run is an attempt on its way. The first that claims it, fn's end or the grace's, tells the
// result.
type run[T any] struct {
	start   time.Time
	timeout *TimeoutError // nil: no timeout
	done    func(Result[T])

	mu      sync.Mutex
	claimed bool
	grace   *time.Timer
}

func (r *run[T]) claim() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.claimed {
		return false
	}
	r.claimed = true
	if r.grace != nil {
		r.grace.Stop()
	}
	return true
}

// expire is called when the context is done, and gives fn its grace.
func (r *run[T]) expire(ctx context.Context, grace time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.claimed {
		return
	}
	r.grace = time.AfterFunc(grace, func() {
		if !r.claim() {
			return
		}
		var none T
		res := r.judge(ctx, none, context.Cause(ctx))
		res.Returned, res.Abandoned = nil, true
		r.done(res)
	})
}

func (r *run[T]) judge(ctx context.Context, value T, err error) Result[T] {
	res := Result[T]{Returned: err, Elapsed: time.Since(r.start)}
	cause := context.Cause(ctx)
	var timeout *TimeoutError
	switch {
	// Compared by identity: the timeout of an enclosing attempt is a stop to this one.
	case r.timeout != nil && errors.As(cause, &timeout) && timeout == r.timeout:
		res.Outcome, res.Err = TimedOut, timeout
	case err == nil:
		res.Outcome, res.Value = Succeeded, value
	case cause != nil:
		res.Outcome, res.Err = Stopped, cause
	default:
		res.Outcome, res.Err = Failed, err
	}
	return res
}

// stack returns the stack of the calling goroutine, as much of it as fits MaxStackBytes.
func stack() []byte {
	buf := make([]byte, MaxStackBytes)
	return buf[:runtime.Stack(buf, false)]
}

package fray

import (
	"context"
	"fmt"
)

// Future is a task that was submitted: its end comes when it comes. All methods may be used by
// several goroutines.
type Future[Out any] struct {
	call

	result codec[Out]
}

// ID returns the id of the task.
func (f *Future[Out]) ID() string {
	f.share()
	return f.id
}

// Done returns a channel that is closed when the task has ended. To receive from it inside of a
// task does not lend the task's slot; Get, Wait, AsCompleted and Map do.
func (f *Future[Out]) Done() <-chan struct{} {
	f.find()
	return f.promise.Done()
}

// Get waits for the task to end and returns its value, which it decodes anew each time. A task that
// ended without a value returns a [*TaskError]; a task whose job context was closed first, an
// [ErrClosed].
//
// If ctx is done before the task, Get returns its error, and the task goes on: [Future.Cancel]
// stops it. The error says, too, if the controller could not be reached, or no worker can run the
// task.
func (f *Future[Out]) Get(ctx context.Context) (Out, error) {
	var none Out
	if err := f.use(ctx); err != nil {
		return none, fmt.Errorf("get task %s (%s): %w", f.id, f.function.Name(), err)
	}
	payload, settled, err := f.promise.result()
	if !settled {
		f.promise.wait(ctx)
		if payload, settled, err = f.promise.result(); !settled {
			return none, fmt.Errorf("get task %s (%s): %w", f.id, f.function.Name(), f.jc.because(&f.call, ctx.Err()))
		}
	}
	if err != nil {
		return none, err
	}
	value, err := f.result.decodeResult(payload)
	if err != nil {
		return none, fmt.Errorf("get task %s: %w", f.id, &UndecodableError{
			Function: f.function.Name(), What: "result", Encoding: payload.Encoding, Err: err,
		})
	}
	f.result.bind(value, f.jc, nil)
	return value, nil
}

// Cancel asks for the task to end. A task that has not started is cancelled at once; one that runs
// has its context cancelled, and may still end with a value. Cancel returns when the request is
// accepted, and nil if the task had ended before.
//
// Tasks that depend on it fail, unless it ends with a value all the same. See [WithDependants].
func (f *Future[Out]) Cancel(ctx context.Context, opts ...CancelOption) error {
	err := f.use(ctx)
	if err == nil && !f.isSettled() {
		err = f.jc.backend.cancel(ctx, []*call{&f.call}, newCancelConfig(opts))
	}
	if err != nil {
		return fmt.Errorf("cancel task %s (%s): %w", f.id, f.function.Name(), err)
	}
	return nil
}

// use has the task found of a future that has travelled. The error says that ctx carries no job context,
// and the future has none of its own.
func (f *Future[Out]) use(ctx context.Context) error {
	if err := f.bindFrom(ctx); err != nil {
		return err
	}
	f.find()
	return nil
}

func (f *Future[Out]) pending(ctx context.Context) *promise {
	if err := f.use(ctx); err != nil { // It would wait for ever.
		f.settle(Payload{}, fmt.Errorf("wait for task %s (%s): %w", f.id, f.function.Name(), err))
	}
	return &f.promise
}

// asCall returns the call of a future, or nil of nil.
func (f *Future[Out]) asCall() *call {
	if f == nil {
		return nil
	}
	return &f.call
}

// because adds to the error of a context what the future waits for in vain.
func (f *Future[Out]) because(err error) error { return f.jc.because(&f.call, err) }

// CancelOption configures [Future.Cancel] and [JobContext.Cancel].
type CancelOption interface {
	applyToCancel(*cancelConfig)
}

type cancelConfig struct {
	dependants bool
}

func newCancelConfig(opts []CancelOption) (c cancelConfig) {
	for _, opt := range opts {
		opt.applyToCancel(&c)
	}
	return c
}

type cancelOption func(*cancelConfig)

func (o cancelOption) applyToCancel(c *cancelConfig) { o(c) }

// WithDependants has the tasks cancelled, too, that depend on what is cancelled, and those that depend on
// them. Without it they fail with [ReasonDependencyFailed].
func WithDependants() CancelOption {
	return cancelOption(func(c *cancelConfig) { c.dependants = true })
}

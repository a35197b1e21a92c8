package fray

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/internal/failure"
)

// maxPayloadBytes is the largest encoded input that the wire takes.
const maxPayloadBytes = 64 << 20

// runAllChunk is how many inputs of a RunAll are encoded before they are handed on, so that
// encoding and submission overlap and no batch stands in memory twice.
const runAllChunk = 2500

// Task is a function that can be run elsewhere. Make one with [Define], as a package-level variable
// of code that both clients and workers link. It does not change, and may be used by several
// goroutines.
type Task[In, Out any] struct {
	name     string
	fn       func(context.Context, In) (Out, error)
	input    codec[In]
	result   codec[Out]
	declared []error
	config   callConfig
	method   Function // that it is the function of; nil: it is called of no actor
}

// Define makes a task of a function. The name is what client and worker know the function by: up to
// 256 letters, digits and ._:/-, the first a letter or a digit.
//
// Values travel as protobuf if their type is a message such as *timestamppb.Timestamp, as they are
// if it is []byte, and as JSON otherwise; JSON fields that a type does not have are ignored, so
// that either side can be upgraded first. What does not survive the encoding does not survive on
// any backend, the local ones included. A value that JSON would change without a word is an
// [UndecodableError] that names the place: a string that is not UTF-8 (use []byte for bytes), and,
// where the type is an interface, an integer beyond 2^53 or a []byte. What its type leaves out by
// intent is left out: fields without an exported name or tagged "-", and whatever its own
// MarshalJSON does not write.
//
// An input may have futures in it, wherever its type has a *[Future], and refs, see [Ref]. The task depends
// on them: it starts once the tasks of the futures have completed, and finds their values there at once. If
// one of them does not complete, the task fails with [ReasonDependencyFailed]. Refs stay valid for as long as
// the task is open. A task may depend on 1024 tasks and 1024 objects. What its own MarshalJSON writes of a
// value is no dependency.
//
// Define panics if the name or an option is not valid, or if a type has no encoding.
func Define[In, Out any](name string, fn func(context.Context, In) (Out, error), opts ...TaskOption) *Task[In, Out] {
	t, err := define(name, fn, opts)
	if err != nil {
		panic(fmt.Sprintf("fray.Define(%q): %v", name, err))
	}
	return t
}

func define[In, Out any](name string, fn func(context.Context, In) (Out, error), opts []TaskOption) (*Task[In, Out], error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if fn == nil {
		return nil, errors.New("the function is nil")
	}
	input, err := codecOf[In]()
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	result, err := codecOf[Out]()
	if err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	config := taskConfig{call: defaultCallConfig()}
	for _, opt := range opts {
		if err := opt.applyToTask(&config); err != nil {
			return nil, err
		}
	}
	if config.call.taskID != "" {
		return nil, errors.New("WithTaskID is for calls: a default would give all tasks one id")
	}
	config.call.seal()
	return &Task[In, Out]{
		name: name, fn: fn, input: input, result: result,
		declared: slices.Clip(config.sentinels), config: config.call,
	}, nil
}

// Name returns the name of the task's function.
func (t *Task[In, Out]) Name() string { return t.name }

// Run submits the task to the job context of ctx, and returns once that has accepted it: from then
// on it will be run, whatever becomes of ctx. On the sync backend, it has been run.
//
// Run blocks while the controller is away or its queue is full, for as long as ctx lives; give ctx
// a deadline to bound that. If ctx is done first, the task may or may not have been accepted; with
// [WithTaskID] it is safe to run it again.
func (t *Task[In, Out]) Run(ctx context.Context, in In, opts ...CallOption) (*Future[Out], error) {
	return t.run(ctx, "", in, opts, false)
}

// run is Run, of an actor if that is not empty. Where the call is awaited, it may return only once the task has
// ended.
func (t *Task[In, Out]) run(ctx context.Context, of string, in In, opts []CallOption, awaited bool) (*Future[Out], error) {
	jc, config, err := t.prepare(ctx, opts)
	if err != nil {
		return nil, err
	}
	id := config.taskID
	if id == "" {
		id = newID(jc.rand)
	}
	r := newReceipt(1)
	f := t.newFuture(jc, config, id, r)
	f.actor, f.awaited = of, awaited
	if err := t.encodeInput(f, in); err != nil {
		return nil, fmt.Errorf("run %s: %w", t.name, err)
	}
	jc.backend.submit(ctx, []*call{&f.call})
	if err := r.wait(ctx); err != nil {
		return nil, fmt.Errorf("run %s: %w", t.name, jc.because(nil, err))
	}
	return f, nil
}

// RunAll submits a task for each input, in as few calls as possible, and returns their futures in
// order, once all are accepted.
//
// If some are not, it returns an error beside the futures of all: those of tasks that were refused
// fail with the reason, and the others are as good as ever. If ctx is done first, it is not known
// of some whether they were accepted; their futures tell when it is. If the options are not valid
// there are no futures.
func (t *Task[In, Out]) RunAll(ctx context.Context, ins []In, opts ...CallOption) ([]*Future[Out], error) {
	return t.runAll(ctx, "", ins, opts)
}

// runAll is RunAll, of an actor if that is not empty.
func (t *Task[In, Out]) runAll(ctx context.Context, of string, ins []In, opts []CallOption) ([]*Future[Out], error) {
	jc, config, err := t.prepare(ctx, opts)
	if err != nil {
		return nil, err
	}
	if len(ins) == 0 {
		return nil, nil
	}
	futures := make([]*Future[Out], len(ins))
	r := newReceipt(len(ins))
	start := 0
	for chunk := range slices.Chunk(ins, runAllChunk) {
		calls := make([]*call, 0, len(chunk))
		for i, in := range chunk {
			id := config.taskID + "/" + strconv.Itoa(start+i)
			if config.taskID == "" {
				id = newID(jc.rand)
			}
			f := t.newFuture(jc, config, id, r)
			f.actor = of
			futures[start+i] = f
			if err := t.encodeInput(f, in); err != nil {
				f.refuse(fmt.Errorf("input %d: %w", start+i, err))
				continue
			}
			calls = append(calls, &f.call)
		}
		start += len(chunk)
		jc.backend.submit(ctx, calls)
	}
	if err := r.wait(ctx); err != nil {
		return futures, fmt.Errorf("run %d of %s: %w", len(ins), t.name, jc.because(nil, err))
	}
	return futures, nil
}

// Call runs the task and waits for its value, as Run and then Get do. It asks for both at once, and so
// takes less than they do.
func (t *Task[In, Out]) Call(ctx context.Context, in In, opts ...CallOption) (Out, error) {
	f, err := t.run(ctx, "", in, opts, true)
	if err != nil {
		var none Out
		return none, err
	}
	return f.Get(ctx)
}

// Invoke executes the function in place, as a worker does. It implements [Function]; clients use
// Run or Call.
func (t *Task[In, Out]) Invoke(ctx context.Context, input Payload) (Payload, error) {
	in, err := t.input.decode(input)
	if err != nil {
		return Payload{}, &UndecodableError{Function: t.name, What: "input", Encoding: input.Encoding, Err: err}
	}
	if t.input.inspect != nil {
		if jc, err := FromContext(ctx); err == nil { // Else a test calls it.
			values, _ := attempt.Info[attempt.Needed[Payload]](ctx) // none: it needs none
			t.input.bind(in, jc, values)
		}
	}
	out, err := t.fn(ctx, in)
	if err != nil {
		return Payload{}, t.declare(err)
	}
	value, err := t.result.encode(out, nil)
	if err == nil && len(value.Data) > maxPayloadBytes {
		err = fmt.Errorf("%d bytes are more than %d", len(value.Data), maxPayloadBytes)
	}
	if err != nil {
		return Payload{}, &UndecodableError{Function: t.name, What: "result", Encoding: t.result.encoding, Err: err}
	}
	return value, nil
}

// declare marks err with the declared sentinel that it is.
func (t *Task[In, Out]) declare(err error) error {
	for _, s := range t.declared {
		if errors.Is(err, s) {
			return failure.Mark(err, failure.Sentinel{Err: s})
		}
	}
	return err
}

func (t *Task[In, Out]) sentinels() []error { return t.declared }

// prepare finds the job context and applies the options.
func (t *Task[In, Out]) prepare(ctx context.Context, opts []CallOption) (*JobContext, *callConfig, error) {
	jc, err := FromContext(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("run %s: %w", t.name, err)
	}
	config, err := t.config.with(opts)
	if err == nil && t.method != nil {
		err = config.checkMethod()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("run %s: %w", t.name, err)
	}
	return jc, config, nil
}

func (t *Task[In, Out]) newFuture(jc *JobContext, config *callConfig, id string, r *receipt) *Future[Out] {
	f := &Future[Out]{result: t.result}
	f.id, f.function, f.config, f.jc, f.receipt = id, t, config, jc, r
	if t.method != nil {
		f.function = t.method
	}
	return f
}

func (t *Task[In, Out]) encodeInput(f *Future[Out], in In) error {
	var err error
	if f.input, err = t.input.encode(in, &f.call); err != nil {
		return &UndecodableError{Function: t.name, What: "input", Encoding: t.input.encoding, Err: err}
	}
	return checkInput(f.input)
}

// checkInput refuses what is too large for the wire.
func checkInput(input Payload) error {
	if n := len(input.Data); n > maxPayloadBytes {
		return fmt.Errorf("input of %d bytes is larger than %d: pass a reference to it instead", n, maxPayloadBytes)
	}
	return nil
}

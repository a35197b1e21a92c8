package fray

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/frayrpc/fray/fray/internal/actor"
	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/internal/limit"
)

// Method is a function of the actors of a class. Make one with [DefineMethod], as a package-level variable
// beside the class. It does not change, and may be used by several goroutines.
type Method[S, In, Out any] struct {
	class string
	task  *Task[In, Out]
}

// DefineMethod makes a method of a function that is given the state of the actor that is called. Its name is
// that of the class, a dot, and name. Inputs, results and options are as in [Define]; a call takes the worker
// of its actor, so that [WithResources], [WithLabels] and [WithPriority] are errors.
//
// The calls of one job context to one actor begin in the order in which they were run, and one at a time if
// the class does not say otherwise by [WithMaxConcurrency]: the next one begins once the function of the
// last has returned, also if that ignores its context after a timeout. A call that waits for a future in its input has the later ones wait,
// too.
//
// A call is executed once at most, unless its options say otherwise: [WithRetries] has it executed anew on
// the same state when its function has failed, and [WithMaxWorkerLosses] when the incarnation of the actor was lost that
// it was handed to; without that it fails with [ErrActorRestarted]. A call that fails leaves the actor alive.
//
// DefineMethod panics if the name or an option is not valid, or if a type has no encoding.
func DefineMethod[S, C, In, Out any](
	class *ActorClass[S, C], name string, fn func(ctx context.Context, state S, in In) (Out, error), opts ...TaskOption,
) *Method[S, In, Out] {
	m, err := defineMethod(class, name, fn, opts)
	if err != nil {
		panic(fmt.Sprintf("fray.DefineMethod(%q): %v", name, err))
	}
	return m
}

func defineMethod[S, C, In, Out any](
	class *ActorClass[S, C], name string, fn func(context.Context, S, In) (Out, error), opts []TaskOption,
) (*Method[S, In, Out], error) {
	switch {
	case class == nil:
		return nil, errors.New("the class is nil")
	case fn == nil:
		return nil, errors.New("the function is nil")
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	m := &Method[S, In, Out]{class: class.name}
	task, err := define(class.name+"."+name, func(ctx context.Context, in In) (Out, error) { return m.run(ctx, fn, in) }, opts)
	if err != nil {
		return nil, err
	}
	if err := task.config.checkMethod(); err != nil {
		return nil, err
	}
	task.method, m.task = m, task
	return m, nil
}

// checkMethod refuses what a call of an actor cannot ask for.
func (c *callConfig) checkMethod() error {
	var refused string
	switch {
	case len(c.resources) > 0:
		refused = "WithResources"
	case len(c.labels) > 0:
		refused = "WithLabels"
	case c.priority != 0:
		refused = "WithPriority"
	case len(c.limits) > 0:
		return errors.New("WithLimit is for tasks: how many calls an actor takes at once is for WithMaxConcurrency")
	default:
		return nil
	}
	return fmt.Errorf("%s is no option of a call, which is executed where its actor is: give it to Create or DefineActor", refused)
}

// Name returns the name of the method's function: that of its class, a dot, and its own.
func (m *Method[S, In, Out]) Name() string { return m.task.name }

// Run calls an actor, and returns once the job context of ctx has accepted the call, as [Task.Run] does. On
// the sync backend, it has ended. The error is [ErrUnknownActor] if the actor is not known there; one that is
// dead has the call fail with [ErrActorDead].
//
// A method that waits for a call of its own actor waits for ever, if that takes one call at a time.
func (m *Method[S, In, Out]) Run(ctx context.Context, a *Actor[S], in In, opts ...CallOption) (*Future[Out], error) {
	if err := m.check(a); err != nil {
		return nil, err
	}
	return m.task.run(ctx, a.id, in, opts, false)
}

// RunAll calls an actor with each input, in their order and in as few requests as possible, as [Task.RunAll]
// does.
func (m *Method[S, In, Out]) RunAll(ctx context.Context, a *Actor[S], ins []In, opts ...CallOption) ([]*Future[Out], error) {
	if err := m.check(a); err != nil {
		return nil, err
	}
	return m.task.runAll(ctx, a.id, ins, opts)
}

// Call calls an actor and waits for the value, as Run and then Get do.
func (m *Method[S, In, Out]) Call(ctx context.Context, a *Actor[S], in In, opts ...CallOption) (Out, error) {
	f, err := m.Run(ctx, a, in, opts...)
	if err != nil {
		var none Out
		return none, err
	}
	return f.Get(ctx)
}

// check refuses what is no actor of the method's class.
func (m *Method[S, In, Out]) check(a *Actor[S]) error {
	err := errors.New("the actor is nil")
	if a != nil {
		err = a.check()
	}
	if err == nil && a.class != m.class {
		err = fmt.Errorf("%s is of another class than the method", a)
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", m.Name(), err)
	}
	return nil
}

// Invoke executes the function once on the actor that ctx tells of, as the host of the actor has it. It
// implements [Function]; clients use Run or Call.
func (m *Method[S, In, Out]) Invoke(ctx context.Context, input Payload) (Payload, error) {
	hosted, ok := attempt.Info[*actor.Call[Payload]](ctx)
	if !ok {
		return Payload{}, NonRetryable(fmt.Errorf("%s is a method and no task: it is called of an actor, by the actor's host alone", m.Name()))
	}
	if err := hosted.Instance.Enter(ctx); err != nil {
		return Payload{}, err
	}
	defer hosted.Instance.Leave() // The result is encoded by then, which may be part of the state.
	return m.task.Invoke(ctx, input)
}

// run executes the function, and takes the checkpoint after it.
func (m *Method[S, In, Out]) run(ctx context.Context, fn func(context.Context, S, In) (Out, error), in In) (Out, error) {
	var none Out
	hosted, _ := attempt.Info[*actor.Call[Payload]](ctx) // Invoke has seen it.
	state, ok := hosted.Instance.State.(S)
	if !ok {
		return none, NonRetryable(fmt.Errorf("the actor is of another class than %s: its state is a %T", m.Name(), hosted.Instance.State))
	}
	out, err := fn(ctx, state, in)
	if err != nil {
		return none, err
	}
	keeper, ok := any(state).(Checkpointer)
	if !ok {
		return out, nil
	}
	data, err := keeper.Checkpoint()
	if err != nil {
		return none, fmt.Errorf("checkpoint after %s: %w", m.Name(), err)
	}
	if n := len(data); n > limit.Checkpoint {
		return none, NonRetryable(fmt.Errorf("checkpoint after %s has %d bytes, which is more than %d: keep less, or put it and keep the ref", m.Name(), n, limit.Checkpoint))
	}
	hosted.Checkpoint = &Payload{Encoding: encodingRaw, Data: bytes.Clone(data)}
	return out, nil
}

func (m *Method[S, In, Out]) sentinels() []error { return m.task.declared }

package fray

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/frayrpc/fray/fray/internal/attempt"
)

// ActorFunction is a class of actors, as workers see it. [ActorClass] implements it; others than this
// module have no need to. Its Invoke is for none to call.
type ActorFunction interface {
	Function

	// Construct makes the state of one incarnation. from is the checkpoint that the last call before it
	// left; nil: there is none.
	Construct(ctx context.Context, input Payload, from *Payload) (state any, err error)
}

// Checkpointer is what the state of an actor implements that is to outlive the worker it is on. After each
// call that succeeds Checkpoint is called, before the next call begins, and what it returns is kept with
// the call's value, or not at all: 1 MiB at most. If Checkpoint fails, so does the call.
//
// The next incarnation is constructed as the first one was, and then given the last checkpoint by Restore,
// before any call. The backends of this process do not restart actors: they call Checkpoint alone.
//
// An actor with checkpoints takes one call at a time, see [WithMaxConcurrency].
type Checkpointer interface {
	Checkpoint() ([]byte, error)
	Restore(checkpoint []byte) error
}

// ActorClass is a kind of actors: what constructs them from an input. Make one with [DefineActor], as a
// package-level variable of code that both clients and workers link, and the methods with [DefineMethod].
// A worker is given both as functions. It does not change, and may be used by several goroutines.
type ActorClass[S, In any] struct {
	name   string
	fn     func(context.Context, In) (S, error)
	input  codec[In]
	config actorConfig
}

// DefineActor makes a class of actors of their constructor. S is the state of an actor, a pointer mostly,
// which stays where the actor is and has no encoding; In is as in [Define], and so is the name. The constructor
// must not keep its context. If the state implements [io.Closer], Close is called once, when the incarnation
// has ended otherwise than with its process: no call runs then, but for those that ignore their contexts.
//
// The options are the defaults of all actors of the class. DefineActor panics if the name or an option is
// not valid, or if In has no encoding.
func DefineActor[S, In any](name string, fn func(ctx context.Context, in In) (S, error), opts ...ActorOption) *ActorClass[S, In] {
	k, err := defineActor(name, fn, opts)
	if err != nil {
		panic(fmt.Sprintf("fray.DefineActor(%q): %v", name, err))
	}
	return k
}

func defineActor[S, In any](name string, fn func(context.Context, In) (S, error), opts []ActorOption) (*ActorClass[S, In], error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if fn == nil {
		return nil, errors.New("the constructor is nil")
	}
	input, err := codecOf[In]()
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	k := &ActorClass[S, In]{name: name, fn: fn, input: input, config: defaultActorConfig()}
	config, err := k.configure(opts)
	if err != nil {
		return nil, err
	}
	if config.id != "" {
		return nil, errors.New("WithTaskID is for Create: a default would give all actors one id")
	}
	k.config = *config
	return k, nil
}

// Name returns the name of the class.
func (k *ActorClass[S, In]) Name() string { return k.name }

// Invoke implements [Function], and returns an error: a class is no task.
func (k *ActorClass[S, In]) Invoke(context.Context, Payload) (Payload, error) {
	return Payload{}, NonRetryable(fmt.Errorf("%s is a class of actors and no task: create an actor of it", k.name))
}

// Construct implements [ActorFunction].
func (k *ActorClass[S, In]) Construct(ctx context.Context, input Payload, from *Payload) (any, error) {
	in, err := k.input.decode(input)
	if err != nil {
		return nil, &UndecodableError{Function: k.name, What: "input", Encoding: input.Encoding, Err: err}
	}
	if k.input.inspect != nil {
		if jc, err := FromContext(ctx); err == nil { // Else a test calls it.
			values, _ := attempt.Info[attempt.Needed[Payload]](ctx) // none: it needs none
			k.input.bind(in, jc, values)
		}
	}
	state, err := k.fn(ctx, in)
	if err != nil {
		return nil, err
	}
	if isNil(state) {
		return nil, NonRetryable(fmt.Errorf("the constructor of %s has returned neither a state nor an error", k.name))
	}
	if from == nil {
		return state, nil
	}
	keeper, ok := any(state).(Checkpointer)
	if !ok {
		return nil, NonRetryable(fmt.Errorf("there is a checkpoint of the actor, and its state, a %T, is no fray.Checkpointer", state))
	}
	if err := keeper.Restore(bytes.Clone(from.Data)); err != nil {
		return nil, fmt.Errorf("restore from a checkpoint of %d bytes: %w", len(from.Data), err)
	}
	return state, nil
}

func isNil[S any](state S) bool {
	v := reflect.ValueOf(&state).Elem()
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil()
}

// Create creates an actor on the job context of ctx, and returns once that has accepted it, as [Task.Run]
// does: the actor is constructed after that, on a worker that has room for it, and its calls wait for that.
// On the sync backend, it has been constructed. If it cannot be, the actor dies, and its calls fail with
// [ErrActorDead] and the cause.
//
// With [WithActorName] an actor of the name that lives is found in the place of a new one, if it is of the
// same class and input; if it is not, the error is [ErrAlreadyExists].
//
// An actor lives until it is deleted, or its restarts are spent, or its job is cancelled; on the sync and
// threadpool backends until their job context is closed. The futures and refs in its input are dependencies
// as those of a task.
func (k *ActorClass[S, In]) Create(ctx context.Context, in In, opts ...ActorOption) (*Actor[S], error) {
	id, err := k.create(ctx, in, opts)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", k.name, err)
	}
	return &Actor[S]{id: id, class: k.name}, nil
}

func (k *ActorClass[S, In]) create(ctx context.Context, in In, opts []ActorOption) (id string, err error) {
	jc, err := FromContext(ctx)
	if err != nil {
		return "", err
	}
	config, err := k.configure(opts)
	if err != nil {
		return "", err
	}
	c := &call{id: config.id, function: k, config: &config.call, jc: jc, life: &config.life}
	if c.id == "" {
		c.id = newID(jc.rand)
	}
	if c.input, err = k.input.encode(in, c); err != nil {
		return "", &UndecodableError{Function: k.name, What: "input", Encoding: k.input.encoding, Err: err}
	}
	if err := checkInput(c.input); err != nil {
		return "", err
	}
	if id, err = jc.backend.create(ctx, c); err != nil {
		return "", jc.because(nil, err)
	}
	return id, nil
}

// configure returns the config that opts make of that of the class.
func (k *ActorClass[S, In]) configure(opts []ActorOption) (*actorConfig, error) {
	config, err := k.config.with(opts)
	if err != nil {
		return nil, err
	}
	if config.life.concurrency > 1 && reflect.TypeFor[S]().Implements(reflect.TypeFor[Checkpointer]()) {
		return nil, errConcurrentCheckpoints(reflect.TypeFor[S]())
	}
	return config, nil
}

func errConcurrentCheckpoints(state reflect.Type) error {
	return fmt.Errorf("%v has checkpoints, which are taken between calls: WithMaxConcurrency must be 1", state)
}

// Find returns the actor of a name that lives. The error is [ErrUnknownActor] if there is none, and another
// if it is of another class.
func (k *ActorClass[S, In]) Find(ctx context.Context, name string) (*Actor[S], error) {
	a, err := k.find(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("find actor %.140q of %s: %w", name, k.name, err)
	}
	return a, nil
}

func (k *ActorClass[S, In]) find(ctx context.Context, name string) (*Actor[S], error) {
	jc, err := FromContext(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkID("actor name", name); err != nil {
		return nil, err
	}
	id, class, err := jc.backend.findActor(ctx, name)
	switch {
	case err != nil:
		return nil, jc.because(nil, err)
	case class != k.name:
		return nil, fmt.Errorf("it is of class %s", class)
	}
	return &Actor[S]{id: id, class: k.name}, nil
}

package fray

import (
	"errors"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// defaultRestarts is how often an actor is constructed anew.
const defaultRestarts = 3

// ActorOption configures an actor in [ActorClass.Create], or in [DefineActor] all actors of a class. Those
// of a [CallOption] that mean something for a life are some, too: [WithResources], [WithLabels],
// [WithPriority], [WithBackoff], which is for restarts, [WithSchedulingTimeout], which is for the first start, and
// [WithTaskID], which chooses the actor's id. The others are errors.
type ActorOption interface {
	applyToActor(*actorConfig) error
}

// actorConfig is what an actor asks for besides its input.
type actorConfig struct {
	id       string
	restarts uint32
	life     life
	call     callConfig // of the task that its life is
}

// life is what makes a task the life of an actor.
type life struct {
	name        string // empty: it has none
	concurrency uint32 // calls at once, from 1
}

func defaultActorConfig() actorConfig {
	return actorConfig{restarts: defaultRestarts, life: life{concurrency: 1}, call: defaultCallConfig()}
}

// with returns the config that opts make of c, which stays as it is.
func (c *actorConfig) with(opts []ActorOption) (*actorConfig, error) {
	changed := *c
	changed.call.workerLosses = nil
	for _, opt := range opts {
		if err := opt.applyToActor(&changed); err != nil {
			return nil, err
		}
	}
	call := &changed.call
	switch {
	case call.retries > 0:
		return nil, errors.New("WithRetries is for tasks and calls: how often an actor is constructed anew is for WithMaxRestarts")
	case call.workerLosses != nil:
		return nil, errors.New("WithMaxWorkerLosses is for tasks and calls: how often an actor is constructed anew is for WithMaxRestarts")
	case call.executionTimeout > 0:
		return nil, errors.New("WithExecutionTimeout is for tasks and calls: an actor lives until it is deleted")
	case !call.notBefore.IsZero():
		return nil, errors.New("WithNotBefore is for tasks and calls: create the actor later")
	case len(call.limits) > 0:
		return nil, errors.New("WithLimit is for tasks: an actor that holds a place would do so until it is deleted")
	}
	if call.taskID != "" {
		changed.id, call.taskID = call.taskID, ""
	}
	call.seal()
	call.workerLosses = new(changed.restarts)
	call.policy = &frayv1.RetryPolicy{
		BackoffBaseMs: number.Millis(call.backoffBase),
		BackoffFactor: call.backoffFactor,
		BackoffCapMs:  number.Millis(call.backoffCap),
		BackoffJitter: new(backoffJitter),
	}
	return &changed, nil
}

type actorOption func(*actorConfig) error

func (o actorOption) applyToActor(c *actorConfig) error { return o(c) }

// WithActorName gives an actor a name of its own among those that live of the same owner: up to 128
// letters, digits and ._:/-, the first a letter or a digit. [ActorClass.Create] finds the actor that has the
// name, if there is one, and [ActorClass.Find] does nothing else. On the sync and threadpool backends names
// are those of one job context.
func WithActorName(name string) ActorOption {
	return actorOption(func(c *actorConfig) error {
		c.life.name = name
		return checkID("actor name", name)
	})
}

// WithMaxConcurrency sets how many calls an actor takes at once, 1 to 1024. The default is 1. With more,
// calls still begin in their order, and the methods have to guard the state that they share.
func WithMaxConcurrency(n int) ActorOption {
	return actorOption(func(c *actorConfig) (err error) {
		c.life.concurrency, err = number.Within[uint32]("max concurrency", n, 1, limit.Concurrency)
		return err
	})
}

// WithMaxRestarts sets how often an actor is constructed anew, because its worker was lost or its
// constructor failed, before it dies, 0 to 1,000. The default is 3. What it costs nothing to survive is a
// worker that leaves in order.
func WithMaxRestarts(n int) ActorOption {
	return actorOption(func(c *actorConfig) (err error) {
		c.restarts, err = number.Within[uint32]("max restarts", n, 0, limit.WorkerLosses)
		return err
	})
}

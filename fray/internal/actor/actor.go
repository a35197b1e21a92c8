// Package actor is what the classes of actors and those who host them have in common.
package actor

import "context"

// Instance is one incarnation of an actor: what its constructor has made. Its methods may be called
// from several goroutines.
type Instance struct {
	State any
	turns chan struct{} // a place for each call that may run at once
}

// New returns an instance that so many calls may run on at once; 0 means 1.
func New(state any, concurrency int) *Instance {
	return &Instance{State: state, turns: make(chan struct{}, max(concurrency, 1))}
}

// Enter waits until a call may run, and returns the cause if ctx is done before. Each Enter that returns
// nil is followed by a Leave, once the call's function has returned: one that ignores its context keeps
// its place until then.
func (i *Instance) Enter(ctx context.Context) error {
	select {
	case i.turns <- struct{}{}:
		return nil
	default:
	}
	select {
	case i.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Leave ends what Enter began.
func (i *Instance) Leave() { <-i.turns }

// Call is what the function of a call finds in its context, see attempt.WithInfo. P is a payload.
type Call[P any] struct {
	Instance *Instance
	// Set by the function before it returns, if its class has checkpoints: what the next incarnation is to be
	// made from.
	Checkpoint *P
}

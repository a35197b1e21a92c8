package fray

import "context"

// ActorFunction is a class of actors, as workers see it. [ActorClass] implements it; others than this
// module have no need to. Its Invoke is for none to call.
type ActorFunction interface {
	Function

	// Construct makes the state of one incarnation. from is the checkpoint that the last call before it
	// left; nil: there is none.
	Construct(ctx context.Context, input Payload, from *Payload) (state any, err error)
}

package fray

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Actor names an actor whose state is an S: its methods are called with it, see [DefineMethod]. It is a small
// value, which travels in inputs and results of tasks and calls, so that others can call the same actor. It
// is at home in no job context: who uses it asks that of the context it is used with.
type Actor[S any] struct {
	id    string
	class string
}

// actorJSON is an actor as it travels.
type actorJSON struct {
	Actor string `json:"actor"`
	Class string `json:"class"`
}

// ID returns the id of the actor: that of the task that its life is.
func (a Actor[S]) ID() string { return a.id }

// String names the actor.
func (a Actor[S]) String() string { return fmt.Sprintf("actor %s (%s)", a.id, a.class) }

// Delete ends the actor, and returns when the request is accepted. Calls that run are stopped, and they and
// those that wait fail with [ErrActorDead]. Nobody finds it by its name any longer; who creates another
// under that waits until it is dead. Delete returns nil if the actor is dead,
// and [ErrUnknownActor] if it is not known, or no longer.
func (a Actor[S]) Delete(ctx context.Context) error {
	jc, err := FromContext(ctx)
	if err == nil {
		err = a.check()
	}
	if err == nil {
		err = jc.backend.deleteActor(ctx, a.id)
		if err != nil {
			err = jc.because(nil, err)
		}
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", a, err)
	}
	return nil
}

func (a Actor[S]) check() error {
	if a.id == "" {
		return errors.New("the actor is empty: it is none that was created or found")
	}
	return nil
}

// MarshalJSON has the actor travel. It implements json.Marshaler.
func (a Actor[S]) MarshalJSON() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	return json.Marshal(actorJSON{a.id, a.class})
}

// UnmarshalJSON makes a the actor that data names. Whether S is the state of its class is known once a
// method is called. It implements json.Unmarshaler.
func (a *Actor[S]) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	var from actorJSON
	if err := json.Unmarshal(data, &from); err != nil {
		return fmt.Errorf("decode an actor: %w", err)
	}
	if err := errors.Join(checkID("actor id", from.Actor), checkName(from.Class)); err != nil {
		return fmt.Errorf("decode an actor: %w", err)
	}
	a.id, a.class = from.Actor, from.Class
	return nil
}

package tasks

import (
	"context"
	"encoding/json"

	"github.com/frayrpc/fray/fray"
)

// Counter is the state of an actor that adds up what it is given, and has a checkpoint after each call.
type Counter struct{ Sum int }

// Checkpoint implements fray.Checkpointer.
func (c *Counter) Checkpoint() ([]byte, error) { return json.Marshal(c.Sum) }

// Restore implements fray.Checkpointer.
func (c *Counter) Restore(checkpoint []byte) error { return json.Unmarshal(checkpoint, &c.Sum) }

// Counters are such actors, and Add is what they are called by: it returns the sum.
var (
	Counters = fray.DefineActor("counter", func(context.Context, struct{}) (*Counter, error) { return &Counter{}, nil }, fray.WithMaxRestarts(10))

	Add = fray.DefineMethod(Counters, "add", func(_ context.Context, c *Counter, n int) (int, error) {
		c.Sum += n
		return c.Sum, nil
	})
)

package system

import (
	"context"
	"fmt"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/sim/cluster"
)

// keyOf returns the key of a number, from 0, of those that a kind's tasks have.
func keyOf(k *cluster.TaskKind, number int) string { return fmt.Sprintf("%s/%d", k.Name, number+1) }

// nextKey draws the key of the client's next task of a kind.
func (c *submitter) nextKey(k *cluster.TaskKind) string {
	return keyOf(k, c.random.IntN(k.Unique.Keys))
}

// once submits the one task of an offer unless another has its key: then the future is of that one.
func (o *offer) once(ctx context.Context) ([]*fray.Future[[]byte], error) {
	if o.kind.Needs == 0 {
		return runOnce(ctx, o, taskOf(o.kind), o.inputs[0])
	}
	inputs, err := o.needy(ctx)
	if err != nil {
		return nil, err
	}
	return runOnce(ctx, o, needyTaskOf(o.kind), inputs[0])
}

func runOnce[In any](ctx context.Context, o *offer, t *fray.Task[In, []byte], in In) ([]*fray.Future[[]byte], error) {
	f, _, err := t.RunOnce(ctx, o.key, time.Duration(o.kind.Unique.For), in, o.options...)
	if err != nil {
		return nil, err
	}
	return []*fray.Future[[]byte]{f}, nil
}

// isOther takes in that a future of an offer is of another task, which has the key, if it is. What that comes to is
// noted, and counts as nothing of the client's own.
func (c *submitter) isOther(ctx context.Context, o *offer, f *fray.Future[[]byte]) bool {
	own := fmt.Sprintf("%s.%d", c.name, o.number)
	if f.ID() == own {
		return false
	}
	switch o.foundOther = true; o.stands(0) {
	case unsent:
		c.tally.found(o.kind.Name)
	case accepted: // The controller has forgotten it.
		c.tally.ended(o.kind.Name, own, c.run.Elapsed()-o.begun, &fray.TaskError{Reason: fray.ReasonTaskLost})
	case over:
	}
	o.becomes(0, over)
	c.ends.Go(func() { c.awaitOther(ctx, f) })
	return true
}

// awaitOther waits for the end of a task that has the key of the client's.
func (c *submitter) awaitOther(ctx context.Context, f *fray.Future[[]byte]) {
	if value, err := f.Get(ctx); err == nil {
		c.tally.tell(c.name, f.ID(), value)
	}
}

package system

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
)

// counting is the state of an actor.
type counting interface {
	// count adds 1, and returns the sum.
	count() int64
}

// counter is one that ends with its incarnation.
type counter struct {
	mu  sync.Mutex
	sum int64
}

func (c *counter) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum++
	return c.sum
}

// kept is a counter that outlives its incarnations.
type kept struct{ counter }

// Checkpoint implements fray.Checkpointer.
func (k *kept) Checkpoint() ([]byte, error) { return check.CountedValue(k.sum), nil }

// Restore implements fray.Checkpointer.
func (k *kept) Restore(checkpoint []byte) error {
	if len(checkpoint) != 8 {
		return fmt.Errorf("a checkpoint of %d bytes", len(checkpoint))
	}
	k.sum = int64(binary.BigEndian.Uint64(checkpoint)) //nolint:gosec // It was one.
	return nil
}

// actors are the class of a kind's actors, and what they are called by.
type actors[S counting] struct {
	kind  *cluster.TaskKind
	class *fray.ActorClass[S, struct{}]
	call  *fray.Method[S, []byte, []byte]
}

// actorsOf returns a kind's actors, as executed by x; nil: as those who call them know them.
func actorsOf[S counting](k *cluster.TaskKind, fresh func() S, x *executor) *actors[S] {
	a := &actors[S]{kind: k}
	a.class = fray.DefineActor(k.Name, func(ctx context.Context, _ struct{}) (S, error) {
		if x == nil {
			return fresh(), errElsewhere
		}
		return fresh(), x.construct(ctx)
	})
	a.call = fray.DefineMethod(a.class, "count", func(ctx context.Context, state S, _ []byte) ([]byte, error) {
		if x == nil {
			return nil, errElsewhere
		}
		if _, err := x.run(ctx, nil); err != nil {
			return nil, err
		}
		return check.CountedValue(state.count()), nil
	})
	return a
}

// callName returns the function that calls of a kind's actors are of.
func callName(k *cluster.TaskKind) string { return k.Name + ".count" }

func (a *actors[S]) functions() []fray.Function { return []fray.Function{a.class, a.call} }

// construct takes the time that it takes to make an actor, or fails.
func (x *executor) construct(ctx context.Context) error {
	info, _ := fray.InTask(ctx)
	random := chance.New(x.seed, "construct/"+info.TaskID, uint64(info.Attempt)) //nolint:gosec // It counts from 1.
	fails := random.Float64() < float64(x.kind.Actors.Failures)
	if err := x.pass(ctx, within(&x.kind.Actors.Construct, random), random); err != nil {
		return err
	}
	if fails {
		return errFailed
	}
	return nil
}

// actorName returns the name of a kind's actor of a number, as a client calls it.
func actorName(k *cluster.TaskKind, client string, number int) string {
	name := fmt.Sprintf("%s-%d", k.Name, number+1)
	if k.Actors.Own {
		return client + "." + name
	}
	return name
}

// nextActor returns the name of the one that the client's next calls of a kind are made to.
func (c *submitter) nextActor(k *cluster.TaskKind) string {
	if c.called == nil {
		c.called = make(map[*cluster.TaskKind]int)
	}
	c.called[k]++
	return actorName(k, c.name, (c.called[k]-1)%k.Actors.Count)
}

// whom returns the actor that an offer calls: the one that it has called before, or that of its name, which is
// there or is created.
func (a *actors[S]) whom(ctx context.Context, o *offer) (*fray.Actor[S], error) {
	if known := o.calling(nil); known != nil {
		return known.(*fray.Actor[S]), nil //nolint:errcheck // Its kind's.
	}
	of := a.kind.Actors
	options := []fray.ActorOption{fray.WithActorName(o.actor), fray.WithMaxRestarts(of.Restarts), fray.WithMaxConcurrency(of.Concurrency), fray.WithPriority(a.kind.Priority)}
	for _, o := range append(demandsOf(a.kind), backoffOf(a.kind)...) {
		options = append(options, o)
	}
	created, err := a.class.Create(ctx, struct{}{}, options...)
	if err != nil {
		return nil, err
	}
	return o.calling(created).(*fray.Actor[S]), nil //nolint:errcheck // As above.
}

// calling returns the actor that an offer calls, which is the given one if there is none yet.
func (o *offer) calling(actor any) any {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.whom == nil {
		o.whom = actor
	}
	return o.whom
}

// clientActors is what those who call actors of a kind do, whatever these count with.
type clientActors interface {
	callAll(ctx context.Context, o *offer) ([]*fray.Future[[]byte], error)
	callOne(ctx context.Context, o *offer) ([]byte, error)
	remove(ctx context.Context, name string) error
}

func clientActorsOf(k *cluster.TaskKind) clientActors {
	if k.Actors.Checkpoints {
		return actorsOf(k, func() *kept { return &kept{} }, nil)
	}
	return actorsOf(k, func() *counter { return &counter{} }, nil)
}

// callAll submits the calls of an offer.
func (a *actors[S]) callAll(ctx context.Context, o *offer) ([]*fray.Future[[]byte], error) {
	actor, err := a.whom(ctx, o)
	if err != nil {
		return nil, err
	}
	if len(o.inputs) == 1 {
		f, err := a.call.Run(ctx, actor, o.inputs[0], o.options...)
		return []*fray.Future[[]byte]{f}, err
	}
	return a.call.RunAll(ctx, actor, o.inputs, o.options...)
}

// callOne submits the one call of an offer, and waits for its value.
func (a *actors[S]) callOne(ctx context.Context, o *offer) ([]byte, error) {
	actor, err := a.whom(ctx, o)
	if err != nil {
		return nil, err
	}
	return a.call.Call(ctx, actor, o.inputs[0], o.options...)
}

func (a *actors[S]) remove(ctx context.Context, name string) error {
	actor, err := a.class.Find(ctx, name)
	if err == nil {
		err = actor.Delete(ctx)
	}
	if errors.Is(err, fray.ErrUnknownActor) {
		return nil
	}
	return err
}

// deleteLater has an actor deleted that the client has called for the first time, if the scenario says so.
func (c *submitter) deleteLater(ctx context.Context, o *offer) {
	span := o.kind.Actors.DeletedAfter
	if span == nil || c.deleted[o.actor] {
		return
	}
	if c.deleted == nil {
		c.deleted = make(map[string]bool)
	}
	c.deleted[o.actor] = true
	after := within(span, c.random) + 1 + time.Duration(c.random.Int64N(int64(engine.Jitter)))
	c.ends.Go(func() {
		if sleep.For(ctx, after) == nil {
			_ = clientActorsOf(o.kind).remove(ctx, o.actor) // Whatever it says, calls end somehow.
		}
	})
}

// calls says whether clients of a group call actors.
func (s *System) calls(g *cluster.ClientGroup) bool {
	for i := range s.Workload.Mix {
		if k := &s.Workload.Mix[i]; k.Actors != nil && g.Submits(k) {
			return true
		}
	}
	return false
}

// deleteActors deletes the client's own actors, and the others if it is the last to be done with them.
func (c *submitter) deleteActors(ctx context.Context) {
	last := c.callers.Add(-1) == 0
	for i := range c.Workload.Mix {
		k := &c.Workload.Mix[i]
		if k.Actors == nil {
			continue
		}
		own := k.Actors.Own || c.AsksWho() // Names are those of a client where callers have roles.
		if own && !c.group.Submits(k) || !own && !last {
			continue
		}
		for n := range k.Actors.Count {
			if err := clientActorsOf(k).remove(ctx, actorName(k, c.name, n)); err != nil {
				return // The run is over, or the controller has lost its records.
			}
		}
	}
}

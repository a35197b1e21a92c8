package fray

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// GangPlace is the place of a task in the gang that it is of, see [Task.RunGang]. The zero value: it is of none.
type GangPlace struct {
	// ID names the gang in its job.
	ID string
	// Size is how many tasks it has, and Index which of them this one is, from 0.
	Size, Index int
}

// RunGang submits a task for each of 1 to 1,024 inputs, which start together or not at all: none of them is executed
// before there is a free slot for each of all. They are submitted together or not at all, too. Inside, [InTask] tells
// the place of each in the gang.
//
// Tasks of a gang may wait for each other, so one of them is nothing without the others. When an attempt of one is over
// without the task's end, because it failed and is to be tried again, or its worker was lost or left, then the
// contexts of the others are cancelled, and all that have not completed start anew, together. For the others that is no
// failure, also if they return an error then. One that fails for good, or is cancelled, has all others be cancelled.
//
// While a gang waits for room, workers are kept free for it once it is its turn, and get only what has a higher
// priority. One that is larger than all workers together waits for more of them; [WithSchedulingTimeout] bounds
// that. A gang has no limits, and all of its tasks the same options. With [WithTaskID] they have the ids id/0, id/1
// and so on.
//
// If ctx is done first, it is not known whether the gang was accepted; the futures tell when it is. On every other
// error there are no futures, and nothing is run. On a threadpool, a gang that has more tasks than there are slots
// is refused, and on the sync backend one of more than one.
func (t *Task[In, Out]) RunGang(ctx context.Context, ins []In, opts ...CallOption) ([]*Future[Out], error) {
	jc, config, err := t.prepare(ctx, opts)
	if err != nil {
		return nil, err
	}
	futures, r, err := t.newGang(jc, config, ins)
	if err == nil {
		calls := make([]*call, len(futures))
		for i, f := range futures {
			calls[i] = &f.call
		}
		if err = jc.backend.prepareGang(ctx, len(calls)); err == nil {
			jc.backend.submit(ctx, calls)
			err = r.wait(ctx)
		}
	}
	switch {
	case err == nil:
		return futures, nil
	case ctx.Err() == nil:
		futures = nil
	}
	return futures, fmt.Errorf("run a gang of %d of %s: %w", len(ins), t.name, jc.because(nil, err))
}

// newGang makes the calls of a gang.
func (t *Task[In, Out]) newGang(jc *JobContext, config *callConfig, ins []In) ([]*Future[Out], *receipt, error) {
	if _, err := number.Within("tasks", len(ins), 1, limit.Gang); err != nil {
		return nil, nil, err
	}
	if len(config.limits) > 0 {
		return nil, nil, errors.New("tasks of a gang have no limits")
	}
	id, bytes := config.taskID, 0
	if id == "" {
		id = newID(jc.rand)
	}
	r := newReceipt(len(ins))
	futures := make([]*Future[Out], len(ins))
	for i, in := range ins {
		task := id + "/" + strconv.Itoa(i)
		if config.taskID == "" {
			task = newID(jc.rand)
		}
		f := t.newFuture(jc, config, task, r)
		f.gang = &GangPlace{ID: id, Size: len(ins), Index: i}
		if err := t.encodeInput(f, in); err != nil {
			return nil, nil, fmt.Errorf("input %d: %w", i, err)
		}
		if bytes += len(f.input.Data); bytes > maxPayloadBytes {
			return nil, nil, fmt.Errorf("inputs of more than %d bytes together: pass references to them instead", maxPayloadBytes)
		}
		futures[i] = f
	}
	return futures, r, nil
}

// together returns how many of the calls, from the first on, are submitted together or not at all.
func together(calls []*call) int {
	if g := calls[0].gang; g != nil {
		return min(g.Size, len(calls))
	}
	return 1
}

// spec is its form on the wire.
func (g *GangPlace) spec() *frayv1.GangSpec {
	if g == nil {
		return nil
	}
	return &frayv1.GangSpec{GangId: g.ID, Size: number.Clamp[uint32](g.Size), Index: number.Clamp[uint32](g.Index)}
}

// prepareGang implements backend. A controller of an earlier release would not know what makes tasks a gang, and run
// each for itself.
func (b *remote) prepareGang(ctx context.Context, _ int) error { return b.isRecent(ctx) }

// prepareGang implements backend.
func (*inline) prepareGang(_ context.Context, n int) error {
	if n > 1 {
		return fmt.Errorf("a %s job context has one slot, for one task at a time", KindSync)
	}
	return nil
}

// prepareGang implements backend.
func (p *threadPool) prepareGang(_ context.Context, n int) error {
	if n > p.slots {
		return fmt.Errorf("the %s job context has %d slots", KindThreadPool, p.slots)
	}
	return nil
}

// poolGang is a gang in a threadpool. The pool's mutex guards it.
type poolGang struct {
	members []*poolTask // those that are open, in the order of their places
	waiting int         // how many of them wait for the others
	forming bool        // not all have come
	broken  bool        // an attempt of one is over, and those of others may not be
	over    bool        // one has not completed: all are to end
}

var errGangRestarts = errors.New("its gang starts anew")

// submitGang takes in all calls of a gang.
func (p *threadPool) submitGang(ctx context.Context, calls []*call) {
	if err := p.acquire(ctx, len(calls)); err != nil {
		for _, c := range calls {
			if p.closing.Err() != nil {
				err = c.closed()
			}
			c.refuse(err)
		}
		return
	}
	g := &poolGang{forming: true}
	for _, c := range calls {
		p.take(c, g)
	}
	p.mu.Lock()
	g.forming = false
	p.callUp(g)
	p.dispatch()
	p.unlock()
}

// muster has a task of a gang wait for the others, with p.mu held.
func (p *threadPool) muster(t *poolTask) {
	t.mustered = true
	t.gang.waiting++
	p.callUp(t.gang)
}

// callUp queues a gang if all of it wait, with p.mu held.
func (p *threadPool) callUp(g *poolGang) {
	if g.forming || g.over || g.waiting == 0 || g.waiting < len(g.members) {
		return
	}
	g.broken = false
	p.queue.push(g.members[0])
}

// startGang starts all of a gang, for which there are slots, with p.mu held.
func (p *threadPool) startGang(g *poolGang) {
	g.waiting = 0
	for i, t := range slices.Clone(g.members) {
		if i > 0 && t.attempts == 0 {
			p.room.Release(1) // The first has queued for all.
		}
		t.mustered = false
		p.start(t)
	}
}

// disband has all of a gang start anew, an attempt of which is over, with p.mu held.
func (p *threadPool) disband(t *poolTask) {
	g := t.gang
	if g == nil || g.broken || g.over {
		return
	}
	g.broken = true
	for _, other := range g.members {
		if other != t && other.cancel != nil {
			other.recalled = true
			other.cancel(errGangRestarts)
		}
	}
}

// leaveGang takes a task that ends out of its gang, with p.mu held.
func (p *threadPool) leaveGang(t *poolTask) {
	g := t.gang
	if g == nil {
		return
	}
	if t.mustered {
		g.waiting--
		if !t.queued && t.attempts == 0 {
			p.room.Release(1) // It never was in the queue.
		}
		t.mustered = false
	}
	g.members = slices.DeleteFunc(g.members, func(other *poolTask) bool { return other == t })
}

// endGang has all others of a gang be cancelled of which a task has ended without a value, with p.mu held. Who unlocks
// settles those that have ended.
func (p *threadPool) endGang(t *poolTask) {
	g := t.gang
	if g == nil || g.over {
		return
	}
	g.over = true
	calls := make([]*call, len(g.members))
	for i, other := range g.members {
		calls[i] = other.call
	}
	p.cast = append(p.cast, p.stop(calls, cancelConfig{dependants: t.cascades.Load()})...)
}

// unlock unlocks p.mu, and settles what was cancelled with gangs.
func (p *threadPool) unlock() {
	cast := p.cast
	p.cast = nil
	p.mu.Unlock()
	p.settleStopped(cast)
}

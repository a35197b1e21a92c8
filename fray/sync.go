package fray

import (
	"context"
	"fmt"
	"maps"

	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/internal/failure"
	"github.com/frayrpc/fray/internal/sleep"
)

// inline is the sync backend: submit runs each call to its end on the calling goroutine. A function
// that ignores its context cannot be abandoned there.
type inline struct {
	localBackend

	running map[*call]inlineRun
	closing int // states of actors that are being closed
}

// inlineRun is a call that runs.
type inlineRun struct {
	cancel context.CancelCauseFunc
	parent string // the id of the task whose function has submitted it; empty: none has
}

func newInline() *inline {
	b := &inline{running: make(map[*call]inlineRun)}
	b.localBackend = newLocalBackend(b, func(l *limitBucket) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.limits.look(l)
	})
	return b
}

func (b *inline) submit(ctx context.Context, calls []*call) {
	for _, c := range calls {
		if err := ctx.Err(); err != nil {
			c.refuse(err)
			continue
		}
		b.execute(ctx, c)
	}
}

// execute runs c with all of its retries. Because it blocks its caller, it is also cancelled by the
// caller's context; of the values of that the function sees none, as it would not on a worker.
func (b *inline) execute(ctx context.Context, c *call) {
	if !b.ledger.claim(c) {
		return
	}
	own, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	parent, _ := InTask(ctx) // none: it is submitted from outside of all tasks
	if err := b.enter(c, inlineRun{cancel, parent.TaskID}); err != nil {
		c.refuse(err)
		return
	}
	defer b.leave(c)
	line := b.enterLine(c)
	defer b.leaveLimits(line)
	detach := context.AfterFunc(ctx, func() { cancel(ErrCancelled) })
	defer detach()
	var turn inlineTurn // none: it calls no actor
	if c.actor != "" {
		var cause, err error
		if turn, cause, err = b.join(c); err != nil {
			c.refuse(err)
			return
		}
		if cause != nil {
			c.settle(Payload{}, c.actorDead(c.info("", 0), cause))
			c.accept()
			return
		}
		defer b.leaveLine(turn)
	}
	needs := c.takeNeeds()
	var values attempt.Needed[Payload]
	if needs != nil {
		if err := b.await(ctx, own, c, needs); err != nil {
			c.settle(Payload{}, err)
			c.accept()
			return
		}
		values = needs.values()
	}

	defer c.accept()
	if d := c.config.delay(); d > 0 && sleep.For(own, d) != nil {
		c.settle(Payload{}, c.stopped(c.info("", 0), context.Cause(own)))
		return
	}
	running := own
	if c.actor != "" {
		if cause := b.awaitTurn(own, turn); cause != nil {
			c.settle(Payload{}, c.stopped(c.info("", 0), cause))
			return
		}
		running = turn.host(own)
	}
	var info TaskInfo
	settled := false
	defer func() {
		if !settled { // the function ended the goroutine, as testing.T.FailNow does
			c.settle(Payload{}, newTaskError(c, ReasonApplication, info, failure.Encode(attempt.ErrExited)))
		}
	}()
	for number := 1; ; number++ {
		info = c.info(string(KindSync), number)
		if cause := b.awaitPlaces(own, line); cause != nil {
			settled = true
			c.settle(Payload{}, c.stopped(c.info("", number-1), cause))
			return
		}
		var result attempt.Result[Payload]
		c.attempt(running, info, values, 0, func(r attempt.Result[Payload]) { result = r })
		b.giveBack(line)
		v := c.conclude(info, result)
		if !v.retry {
			settled = true
			c.settle(result.Value, v.err)
			return
		}
		_ = sleep.For(own, v.delay)
		if own.Err() != nil {
			settled = true
			c.settle(Payload{}, c.stopped(info, context.Cause(own)))
			return
		}
	}
}

// enter notes that a call runs, unless it cannot.
func (b *inline) enter(c *call, run inlineRun) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return c.closed()
	}
	if f := b.ancestor(c, run.parent); f != nil {
		return fmt.Errorf("submit task %s: it needs task %s, which runs it: on a %s job context that would never end", c.id, f.id, KindSync)
	}
	if l, holder := b.fullOf(c, run.parent); holder != nil {
		return fmt.Errorf("submit task %s: limit %q has no room before task %s ends, which runs it: on a %s job context that would never be", c.id, l.name, holder.id, KindSync)
	}
	b.running[c] = run
	return nil
}

// ancestor returns which of the tasks that c needs waits for c, because its function has submitted it, or what
// did; nil: none. The caller holds b.mu.
func (b *inline) ancestor(c *call, parent string) *call {
	if c.needs == nil {
		return nil
	}
	for range len(b.running) + 1 { // Ids of other job contexts could lead in a circle.
		for _, f := range c.needs.tasks {
			if f.id == parent {
				return f
			}
		}
		id := parent
		parent = ""
		for r, run := range b.running { // order-free: ids are of one call each
			if r.id == id {
				parent = run.parent
			}
		}
	}
	return nil
}

// await waits for all that c needs. The error is what c ends with if that was in vain.
func (b *inline) await(ctx, own context.Context, c *call, needs *needs) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(own, cancel)
	defer stop()
	for _, f := range needs.tasks {
		f.find()
		f.wait(ctx)
		b.mu.Lock() // Who cancels the whole job does so in one go.
		cause := context.Cause(own)
		b.mu.Unlock()
		if cause != nil {
			return c.stopped(c.info("", 0), cause)
		}
		if _, settled, err := f.result(); err != nil {
			return c.failedFor(f)
		} else if !settled { // ctx is done, and own not yet
			return c.stopped(c.info("", 0), ErrCancelled)
		}
	}
	return nil
}

func (b *inline) leave(c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.running, c)
	b.rest()
}

func (b *inline) cancel(ctx context.Context, calls []*call, config cancelConfig) error {
	for _, c := range calls {
		c = c.origin()
		if elsewhere := c.jc.backend; elsewhere != backend(b) { // It has travelled here.
			if err := elsewhere.cancel(ctx, []*call{c}, config); err != nil {
				return err
			}
			continue
		}
		if config.dependants {
			c.cascades.Store(true)
		}
		b.stop(c, ErrCancelled)
	}
	return nil
}

func (b *inline) cancelAll(_ context.Context, config cancelConfig) error {
	b.mu.Lock()
	for _, c := range byID(maps.Keys(b.running)) {
		if config.dependants {
			c.cascades.Store(true)
		}
		b.running[c].cancel(ErrCancelled)
	}
	actors := b.actors.living()
	b.mu.Unlock()
	for _, a := range actors {
		b.kill(a, errActorCancelled)
	}
	return nil
}

func (b *inline) shutdown() {
	b.mu.Lock()
	b.closed = true
	b.limits.close()
	b.closing++
	actors := b.actors.living()
	b.mu.Unlock()
	for _, c := range b.open() {
		c.settle(Payload{}, c.closed())
		b.stop(c, ErrClosed)
	}
	for _, a := range actors {
		b.kill(a, ErrClosed)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closing--
	b.rest()
}

func (b *inline) stop(c *call, cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if run, ok := b.running[c]; ok {
		run.cancel(cause)
	}
}

// open returns the calls that run, by id.
func (b *inline) open() []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return byID(maps.Keys(b.running))
}

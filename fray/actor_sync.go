package fray

import (
	"context"
	"fmt"

	"github.com/frayrpc/fray/fray/internal/actor"
)

// built has an actor take calls. If it has died meanwhile, its state is closed at once.
func (b *inline) built(a *localActor, i *actor.Instance) {
	b.mu.Lock()
	a.instance = i
	a.advance()
	b.finish(a)
}

// kill has an actor be dead, and its calls stop.
func (b *inline) kill(a *localActor, cause error) {
	b.mu.Lock()
	if a.dead != nil {
		b.mu.Unlock()
		return
	}
	for _, t := range b.actors.kill(a, cause) {
		b.running[t.call].cancel(cause) // It runs from before its turn until after.
	}
	if run, ok := b.running[a.building]; ok {
		run.cancel(cause)
	}
	b.finish(a)
	a.life.settle(Payload{}, cause)
}

// finish closes the state of an actor that is dead, once nothing runs on it. The caller holds b.mu, which it
// releases.
func (b *inline) finish(a *localActor) {
	state := a.takeState()
	if state == nil {
		b.mu.Unlock()
		return
	}
	b.closing++
	b.mu.Unlock()
	a.closeState(state)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closing--
	b.rest()
}

// rest notes that nothing runs any longer, if that is so. The caller holds b.mu.
func (b *inline) rest() {
	if b.closed && len(b.running) == 0 && b.closing == 0 && !isClosed(b.idle) {
		close(b.idle)
	}
}

// inlineTurn is the turn of a call that runs on the goroutine which waits for it.
type inlineTurn struct {
	*turn

	granted chan struct{}
}

// join puts a call in the line of its actor. The error says why it is refused; cause, why the actor is dead.
func (b *inline) join(c *call) (t inlineTurn, cause, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a := b.actors.byID[c.actor]; a != nil && b.waitsFor(c, a) {
		return t, nil, fmt.Errorf("submit task %s: it calls actor %s, which waits for it: on a %s job context that would never end", c.id, c.actor, KindSync)
	}
	t.granted = make(chan struct{})
	t.turn, cause, err = b.actors.join(c, func() { close(t.granted) })
	return t, cause, err
}

// waitsFor says whether an actor takes no call before c has ended: all that it has in hand, or its constructor, have
// submitted c, or what did. The caller holds b.mu.
func (b *inline) waitsFor(c *call, a *localActor) bool {
	parents := make(map[string]string, len(b.running))
	for r, run := range b.running { // order-free: ids are of one call each
		parents[r.id] = run.parent
	}
	above := make(map[string]bool)
	for id := parents[c.id]; id != "" && !above[id]; id = parents[id] {
		above[id] = true
	}
	if a.instance == nil {
		return above[a.life.id]
	}
	n := uint32(0)
	for _, t := range a.hand {
		if above[t.call.id] {
			n++
		}
	}
	return n == a.life.life.concurrency
}

// awaitTurn waits for the turn, and returns the cause if ctx is done before.
func (b *inline) awaitTurn(ctx context.Context, t inlineTurn) error {
	b.mu.Lock()
	t.ready = true
	t.actor.advance()
	b.mu.Unlock()
	select {
	case <-t.granted:
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}

// leaveLine ends the turn of a call.
func (b *inline) leaveLine(t inlineTurn) {
	b.mu.Lock()
	t.leave()
	b.finish(t.actor)
}

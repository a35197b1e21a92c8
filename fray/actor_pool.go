package fray

import (
	"io"

	"github.com/frayrpc/fray/fray/internal/actor"
)

// built has an actor take calls. If it has died meanwhile, its state is closed at once.
func (p *threadPool) built(a *localActor, i *actor.Instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.instance = i
	a.advance()
	p.finish(a)
}

// kill has an actor be dead, and ends its calls.
func (p *threadPool) kill(a *localActor, cause error) {
	p.mu.Lock()
	if a.dead != nil {
		p.mu.Unlock()
		return
	}
	stopped := []*call{a.building}
	for _, u := range p.actors.kill(a, cause) {
		stopped = append(stopped, u.call)
	}
	var ended []*poolTask
	for _, c := range stopped {
		t, ok := p.open[c]
		switch {
		case !ok:
		case t.cancel != nil:
			t.cancel(cause)
		default:
			p.end(t)
			ended = append(ended, t)
		}
	}
	p.finish(a)
	p.mu.Unlock()
	a.life.settle(Payload{}, cause)
	for _, t := range ended {
		t.settle(Payload{}, t.stopped(t.info("", t.attempts), cause))
	}
}

// finish closes the state of an actor that is dead, once nothing runs on it, in a goroutine of the pool. The
// caller holds p.mu.
func (p *threadPool) finish(a *localActor) {
	state := a.takeState()
	if state == nil {
		return
	}
	p.running++
	go p.closeState(a, state)
}

func (p *threadPool) closeState(a *localActor, state io.Closer) {
	a.closeState(state)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	if p.closed && p.running == 0 {
		close(p.idle)
	}
}

// join puts a task that is a call in the line of its actor, with p.mu held.
func (p *threadPool) join(t *poolTask) (cause, err error) {
	t.turn, cause, err = p.actors.join(t.call, func() {
		p.queue.push(t)
		p.dispatch()
	})
	return cause, err
}

// leave ends the turn of a call, with p.mu held.
func (p *threadPool) leave(t *poolTask) {
	t.turn.leave()
	p.finish(t.turn.actor)
}

package controller

import (
	"sync"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/store"
)

// prover holds the replies that need not wait for a commit, of a controller that is one of several,
// until it has proved that it led when they were asked for: what it knew could be out of date
// otherwise. Many share one proof.
type prover struct {
	led  store.Led
	wake chan struct{} // has room for one

	mu      sync.Mutex
	waiting []owed
}

// owed is a reply, and where it goes.
type owed struct {
	reply core.Reply
	to    chan core.Reply // has room for it
}

// newProver returns nil for a store that no others have.
func newProver(s store.Store) *prover {
	led, ok := s.(store.Led)
	if !ok {
		return nil
	}
	return &prover{led: led, wake: make(chan struct{}, 1)}
}

// send sends a reply that is settled, now or once it is proved.
func (p *prover) send(r *core.Reply, to chan core.Reply) {
	if p == nil {
		to <- *r
		return
	}
	p.mu.Lock()
	p.waiting = append(p.waiting, owed{*r, to})
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// start has what is sent proved until ended is closed, or nothing can be proved any more: then the
// store has failed, and ends the controller. What it returns is closed once it does no more.
func (p *prover) start(ended <-chan struct{}) <-chan struct{} {
	done := make(chan struct{})
	if p == nil {
		close(done)
		return done
	}
	go func() {
		defer close(done)
		p.run(ended)
	}()
	return done
}

func (p *prover) run(ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-p.wake:
		}
		p.mu.Lock()
		replies := p.waiting
		p.waiting = nil
		p.mu.Unlock()
		if p.led.Prove() != nil {
			return
		}
		for i := range replies {
			replies[i].to <- replies[i].reply
		}
	}
}

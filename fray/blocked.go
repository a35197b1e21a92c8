package fray

import (
	"cmp"
	"maps"
	"slices"
)

// blocked are the tasks of a threadpool that wait for others, by what they wait for. The pool's mutex guards
// it.
type blocked struct {
	// by has an entry for each call that was waited for and has not ended: the pool listens to it once,
	// however many come and go that wait for it.
	by       map[*call]map[*poolTask]struct{}
	arrivals uint64
	// ends are the calls that have ended whose dependants have not been moved yet, and moving says that a
	// goroutine is at it: a chain of tasks that fail one for the other is as long as it likes, and no
	// stack is.
	ends   []*call
	moving bool
}

func newBlocked() blocked { return blocked{by: make(map[*call]map[*poolTask]struct{})} }

// remove has a task wait for nothing any longer.
func (b *blocked) remove(t *poolTask) {
	for _, f := range t.needs.tasks {
		delete(b.by[f], t)
	}
}

// take returns the tasks that wait for a call, in the order in which they came, and forgets it.
func (b *blocked) take(f *call) []*poolTask {
	all := slices.SortedFunc(maps.Keys(b.by[f]), func(x, y *poolTask) int { return cmp.Compare(x.arrival, y.arrival) })
	delete(b.by, f)
	return all
}

// block has a task wait for what it needs, and queues it if that has all ended. It returns what it needs
// that has ended without a value, if there is some. The caller holds p.mu.
func (p *threadPool) block(t *poolTask) (failed *call) {
	t.arrival = p.blocked.arrivals
	p.blocked.arrivals++
	for _, f := range t.needs.tasks {
		waiting, known := p.blocked.by[f]
		if !known && f.listen(&listener{wake: func() { p.met(f) }}) {
			waiting = make(map[*poolTask]struct{})
			p.blocked.by[f] = waiting
		}
		if waiting != nil {
			waiting[t] = struct{}{}
			t.missing++
			continue
		}
		if _, _, err := f.result(); err != nil {
			return f
		}
	}
	if t.missing == 0 {
		p.unblock(t)
	}
	return nil
}

// unblock queues a task that has all that it needs, with p.mu held.
func (p *threadPool) unblock(t *poolTask) {
	t.values, t.needs = t.needs.values(), nil
	p.ready(t)
}

// met moves those on that wait for a call which has ended, and for what ends because of that.
func (p *threadPool) met(f *call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocked.ends = append(p.blocked.ends, f)
	if p.blocked.moving {
		return
	}
	p.blocked.moving = true
	for len(p.blocked.ends) > 0 {
		f := p.blocked.ends[0]
		p.blocked.ends = p.blocked.ends[1:]
		failed := p.move(f)
		p.unlock()
		for _, t := range failed {
			t.settle(Payload{}, t.failedFor(f))
		}
		p.mu.Lock()
	}
	p.blocked.ends, p.blocked.moving = nil, false
}

// move queues those that have waited for f alone, and returns those that end because it has no value. The
// caller holds p.mu.
func (p *threadPool) move(f *call) (failed []*poolTask) {
	_, _, err := f.result()
	for _, t := range p.blocked.take(f) {
		if err != nil {
			p.end(t)
			p.endGang(t)
			failed = append(failed, t)
			continue
		}
		if t.missing--; t.missing == 0 {
			p.unblock(t)
		}
	}
	p.dispatch() // A gang may have been the first that waited for slots.
	return failed
}

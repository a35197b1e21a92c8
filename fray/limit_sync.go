package fray

import "context"

// inlineLine is how a call that runs on the goroutine which waits for it gets its places.
type inlineLine struct {
	*places

	granted chan struct{}
}

// enterLine has a call be bounded by its limits.
func (b *inline) enterLine(c *call) *inlineLine {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := &inlineLine{}
	x.places = b.limits.join(c, func() { close(x.granted) })
	b.limits.relieve()
	return x
}

// awaitPlaces waits for room, and returns the cause if ctx is done before. With room it takes what a start takes.
func (b *inline) awaitPlaces(ctx context.Context, x *inlineLine) error {
	if x.places == nil {
		return nil
	}
	b.mu.Lock()
	x.granted = make(chan struct{})
	if x.acquire() {
		close(x.granted)
	}
	b.mu.Unlock()
	select {
	case <-x.granted:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	x.start()
	return nil
}

// giveBack gives the places of an attempt back that is over.
func (b *inline) giveBack(x *inlineLine) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x.places.giveBack()
	b.limits.relieve()
}

func (b *inline) leaveLimits(x *inlineLine) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x.places.leave()
	b.limits.relieve()
}

// fullOf returns a limit of c that has no place before tasks end that wait for c, because their functions have
// submitted it, or what did, and one of these; nil: there is none. The caller holds b.mu.
func (b *inline) fullOf(c *call, parent string) (full Limit, holder *call) {
	if len(c.config.limits) == 0 {
		return Limit{}, nil
	}
	byID := make(map[string]*call, len(b.running))
	for r := range b.running { // order-free: ids are of one call each
		byID[r.id] = r
	}
	above := make(map[*call]bool)
	for r := byID[parent]; r != nil && !above[r]; r = byID[b.running[r].parent] {
		above[r] = true
	}
	for _, l := range c.config.limits {
		held := uint32(0)
		for r := range above { // order-free: a count, and the least id
			for _, other := range r.config.limits {
				if other.name == l.name && other.key == l.key {
					if held++; holder == nil || r.id < holder.id {
						holder = r
					}
				}
			}
		}
		if l.concurrent > 0 && held >= l.concurrent {
			return l, holder
		}
		holder = nil
	}
	return Limit{}, nil
}

package fray

import (
	"maps"
	"slices"
	"sync"
)

// tracker knows the calls of a remote backend that have not ended: those that are on their way to the controller, and
// those that it has acknowledged.
type tracker struct {
	mu     sync.Mutex
	calls  map[string]*call
	acked  int
	closed bool
	opened chan struct{} // has a token after a call came
}

func newTracker() *tracker {
	return &tracker{calls: make(map[string]*call), opened: make(chan struct{}, 1)}
}

// add takes calls on before they are sent, because one may end before its submission is answered. It reports
// false once the tracker is closed.
func (t *tracker) add(calls []*call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	for _, c := range calls {
		c.twin = t.calls[c.id]
		t.calls[c.id] = c
	}
	select {
	case t.opened <- struct{}{}:
	default:
	}
	return true
}

// ack notes that the controller has c.
func (t *tracker) ack(c *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for twin := t.calls[c.id]; twin != nil; twin = twin.twin {
		if twin == c {
			c.acked = true
			t.acked++
			return
		}
	}
}

// remove forgets c, and leaves other calls with its id alone.
func (t *tracker) remove(c *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := t.calls[c.id]
	if first == c {
		t.set(c.id, c.twin)
	}
	for twin := first; twin != nil; twin = twin.twin {
		if twin.twin == c {
			twin.twin = c.twin
		}
	}
	t.forget(c)
}

// take forgets the calls with these ids and returns them. There may be none, or several, for an id.
func (t *tracker) take(ids []string) [][]*call {
	taken := make([][]*call, len(ids))
	all := make([]*call, 0, len(ids)) // one allocation for the slices of taken
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, id := range ids {
		start := len(all)
		for c := t.calls[id]; c != nil; {
			next := c.twin
			t.forget(c)
			all = append(all, c)
			c = next
		}
		if len(all) > start {
			delete(t.calls, id)
			taken[i] = all[start:len(all):len(all)]
		}
	}
	return taken
}

func (t *tracker) set(id string, c *call) {
	if c == nil {
		delete(t.calls, id)
	} else {
		t.calls[id] = c
	}
}

func (t *tracker) forget(c *call) {
	c.twin = nil
	if c.acked {
		c.acked = false
		t.acked--
	}
}

// counts returns how many calls are open, and how many of them the controller has acknowledged.
func (t *tracker) counts() (open, acked int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.calls), t.acked
}

// acknowledged returns the ids of the acknowledged calls, in order.
func (t *tracker) acknowledged() []string {
	t.mu.Lock()
	ids := make([]string, 0, t.acked)
	for id, c := range t.calls {
		if c.acked {
			ids = append(ids, id)
		}
	}
	t.mu.Unlock()
	slices.Sort(ids)
	return ids
}

// close refuses further calls, and takes all that are open.
func (t *tracker) close() []*call {
	t.mu.Lock()
	t.closed = true
	ids := slices.Sorted(maps.Keys(t.calls))
	t.mu.Unlock()
	return slices.Concat(t.take(ids)...)
}

func (t *tracker) has(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[id] != nil
}

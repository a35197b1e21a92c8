package fray

import (
	"maps"
	"slices"
	"sync"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// tracker knows the calls of a remote backend that have not ended: those that are on their way to
// the controller, and those that it has acknowledged. Calls with one id are one task; their number
// costs nothing but their memory.
type tracker struct {
	mu     sync.Mutex
	calls  map[string]*call // the latest of each id; it leads to the others
	acked  int              // ids with an acknowledged call
	acks   uint64           // acknowledgements so far
	closed bool
	opened chan struct{} // has a token after an acknowledged call came, or the watcher may have something to confirm
	alone  alone

	groups map[string]*group
	formed chan struct{} // has a token after a group came that is to be looked at before the next that was planned
	next   time.Time     // when that is
}

func newTracker() *tracker {
	return &tracker{
		calls: make(map[string]*call), opened: make(chan struct{}, 1),
		groups: make(map[string]*group), formed: make(chan struct{}, 1),
	}
}

// add takes calls on before they are sent, because one may end before its submission is answered.
// It reports false once the tracker is closed.
func (t *tracker) add(calls []*call) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	for _, c := range calls {
		t.addLocked(c)
	}
	return true
}

// addLocked is add for one call, with t.mu held.
func (t *tracker) addLocked(c *call) {
	c.tracked = true
	if first := t.calls[c.id]; first != nil {
		c.twin, first.back = first, c
		c.ackedTwins, first.ackedTwins = first.ackedTwins, 0
	}
	t.calls[c.id] = c
}

// ack notes that the controller has these calls, all at once: whoever looks meanwhile sees none of them
// acknowledged, or all. Those whose ends were told before are forgotten; their ends are returned, each
// in its call's place.
func (t *tracker) ack(calls ...*call) (early []*frayv1.TaskResult) {
	early = make([]*frayv1.TaskResult, len(calls))
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, c := range calls {
		early[i] = t.ackOne(c)
	}
	return early
}

// ackOne is ack for one call, with t.mu held.
func (t *tracker) ackOne(c *call) (early *frayv1.TaskResult) {
	if !c.tracked || c.acked > 0 {
		return nil
	}
	if early = c.early; early != nil {
		t.unlink(c)
		return early
	}
	t.acks++
	c.acked = t.acks
	first := t.calls[c.id]
	if first.ackedTwins++; first.ackedTwins == 1 {
		t.acked++
		signal(t.opened)
	}
	t.join(c)
	return nil
}

// acknowledgements returns how many there were so far.
func (t *tracker) acknowledgements() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.acks
}

// remove forgets c, and leaves other calls with its id alone.
func (t *tracker) remove(c *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.tracked {
		t.unlink(c)
	}
}

// unlink takes c out, with t.mu held.
func (t *tracker) unlink(c *call) {
	first := t.calls[c.id]
	if c.acked > 0 {
		if first.ackedTwins--; first.ackedTwins == 0 {
			t.acked--
		}
	}
	if c.twin != nil {
		c.twin.back = c.back
	}
	switch {
	case c.back != nil:
		c.back.twin = c.twin
	case c.twin != nil:
		c.twin.ackedTwins = c.ackedTwins
		t.calls[c.id] = c.twin
	default:
		delete(t.calls, c.id)
	}
	t.forget(c)
}

// end forgets the acknowledged calls that these results are of, and returns them with their
// results. Of one that is not acknowledged it is not known whether it is the controller's task of
// that id: it may be refused yet. And it may be offered again, so that the controller is to know the
// task until it is known: the page is told of it.
func (t *tracker) end(results []*frayv1.TaskResult, p *page) []ended {
	all := make([]ended, 0, len(results))
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range results {
		for c := t.calls[r.GetTask().GetTaskId()]; c != nil; {
			next := c.twin
			if c.acked > 0 {
				t.unlink(c)
				all = append(all, ended{c, r})
			} else {
				c.early = r
				if p != nil && c.page == nil {
					c.page = p
					p.early++
				}
			}
			c = next
		}
	}
	return all
}

// ended is a call, and how its task ended.
type ended struct {
	*call

	result *frayv1.TaskResult
}

// lose forgets the calls with these ids that were acknowledged up to a place, and returns them.
func (t *tracker) lose(ids []string, upTo uint64) []*call {
	var lost []*call
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		for c := t.calls[id]; c != nil; {
			next := c.twin
			if c.acked > 0 && c.acked <= upTo {
				t.unlink(c)
				lost = append(lost, c)
			}
			c = next
		}
	}
	return lost
}

// forget clears what the tracker noted in c.
func (t *tracker) forget(c *call) {
	if c.acked > 0 {
		t.part(c)
	}
	if c.page != nil {
		if c.page.early--; c.page.early == 0 {
			signal(t.opened) // It can be confirmed, also by a watcher at rest.
		}
	}
	c.tracked, c.acked, c.twin, c.back, c.ackedTwins, c.early, c.page = false, 0, nil, nil, 0, nil, nil
}

// counts returns how many tasks are open, and how many of them the controller has acknowledged.
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
		if c.ackedTwins > 0 {
			ids = append(ids, id)
		}
	}
	t.mu.Unlock()
	slices.Sort(ids)
	return ids
}

// close refuses further calls, and takes all that are open, in the order of their ids.
func (t *tracker) close() []*call {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	var all []*call
	for _, id := range slices.Sorted(maps.Keys(t.calls)) {
		for c := t.calls[id]; c != nil; {
			next := c.twin
			t.unlink(c)
			all = append(all, c)
			c = next
		}
	}
	return all
}

// early returns how many ends of a page are of calls that are not acknowledged yet.
func (t *tracker) early(p *page) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return p.early
}

// open says whether a call with this id is open.
func (t *tracker) open(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[id] != nil
}

// stillAcknowledged returns those of ids that acknowledged calls have. It uses the array of ids.
func (t *tracker) stillAcknowledged(ids []string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(ids, func(id string) bool {
		first := t.calls[id]
		return first == nil || first.ackedTwins == 0
	})
}

// signal leaves a token in c, unless there is one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

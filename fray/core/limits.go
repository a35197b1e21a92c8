package core

import (
	"cmp"
	"container/heap"
	"fmt"
	"time"

	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

// A limit bounds how many tasks of a key are ready for a worker or at one at the same time, and how many
// attempts are granted in a time. A task that one of its limits has no room for is Throttled: it waits at the
// first of them that is full, and tries all of them again when that has room. What waits at one goes
// on by priority, and then in the order of the tasks' numbers.
//
// A task has its place while it is ready, leased or running, and may be at a worker. So a place is taken
// before the task is granted: limits are kept however the grants go, and a task that no worker can run
// takes a place from others.
//
// Starts are bounded by a token bucket, as a virtual schedule (the generic cell rate algorithm, ITU-T
// I.371). A task that is ready has a token set aside, which its grant takes: no more are ready than there are
// tokens, so that none are saved up while there is no worker. After a restart the bucket is empty, so that no
// restart lets more through.

// maxRelieved is how many tasks go on in one step as limits get room.
const maxRelieved = 1024

// Limit is one of a task, with the numbers that it tells.
type Limit struct {
	Name, Key string
	// 0: any number.
	Concurrent int
	// Grants in each Period, and at once; 0: any number.
	Starts int
	Period time.Duration
}

// limitKey is what a bucket is of.
type limitKey struct{ owner, name, key string }

// bucket is what one key of a limit has.
type bucket struct {
	limitKey
	Limit

	// Open tasks that name it, those that have a place, and those of them that are ready.
	open, held, ready int
	// When the bucket of tokens will be full again.
	full    Time
	waiting throttledHeap
	// There is a token for one that waits, at this time; nil: it waits for none.
	refill *timer
	// It is in Scheduler.relieved.
	relieved bool
}

// limited is what an open task has of limits.
type limited struct {
	buckets []*bucket
	// It has its places; it is ready, too, and has tokens set aside.
	held, ready bool
	// Where it waits, nil: nowhere; and its place in the heap there.
	at    *bucket
	index int
}

// limit has an open task bounded by limits, of its job's owner.
func (c *Scheduler) limit(t *task, limits []Limit) {
	if len(limits) == 0 {
		return
	}
	x := &limited{buckets: make([]*bucket, len(limits))}
	for i, l := range limits {
		k := limitKey{t.job.owner.name, l.Name, l.Key}
		b := c.buckets[k]
		if b == nil {
			b = &bucket{limitKey: k}
			c.buckets[k] = b
		}
		b.open++
		if b.Limit != l {
			c.renumber(b, l)
		}
		x.buckets[i] = b
	}
	c.limits[t] = x
}

// renumber puts other numbers in force. What has been let through under those before empties the bucket at most.
func (c *Scheduler) renumber(b *bucket, l Limit) {
	first := b.Starts == 0
	b.Limit = l
	b.full = min(b.full, c.now.Add(b.span()))
	if first && c.restoredAt > 0 {
		b.full = max(b.full, c.restoredAt.Add(b.span())) // Who knows what was let through before.
	}
	c.relieve(b)
}

// unlimit ends that for a task that has ended.
func (c *Scheduler) unlimit(t *task) {
	x := c.limits[t]
	if x == nil {
		return
	}
	c.leavePlaces(t)
	delete(c.limits, t)
	for _, b := range x.buckets {
		if b.open--; b.open == 0 {
			c.dropBucket(b)
		}
	}
}

// dropBucket forgets a limit that no open task names, once it is as it was new.
func (c *Scheduler) dropBucket(b *bucket) {
	if b.open > 0 || c.buckets[b.limitKey] != b {
		return
	}
	if b.full > c.now {
		c.refillAt(b, b.full)
		return
	}
	c.timers.cancel(b.refill)
	b.refill = nil
	delete(c.buckets, b.limitKey)
}

// acquire takes a task's places in all of its limits, and says whether there was room in all. What gets room
// is for those who wait; from is where the task has waited, or nil.
func (c *Scheduler) acquire(t *task, from *bucket) bool {
	x := c.limits[t]
	switch {
	case x == nil || x.held:
		return true
	case c.restoring:
		c.unplaced = append(c.unplaced, t)
		return false
	}
	for _, b := range x.buckets {
		if !b.room(c.now) || b.relieved && b != from {
			x.at = b
			heap.Push(&b.waiting, throttled{t, x})
			c.await(b)
			return false
		}
	}
	x.held, x.ready = true, true
	for _, b := range x.buckets {
		b.held++
		b.ready++
	}
	return true
}

// spend takes the tokens that were set aside for a task, which is granted.
func (c *Scheduler) spend(t *task) {
	x := c.limits[t]
	if x == nil || !x.ready {
		return
	}
	x.ready = false
	for _, b := range x.buckets {
		b.ready--
		if b.Starts > 0 {
			b.full = max(b.full, c.now).Add(b.interval())
			c.await(b)
		}
	}
}

// retake has a task have its places that may be at a worker since before a restart, be there room or not. The
// bucket of tokens was empty after that, so it takes none.
func (c *Scheduler) retake(t *task) {
	x := c.limits[t]
	if x == nil {
		return
	}
	c.leavePlaces(t)
	x.held = true
	for _, b := range x.buckets {
		b.held++
	}
}

// newBuckets returns how many limits an offered task names that nobody has named.
func (c *Scheduler) newBuckets(owner string, limits []Limit) (n int) {
	for _, l := range limits {
		if c.buckets[limitKey{owner, l.Name, l.Key}] == nil {
			n++
		}
	}
	return n
}

// leavePlaces gives a task's places back.
func (c *Scheduler) leavePlaces(t *task) {
	x := c.limits[t]
	if x == nil {
		return
	}
	if x.at != nil {
		heap.Remove(&x.at.waiting, x.index)
		x.at = nil
	}
	if !x.held {
		return
	}
	ready := x.ready
	x.held, x.ready = false, false
	for _, b := range x.buckets {
		b.held--
		if ready {
			b.ready--
		}
		c.relieve(b)
	}
}

// interval is how long it takes until there is one more token, rounded up: there are never more than Starts in a
// Period.
func (b *bucket) interval() time.Duration {
	return (b.Period + time.Duration(b.Starts) - 1) / time.Duration(b.Starts)
}

// span is how long it takes until an empty bucket is full.
func (b *bucket) span() time.Duration {
	if b.Starts == 0 {
		return 0
	}
	return time.Duration(b.Starts) * b.interval()
}

// place says whether one more task has a place, for all that tokens say.
func (b *bucket) place() bool { return b.Concurrent == 0 || b.held < b.Concurrent }

// room says whether one more task has a place, and a token.
func (b *bucket) room(now Time) bool {
	return b.place() && (b.Starts == 0 || b.ready < b.Starts && b.token() <= now)
}

// token is when there is a token besides those that are set aside, or since when. As long as all are set aside it
// says nothing.
func (b *bucket) token() Time {
	return b.full.Add(-time.Duration(b.Starts-1-b.ready) * b.interval())
}

// await has a bucket that somebody waits at looked at again when it has a token.
func (c *Scheduler) await(b *bucket) {
	if len(b.waiting) > 0 && b.Starts > 0 && b.place() && b.ready < b.Starts && b.token() > c.now {
		c.refillAt(b, b.token())
	}
}

func (c *Scheduler) refillAt(b *bucket, at Time) {
	if b.refill == nil {
		b.refill = c.timers.add(&timer{at: at, kind: timerBucket, bucket: b})
	} else if b.refill.at != at {
		c.timers.reset(b.refill, at)
	}
}

// refilled strikes when a bucket may have a token.
func (c *Scheduler) refilled(b *bucket) {
	b.refill = nil
	c.relieve(b)
	c.dropBucket(b)
}

// relieve has those who wait at a bucket go on that may have room, in this step or the next.
func (c *Scheduler) relieve(b *bucket) {
	if !b.relieved && len(b.waiting) > 0 {
		b.relieved = true
		c.relieved.Push(b)
	}
}

// goOnBelow has tasks go on whose limits have room, as many as a step may move.
func (c *Scheduler) goOnBelow(left int) {
	for left > 0 && c.relieved.Len() > 0 {
		b := *c.relieved.At(0)
		for ; left > 0 && len(b.waiting) > 0 && b.room(c.now); left-- {
			c.looks++
			w := heap.Pop(&b.waiting).(throttled) //nolint:errcheck // Only those are pushed.
			w.x.at = nil
			c.enlist(w.task, false, b)
		}
		if len(b.waiting) > 0 && b.room(c.now) {
			return
		}
		b.relieved = false
		c.relieved.Drop(1)
		if len(b.waiting) > 0 {
			c.await(b)
		}
	}
}

// explainThrottled says what a task waits for.
func (c *Scheduler) explainThrottled(t *task) string {
	b := c.limits[t].at
	if b == nil {
		return ""
	}
	name := fmt.Sprintf("limit %q", b.name)
	if b.key != "" {
		name += fmt.Sprintf(" of %q", b.key)
	}
	if !b.place() {
		return fmt.Sprintf("%s has %d of %d tasks at once", name, b.held, b.Concurrent)
	}
	return fmt.Sprintf("%s lets %d start in %v", name, b.Starts, b.Period)
}

// throttled is a task that waits at a bucket.
type throttled struct {
	task *task
	x    *limited
}

// throttledHeap is a heap of those, by priority and then by number.
type throttledHeap []throttled

func (h *throttledHeap) Len() int { return len(*h) }

func (h *throttledHeap) Less(i, j int) bool {
	a, b := (*h)[i].task, (*h)[j].task
	return cmp.Or(cmp.Compare(b.shape.Priority, a.shape.Priority), cmp.Compare(a.num, b.num)) < 0
}

func (h *throttledHeap) Swap(i, j int) {
	(*h)[i], (*h)[j] = (*h)[j], (*h)[i]
	(*h)[i].x.index, (*h)[j].x.index = i, j
}

// Push is for container/heap.
func (h *throttledHeap) Push(x any) {
	w := x.(throttled) //nolint:errcheck // Only those are pushed.
	w.x.index = len(*h)
	*h = append(*h, w)
}

// Pop is for container/heap.
func (h *throttledHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = throttled{}
	*h = reuse.Trimmed((*h)[:last])
	return x
}

// restoreLimits gives tasks their places after a restart: those that may be at workers have them, and the
// others get them as there is room.
func (c *Scheduler) restoreLimits() {
	c.restoredAt = c.now
	for _, b := range c.buckets { // order-free: each is emptied
		b.full = c.now.Add(b.span())
	}
	waiting := c.unplaced
	c.unplaced = nil
	for _, t := range waiting {
		c.line(t, false)
	}
}

// enlist has a pending task wait for a worker, for the others of its gang, or for the limit that has no room for it.
func (c *Scheduler) enlist(t *task, front bool, from *bucket) {
	switch {
	case !c.acquire(t, from):
		c.waitAside(t, Throttled)
	case t.shape.Gang > 0:
		c.muster(t)
	default:
		c.pushReady(t, front)
	}
}

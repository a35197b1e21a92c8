package fray

import (
	"cmp"
	"container/heap"
	"time"
)

// limiter bounds the tasks of a backend that runs them in this process, as the controller does those of its
// owners. The backend's mutex guards it.
type limiter struct {
	buckets map[limitKey]*limitBucket
	// Of those that got room: relieve is due.
	freed  []*limitBucket
	order  uint64
	closed bool
	// refilled is called without the mutex when a bucket may have a token.
	refilled func(*limitBucket)
}

type limitKey struct{ name, key string }

// limitBucket is what one key of a limit has.
type limitBucket struct {
	limitKey
	Limit

	open, held, ready int       // tasks that name it, that have a place, and of these that have not started
	full              time.Time // when the bucket of tokens will be full
	waiting           placeHeap
	timer             *time.Timer // it is looked at again then; nil: it need not
	freed             bool        // it is in limiter.freed
}

// places are what a call has of its limits; nil: it has none.
type places struct {
	*limiter

	buckets []*limitBucket
	order   uint64 // of submission, among those of one priority
	call    *call
	// granted has it go on, with the mutex held. It may not give places back.
	granted func()

	held, ready bool
	at          *limitBucket // where it waits; nil: nowhere
	index       int
}

func newLimiter(refilled func(*limitBucket)) *limiter {
	return &limiter{buckets: make(map[limitKey]*limitBucket), refilled: refilled}
}

// join has an open call bounded by its limits, whose numbers are in force from now on.
func (l *limiter) join(c *call, granted func()) *places {
	if len(c.config.limits) == 0 {
		return nil
	}
	l.order++
	p := &places{limiter: l, order: l.order, call: c, granted: granted}
	now := time.Now()
	for _, limit := range c.config.limits {
		k := limitKey{limit.name, limit.key}
		b := l.buckets[k]
		if b == nil {
			b = &limitBucket{limitKey: k}
			l.buckets[k] = b
		}
		b.open++
		if b.Limit != limit {
			b.Limit = limit
			if empty := now.Add(b.span()); b.full.After(empty) {
				b.full = empty
			}
			l.free(b)
		}
		p.buckets = append(p.buckets, b)
	}
	return p
}

// acquire takes the places, and says whether there was room; if not, granted is called once there is.
func (p *places) acquire() bool { return p == nil || p.acquireFrom(nil) }

// acquireFrom is acquire for one that has waited at a bucket; nil: it has not. What gets room is for those who wait.
func (p *places) acquireFrom(from *limitBucket) bool {
	now := time.Now()
	for _, b := range p.buckets {
		if !b.room(now) || len(b.waiting) > 0 && b != from {
			p.at = b
			heap.Push(&b.waiting, p)
			p.await(b, now)
			return false
		}
	}
	p.held, p.ready = true, true
	for _, b := range p.buckets {
		b.held++
		b.ready++
	}
	return true
}

// start takes the tokens that were set aside.
func (p *places) start() {
	if p == nil || !p.ready {
		return
	}
	p.ready = false
	now := time.Now()
	for _, b := range p.buckets {
		b.ready--
		if b.starts > 0 {
			if b.full.Before(now) {
				b.full = now
			}
			b.full = b.full.Add(b.interval())
			p.await(b, now)
		}
	}
}

// giveBack gives the places back, or the one in the line. Those who wait go on with relieve.
func (p *places) giveBack() {
	if p == nil {
		return
	}
	if p.at != nil {
		heap.Remove(&p.at.waiting, p.index)
		p.at = nil
	}
	if !p.held {
		return
	}
	for _, b := range p.buckets {
		b.held--
		if p.ready {
			b.ready--
		}
		p.free(b)
	}
	p.held, p.ready = false, false
}

// leave is giveBack for a call that has ended.
func (p *places) leave() {
	if p == nil || p.buckets == nil {
		return
	}
	p.giveBack()
	for _, b := range p.buckets {
		b.open--
		p.drop(b)
	}
	p.buckets = nil
}

// waits says whether the call waits for room.
func (p *places) waits() bool { return p != nil && p.at != nil }

// drop forgets a bucket that no open call names, once it is full.
func (l *limiter) drop(b *limitBucket) {
	switch left := time.Until(b.full); {
	case b.open > 0 || l.closed:
	case left > 0:
		l.lookAgain(b, left)
	default:
		if b.timer != nil {
			b.timer.Stop()
		}
		delete(l.buckets, b.limitKey)
	}
}

func (l *limiter) free(b *limitBucket) {
	if !b.freed && len(b.waiting) > 0 {
		b.freed = true
		l.freed = append(l.freed, b)
	}
}

// look has who waits at a bucket go on as soon as it has a token, which may be now.
func (l *limiter) look(b *limitBucket) {
	b.timer = nil
	l.free(b)
	l.relieve()
	l.drop(b)
}

// relieve has those go on who wait where there is room.
func (l *limiter) relieve() {
	for len(l.freed) > 0 && !l.closed {
		b := l.freed[0]
		l.freed = l.freed[1:]
		now := time.Now()
		for len(b.waiting) > 0 && b.room(now) {
			p := heap.Pop(&b.waiting).(*places) //nolint:errcheck // Only those are pushed.
			if p.at = nil; p.acquireFrom(b) {
				p.granted()
			}
		}
		b.freed = false
		l.await(b, now)
	}
}

// close has nothing go on any more.
func (l *limiter) close() {
	l.closed = true
	for _, b := range l.buckets { // order-free: each is stopped
		if b.timer != nil {
			b.timer.Stop()
			b.timer = nil
		}
	}
}

// await has a bucket looked at again when it has a token for who waits there.
func (l *limiter) await(b *limitBucket, now time.Time) {
	if len(b.waiting) > 0 && b.place() && b.starts > 0 && b.ready < int(b.starts) && b.token().After(now) {
		l.lookAgain(b, b.token().Sub(now))
	}
}

func (l *limiter) lookAgain(b *limitBucket, after time.Duration) {
	if l.closed {
		return
	}
	if b.timer != nil {
		b.timer.Stop()
	}
	b.timer = time.AfterFunc(after, func() { l.refilled(b) })
}

func (b *limitBucket) interval() time.Duration {
	return (b.period + time.Duration(b.starts) - 1) / time.Duration(b.starts)
}

func (b *limitBucket) span() time.Duration {
	if b.starts == 0 {
		return 0
	}
	return time.Duration(b.starts) * b.interval()
}

func (b *limitBucket) place() bool { return b.concurrent == 0 || b.held < int(b.concurrent) }

func (b *limitBucket) room(now time.Time) bool {
	return b.place() && (b.starts == 0 || b.ready < int(b.starts) && !b.token().After(now))
}

// token is when there is one besides those that are set aside, or since when.
func (b *limitBucket) token() time.Time {
	return b.full.Add(-time.Duration(int(b.starts)-1-b.ready) * b.interval())
}

// placeHeap has calls by priority, and then in the order of submission.
type placeHeap []*places

func (h *placeHeap) Len() int { return len(*h) }

func (h *placeHeap) Less(i, j int) bool {
	a, b := (*h)[i], (*h)[j]
	return cmp.Or(cmp.Compare(b.call.config.priority, a.call.config.priority), cmp.Compare(a.order, b.order)) < 0
}

func (h *placeHeap) Swap(i, j int) {
	(*h)[i], (*h)[j] = (*h)[j], (*h)[i]
	(*h)[i].index, (*h)[j].index = i, j
}

// Push is for container/heap.
func (h *placeHeap) Push(x any) {
	p := x.(*places) //nolint:errcheck // Only those are pushed.
	p.index = len(*h)
	*h = append(*h, p)
}

// Pop is for container/heap.
func (h *placeHeap) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return p
}

package core

import (
	"container/heap"
	"math"
	"slices"
	"time"

	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

// stir has a group looked at when this step hands out work.
func (c *Scheduler) stir(g *group) {
	if !g.stirred {
		g.stirred, g.longest = true, 0
		c.stirred = append(c.stirred, g)
		if c.dispatching { // It is looked at next, and takes its place.
			heap.Fix(&c.stirred, len(c.stirred)-1)
		}
	}
}

// dispatch hands ready tasks to waiting polls. It looks only where something changed: at groups in
// which tasks became ready, or whose tasks a poll may take that could not before. The poll that has
// waited longest comes first.
func (c *Scheduler) dispatch() {
	c.handOut()
	for more := true; more; more = c.startGangs() { // What is urgent goes before gangs that have gathered.
		c.dispatchStirred()
	}
}

func (c *Scheduler) dispatchStirred() {
	if len(c.stirred) == 0 {
		return
	}
	c.steps++
	waiting := c.stirred[:0]
	for _, g := range c.stirred {
		if s := c.candidate(g); s != nil {
			g.longest = s.poll.order
			waiting = append(waiting, g)
		} else {
			g.stirred = false
		}
	}
	clear(c.stirred[len(waiting):])
	c.stirred = waiting
	heap.Init(&c.stirred)
	c.dispatching = true
	for len(c.stirred) > 0 {
		g := c.stirred[0]
		s := c.candidate(g)
		switch {
		case s == nil:
			heap.Pop(&c.stirred)
			g.stirred = false
		case s.poll.order != g.longest: // That one was served with another group's.
			g.longest = s.poll.order
			heap.Fix(&c.stirred, 0)
		default:
			c.serve(s)
		}
	}
	c.dispatching = false
	c.stirred, c.offered, c.loners = reuse.Emptied(c.stirred), reuse.Emptied(c.offered), reuse.Emptied(c.loners)
}

// groupsByWait is a heap of groups by the poll that waits longest for each.
type groupsByWait []*group

func (h *groupsByWait) Len() int           { return len(*h) }
func (h *groupsByWait) Less(i, j int) bool { return (*h)[i].longest < (*h)[j].longest }
func (h *groupsByWait) Swap(i, j int)      { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push is for container/heap.
func (h *groupsByWait) Push(x any) {
	*h = append(*h, x.(*group)) //nolint:errcheck // Only groups are pushed.
}

// Pop is for container/heap.
func (h *groupsByWait) Pop() any {
	last := len(*h) - 1
	g := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return g
}

// freeSlots returns how many slots the worker that asks has free. Those are the ones that it said
// were free, and one for each attempt that it held and has told the end of since: without them a
// worker that asked while it was busy would be granted nothing but what can wait there for a slot.
// The report of an end may have overtaken the poll, so what counts is what the worker held when it
// asked. What it holds may run without a slot or wait for one, so there are no more than what it
// holds leaves.
func (w *wait) freeSlots() int {
	held := w.session.leases.size
	return max(w.free, min(w.free+w.held-held, w.session.slots-held))
}

// serve grants a waiting poll its share of the tasks that its worker can run, and answers it, unless
// its worker is set aside before it is granted any, or the jobs are held whose turn it is.
func (c *Scheduler) serve(s *session) {
	w := s.poll
	free := w.freeSlots()
	gs, bytes := c.handCalls(s, free)
	calls := len(gs)
	if s.penalty != nil { // It is served for its calls alone.
		c.withdraw(s)
	}
	if s.asking {
		most := min(w.max, c.share(s, free))
		gs = slices.Grow(gs, most)
	}
	for s.asking && len(gs) < w.max && bytes < c.cfg.MaxGrantBytes {
		ahead := len(gs) >= free
		q := c.pick(s, ahead)
		if s.gang != nil && (q == nil || !s.gang.yields(q.turn)) {
			c.withdraw(s)
			break
		}
		if q != nil && c.holdsUp(q.turn.job) {
			c.hold(q.turn.job)
			continue
		}
		if q == nil || c.setAside(s, q) {
			break
		}
		if q.class.leads > 0 {
			if len(gs) == 0 { // Else what it is granted goes first, and it asks again.
				c.gather(q)
			}
			break
		}
		g := q.class.group
		if len(gs)-calls >= g.limit || g.share == 0 {
			break
		}
		g.share--
		c.releaseAside(s)
		t := c.takeReady(q)
		grant, size := c.grant(c.lease(t, s, w.seq, ahead))
		bytes += size
		gs = append(gs, grant)
		if t.shape.alone {
			break
		}
	}
	if len(gs) > 0 {
		c.handOver(s, gs, bytes)
	}
}

// handOver answers a waiting poll with what its worker is granted.
func (c *Scheduler) handOver(s *session, gs []Grant, bytes int) {
	w := s.poll
	s.grantSeq = w.seq
	s.deliveryTime = c.cfg.DeliveryTimeout + time.Duration(bytes/FloorRate)*time.Second
	c.timers.cancel(s.delivery)
	s.delivery = c.timers.add(&timer{at: c.now.Add(s.deliveryTime), kind: timerDelivery, session: s})
	c.unpark(w)
	c.reply(w.call, PollReply{Grants: gs, Verdicts: w.verdicts})
}

// handCalls grants a waiting poll the calls that there are for its worker, as far as that has free slots. They
// go before tasks, which others can run, too.
func (c *Scheduler) handCalls(s *session, free int) (gs []Grant, bytes int) {
	w := s.poll
	for len(gs) < min(free, w.max) && bytes < c.cfg.MaxGrantBytes {
		t := c.nextCall(s)
		if t == nil {
			break
		}
		grant, size := c.grant(c.lease(t, s, w.seq, false))
		bytes += size
		gs = append(gs, grant)
	}
	return gs, bytes
}

// share decides how much of what its worker can run a poll may be granted, so that all who could
// run it get the same: of all groups together no more than an equal part among those who compete
// for one, and of a group for which workers of other kinds compete, too, no more than an equal part
// of that. It returns the most that it may be.
func (c *Scheduler) share(s *session, free int) int {
	c.offered, c.loners = c.offered[:0], c.loners[:0]
	total, most := 0, 0
	for _, g := range s.kind.groups {
		c.looks++
		if g.leads() && len(c.gathering) >= maxGathering {
			continue
		}
		if g.ready > 0 && g.alone() {
			c.loners = append(c.loners, g)
		}
		if g.ready > 0 && (len(g.names) == 0 || free > 0 && within(g.turns.root.need.least, c.freeOf(s, g))) {
			c.offered = append(c.offered, g)
			if !g.alone() && !g.leads() {
				total += g.ready
			}
		}
	}
	for _, g := range c.offered {
		if g.alone() || g.leads() { // One of it is all that a worker is granted.
			g.limit, g.share, most = 1, 1, max(most, 1)
			continue
		}
		n := c.rivals(g)
		g.limit, g.share = ceilDiv(total, n), math.MaxInt
		if n > s.kind.asking.size {
			g.share = ceilDiv(g.ready, n)
		}
		most = max(most, g.limit)
	}
	return min(most, max(total, 1))
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// rivals returns how many polls wait that could be granted some of a group.
func (c *Scheduler) rivals(g *group) int {
	if len(g.names) == 0 {
		return g.polls.size
	}
	if g.rivalsStep != c.steps {
		// Each of them will be granted a task, so that to count them costs no more than that.
		g.rivals, g.rivalsStep = g.polls.root.count(c.leastOf(g), g.ready, &c.looks), c.steps
	}
	return max(g.rivals, 1)
}

// pick returns the queue whose first task the worker gets next, or nil. Tasks that occupy resources
// are never granted ahead of a free slot.
func (c *Scheduler) pick(s *session, ahead bool) *jobQueue {
	var best *jobQueue
	for _, g := range c.offered {
		c.looks++
		if g.ready == 0 || len(g.names) > 0 && ahead {
			continue
		}
		if q := c.best(g, c.freeOf(s, g)); q != nil && (best == nil || s.prefers(q, best)) {
			best = q
		}
	}
	return best
}

package core

// A task that kills its worker takes along what runs beside it, and each of these is charged with
// the loss. So the last attempt that a task's losses allow runs alone, if the task lost any of the
// workers before in company: a task fails for what it does by itself.
//
// Such a task gets a shape of its own, and by that a class and a group. Its class needs, besides its
// resources, the whole of a worker, which is a resource that each worker has one of: free while
// nothing occupies a slot there. For the rest it queues, takes turns and is granted as others.
//
// A worker that always has something to do would never be free. So when it is the turn of such a
// task, and no worker is there for it, the worker that asks is set aside: it is granted nothing until
// it is free.

// wholeWorker names the resource that a task needs which runs alone. No specification can name it.
const wholeWorker = ""

// asideShare is the share, 1 in so many, of the workers that can run a task of which no more are set
// aside; one may be, however few there are.
const asideShare = 4

// lastAlone says whether the task's next attempt, or the one that it has, is the last that its
// losses allow, and runs alone.
func (t *task) lastAlone() bool {
	return t.run != nil && t.shape.Role == Plain && t.shape.Gang == 0 && t.run.inCompany > 0 && t.run.losses >= t.shape.MaxWorkerLosses
}

// shapeAlone gives a task the shape of those that run alone. It is in no class's count.
func (c *Scheduler) shapeAlone(t *task) { c.reshape(t, variant{alone: true}) }

// setApart moves a task, which is in no queue, to those that run alone, if it has to. Bounds on
// classes do not refuse what was accepted before.
func (c *Scheduler) setApart(t *task) {
	if t.shape.alone || !t.lastAlone() {
		return
	}
	c.closed(t)
	c.shapeAlone(t)
	c.classFor(t.shape, nil)
	c.opened(t)
}

func (g *group) alone() bool { return len(g.names) > 0 && g.names[0] == wholeWorker }

// idle says whether nothing occupied a slot of the worker when it asked for work: it holds nothing,
// or only attempts that wait for other tasks. Without these a task could not run alone for which
// they wait.
func (w *wait) idle() bool { return w.free >= w.session.slots }

// whole says whether a task could run alone on a worker that asks for work.
func (s *session) whole() bool {
	return s.leases.size == 0 || s.poll.idle() && s.leases.size <= s.poll.leases
}

// lends says whether attempts have lent their slots at a worker that asks for work.
func (w *wait) lends() bool { return w.free+w.held > w.session.slots }

// keepsClear says whether a worker that asks for work is granted none, because a task runs alone
// there, which has not lent its slot, or is to.
func (s *session) keepsClear() bool {
	return s.alone > 0 && !s.poll.idle() || s.aside != nil && !s.whole()
}

// prefers says whether the worker is granted q's first task before that of other. One that was set
// aside has had its turn.
func (s *session) prefers(q, other *jobQueue) bool {
	if s.aside != nil && q.class.alone != other.class.alone && q.turn.priority == other.turn.priority {
		return q.class.alone
	}
	return q.goesBefore(other)
}

// setAside sets a worker aside, which is being served, if it is the turn of a task that is to run
// alone before that of q, and says whether it did.
func (c *Scheduler) setAside(s *session, q *jobQueue) bool {
	if s.whole() || s.poll.lends() {
		return false // What waits for other tasks may wait for q's.
	}
	for _, g := range c.loners {
		c.looks++
		if g.ready == 0 || g.aside >= max(1, g.workers/asideShare) {
			continue
		}
		alone := c.best(g, c.allOf(s, g))
		if alone == nil || !alone.goesBefore(q) || len(alone.class.asides) >= alone.class.ready || c.candidate(g) != nil {
			continue
		}
		cl := alone.class
		s.aside, s.asideAt = cl, len(cl.asides)
		cl.asides = append(cl.asides, s)
		s.countAside(1)
		c.withdraw(s)
		return true
	}
	return false
}

// allOf returns how much the worker has of each of the group's resources while it holds nothing.
func (c *Scheduler) allOf(s *session, g *group) []int64 {
	all := make([]int64, 0, len(g.names))
	for _, name := range g.names {
		if name == wholeWorker {
			all = append(all, 1)
			continue
		}
		all = append(all, s.resources[s.resource(name)].Amount)
	}
	return all
}

// countAside counts a worker among those of its kind that are set aside (1), or off (-1).
func (s *session) countAside(sign int) {
	s.kind.aside += sign
	for _, g := range s.kind.groups {
		g.aside += sign
	}
}

// releaseAside ends that a worker is set aside, if it is.
func (c *Scheduler) releaseAside(s *session) {
	cl := s.aside
	if cl == nil {
		return
	}
	last := len(cl.asides) - 1
	cl.asides[s.asideAt] = cl.asides[last]
	cl.asides[s.asideAt].asideAt = s.asideAt
	cl.asides[last] = nil
	cl.asides = cl.asides[:last]
	s.aside, s.asideAt = nil, 0
	s.countAside(-1)
}

// spareAsides lets workers have other work again that are set aside for more tasks than a class has
// ready.
func (c *Scheduler) spareAsides(cl *class) {
	for len(cl.asides) > cl.ready {
		s := cl.asides[len(cl.asides)-1]
		c.releaseAside(s)
		c.offer(s)
	}
}

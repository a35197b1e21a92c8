package core

import "slices"

// class groups the tasks that the same workers can run: equal function, resources and labels. A dispatch
// looks at classes, never at tasks one by one.
type class struct {
	key       string
	function  string
	resources []Resource
	labels    []Label
	shapes    int
	// Live sessions, not draining, that could ever run it.
	eligible int
	// Non-empty only, highest priority first.
	levels []*level
	ready  int
	// Its place in Scheduler.ready; -1 when it is not there.
	readyAt int
}

// level is one priority of a class: a ring of jobs, each with its tasks in order.
type level struct {
	priority int32
	jobs     map[*job]*jobQueue
	// The job that was served longest ago, unless it was served elsewhere since it took its place; see first.
	front *jobQueue
}

// jobQueue is a job's ready tasks in one level.
type jobQueue struct {
	job   *job
	tasks taskList
	// What job.served was when the queue took its place in the ring. It rises along the ring.
	served     uint64
	next, prev *jobQueue
}

// taskList is a list threaded through its tasks; a task is in at most one.
type taskList struct {
	head, tail *task
	size       int
}

func (l *taskList) pushBack(t *task) {
	t.prev, t.next = l.tail, nil
	if l.tail == nil {
		l.head = t
	} else {
		l.tail.next = t
	}
	l.tail = t
	l.size++
}

func (l *taskList) pushFront(t *task) {
	t.prev, t.next = nil, l.head
	if l.head == nil {
		l.tail = t
	} else {
		l.head.prev = t
	}
	l.head = t
	l.size++
}

func (l *taskList) remove(t *task) {
	if t.prev == nil {
		l.head = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		l.tail = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
	l.size--
}

func (c *Scheduler) addClass(key string, s *Shape) *class {
	cl := &class{
		key: key, function: s.Function, readyAt: -1,
		resources: slices.Clone(s.Resources), labels: slices.Clone(s.Labels),
	}
	c.classByKey[key] = cl
	for _, se := range c.sessions { // order-free: a count
		if se.drain == nil && se.canEverRun(cl) {
			cl.eligible++
		}
	}
	return cl
}

func (c *Scheduler) removeClass(cl *class) {
	delete(c.classByKey, cl.key)
	for _, se := range c.sessions { // order-free: each forgets it
		delete(se.eligible, cl)
	}
}

// pushReady queues a pending task for dispatch: at the back, or at the front where it has waited before.
func (c *Scheduler) pushReady(t *task, front bool) {
	t.pending, t.since = Ready, c.now
	if t.job.ready == 0 {
		// It joins at the end of the round, or else a flood of new jobs would keep the old ones from their turn.
		t.job.served = max(t.job.served, c.serveSeq)
	}
	t.job.ready++
	cl := t.shape.class
	i, found := slices.BinarySearchFunc(cl.levels, t.shape.Priority, func(l *level, p int32) int {
		return int(p) - int(l.priority)
	})
	if !found {
		cl.levels = slices.Insert(cl.levels, i, &level{priority: t.shape.Priority, jobs: make(map[*job]*jobQueue)})
	}
	l := cl.levels[i]
	q := l.jobs[t.job]
	if q == nil {
		q = &jobQueue{job: t.job}
		l.jobs[t.job] = q
		l.link(q)
	}
	if front {
		q.tasks.pushFront(t)
	} else {
		q.tasks.pushBack(t)
	}
	cl.ready++
	c.readyCount++
	if cl.readyAt < 0 {
		cl.readyAt = len(c.ready)
		c.ready = append(c.ready, cl)
	}
	c.newReady = true
}

// removeReady takes a ready task out of its queue.
func (c *Scheduler) removeReady(t *task) {
	cl := t.shape.class
	i, _ := slices.BinarySearchFunc(cl.levels, t.shape.Priority, func(l *level, p int32) int {
		return int(p) - int(l.priority)
	})
	l := cl.levels[i]
	q := l.jobs[t.job]
	q.tasks.remove(t)
	if q.tasks.size == 0 {
		l.unlink(q)
		delete(l.jobs, t.job)
		if l.front == nil {
			cl.levels = slices.Delete(cl.levels, i, i+1)
		}
	}
	t.job.ready--
	cl.ready--
	c.readyCount--
	if cl.ready == 0 {
		last := len(c.ready) - 1
		c.ready[cl.readyAt] = c.ready[last]
		c.ready[cl.readyAt].readyAt = cl.readyAt
		c.ready[last] = nil
		c.ready = c.ready[:last]
		cl.readyAt = -1
	}
}

// takeReady takes the next task of the class's highest priority, and moves its job to the end of the round.
func (c *Scheduler) takeReady(cl *class) *task {
	q := cl.levels[0].first()
	c.serveSeq++
	q.job.served = c.serveSeq
	t := q.tasks.head
	c.removeReady(t)
	return t
}

// first returns the queue of the job that was served longest ago. Jobs that were served meanwhile, here or in another
// class, are moved to where they belong now: a job takes one turn in all classes together.
func (l *level) first() *jobQueue {
	for l.front.served != l.front.job.served {
		q := l.front
		l.unlink(q)
		l.link(q)
	}
	return l.front
}

// link gives a job its place in the round, which is mostly the last.
func (l *level) link(q *jobQueue) {
	q.served = q.job.served
	if l.front == nil {
		q.next, q.prev = q, q
		l.front = q
		return
	}
	after := l.front.prev
	for after.served > q.served {
		if after == l.front {
			after = l.front.prev
			l.front = q
			break
		}
		after = after.prev
	}
	q.next, q.prev = after.next, after
	q.prev.next, q.next.prev = q, q
}

func (l *level) unlink(q *jobQueue) {
	if q.next == q {
		l.front = nil
		return
	}
	q.prev.next, q.next.prev = q.next, q.prev
	if l.front == q {
		l.front = q.next
	}
}

// before says whether cl's next task goes before other's: by priority, then by whose job was served longer ago, then
// by which task came first.
func (cl *class) before(other *class) bool {
	a, b := cl.levels[0], other.levels[0]
	if a.priority != b.priority {
		return a.priority > b.priority
	}
	x, y := a.first(), b.first()
	if x.served != y.served {
		return x.served < y.served
	}
	return x.tasks.head.num < y.tasks.head.num
}

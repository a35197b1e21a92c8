package core

// class gathers the tasks that the same workers can run: equal function, resources and labels. It
// counts as one while it has open tasks. Then it idles for a while, because more of the kind are
// likely to come.
type class struct {
	key       string
	function  string
	resources []Resource
	labels    []Label
	// What its tasks wait for that no worker can run, as it was with the fleet of that number; of
	// no use unless that is today's.
	lacks   string
	lacksAt uint64
	// Since when no worker can run it, as far as that was before it joined its group; see group.unmanned.
	unmanned Time
	// Open tasks, and who had the first of them: the class counts as one of theirs.
	open  int
	payer *owner
	// The ready ones, by job and priority, and how many may be granted: those of held jobs may not.
	queues map[queueKey]*jobQueue
	ready  int
	// That of its function, to which all its ready tasks count.
	depth *functionDepth
	// The classes that the same workers can run, and its place among them; nil once the class is
	// dropped.
	group *group
	at    int
	// What it needs of each of the group's resources.
	need []int64
	variant
	// The workers that are set aside for its tasks, which run alone.
	asides []*session
	// The gangs, which its tasks lead, that all workers have no room for; and it is in Scheduler.shelves.
	shelf   []*gang
	shelved bool
	// Neighbours in Scheduler.idle while it has no open task.
	next, prev *class
}

type queueKey struct {
	job      *job
	priority int32
}

// jobQueue is a job's ready tasks in one class and priority. Never empty, but while one is added.
type jobQueue struct {
	class *class
	turn  *turn
	tasks taskList
	// The number of the first task when the queue took its place in the turn.
	first TaskNum
	place node[*jobQueue]
}

func (q *jobQueue) before(other *jobQueue) bool { return q.first < other.first }

// classFor returns the class of a shape's tasks, or nil where it would be one too many for who submits
// them. Without a submission there is no bound.
func (c *Scheduler) classFor(sh *shape, e *Submit) *class {
	cl := sh.class
	if cl == nil || cl.group == nil {
		c.keyBuf = sh.appendClassKey(c.keyBuf[:0])
		cl = c.classByKey[string(c.keyBuf)]
	}
	if e != nil && (cl == nil || cl.open == 0) && !c.mayOpenClass(e) {
		return nil
	}
	if cl == nil {
		cl = c.addClass(string(c.keyBuf), sh)
	}
	sh.class = cl
	return cl
}

func (c *Scheduler) addClass(key string, sh *shape) *class {
	cl := &class{key: key, function: sh.Function, resources: sh.Resources, labels: sh.Labels, variant: sh.variant, queues: make(map[queueKey]*jobQueue), unmanned: c.now}
	var names []string
	switch {
	case cl.alone:
		names, cl.need = append(names, wholeWorker), append(cl.need, 1)
	case cl.leads > 0:
		names, cl.need = append(names, gangPlace), append(cl.need, 1)
	}
	for _, r := range cl.resources {
		names, cl.need = append(names, r.Name), append(cl.need, r.Amount)
	}
	c.classByKey[key] = cl
	c.joinFunction(cl)
	c.idle.push(cl)
	for _, l := range cl.labels {
		c.mention(l)
	}
	c.joinGroup(cl, c.groupFor(c.kindsFor(cl), names))
	return cl
}

// opened counts a task that its class has got.
func (c *Scheduler) opened(t *task) {
	cl, d := t.shape.class, usage{tasks: 1, bytes: int64(t.size)}
	if cl.open++; cl.open == 1 {
		c.idle.remove(cl)
		cl.payer = t.job.owner
		c.charge(cl.payer, usage{classes: 1})
	}
	t.job.openBytes += d.bytes
	if t.job.open++; t.job.open == 1 {
		d.jobs = 1
	}
	c.charge(t.job.owner, d)
}

// closed counts a task off that has ended.
func (c *Scheduler) closed(t *task) {
	cl, d := t.shape.class, usage{tasks: 1, bytes: int64(t.size)}
	t.job.openBytes -= d.bytes
	if t.job.open--; t.job.open == 0 {
		d.jobs = 1
	}
	c.charge(t.job.owner, d.negative())
	if cl.open--; cl.open == 0 {
		c.charge(cl.payer, usage{classes: -1})
		cl.payer = nil
		c.idle.push(cl)
		c.dropIdle()
	}
}

// maxIdleClasses is how many classes without open tasks are kept, for the next task of their kind.
const maxIdleClasses = 256

func (c *Scheduler) dropIdle() {
	for c.idle.size > maxIdleClasses {
		cl := c.idle.head
		c.idle.remove(cl)
		delete(c.classByKey, cl.key)
		c.leaveFunction(cl)
		c.leaveGroup(cl)
		for _, l := range cl.labels {
			c.forgetMention(l)
		}
	}
}

// classList is a list threaded through its classes.
type classList struct {
	head, tail *class
	size       int
}

func (l *classList) push(cl *class) {
	cl.prev = l.tail
	if l.tail == nil {
		l.head = cl
	} else {
		l.tail.next = cl
	}
	l.tail = cl
	l.size++
}

func (l *classList) remove(cl *class) {
	if cl.prev == nil {
		l.head = cl.next
	} else {
		cl.prev.next = cl.next
	}
	if cl.next == nil {
		l.tail = cl.prev
	} else {
		cl.next.prev = cl.prev
	}
	cl.next, cl.prev = nil, nil
	l.size--
}

// pushReady queues a pending task for dispatch: at the back, or at the front where it has waited
// before.
func (c *Scheduler) pushReady(t *task, front bool) {
	t.pending, t.since = Ready, c.now
	t.job.here(t)
	c.enterRound(t.job)
	cl := t.shape.class
	q := t.queueOf()
	fresh := q == nil
	if fresh {
		q = &jobQueue{class: cl}
		q.place.item = q
		q.place.setNeed(cl.need)
		cl.queues[queueKey{t.job, t.shape.Priority}], t.queue = q, q
	}
	if front {
		q.tasks.pushFront(t)
	} else {
		q.tasks.pushBack(t)
	}
	switch {
	case fresh:
		q.first = t.num
		c.file(q, t.job, t.shape.Priority)
		c.urge(q.turn)
	case front:
		c.refirst(q)
	}
	c.readyCount++
	cl.depth.ready++
	c.ages.ready(c, t)
	if !t.job.held {
		cl.ready++
		cl.group.ready++
		c.stir(cl.group)
	}
}

// removeReady takes a ready task out of its queue.
func (c *Scheduler) removeReady(t *task) {
	cl := t.shape.class
	q := t.queueOf()
	head := q.tasks.head == t
	q.tasks.remove(&c.log, t)
	switch {
	case q.tasks.size == 0:
		delete(cl.queues, queueKey{t.job, t.shape.Priority})
		t.queue = nil
		c.unfile(q)
	case head:
		c.refirst(q)
	}
	t.job.ready--
	if !t.job.held {
		cl.ready--
		cl.group.ready--
	}
	c.readyCount--
	cl.depth.ready--
	c.ages.gone(c, t)
	t.job.away(t)
	c.spareAsides(cl)
}

// queueOf returns the queue of tasks, or nil while there is none.
func (k *kin) queueOf() *jobQueue {
	if k.queue == nil || k.queue.turn == nil { // That one is gone. There may be another.
		k.queue = k.shape.class.queues[queueKey{k.job, k.shape.Priority}]
	}
	return k.queue
}

// takeReady takes the first task of a queue, and moves its job to the end of the round, if it has had as many in its
// turn as it has weight.
func (c *Scheduler) takeReady(q *jobQueue) *task {
	t := q.tasks.head
	c.removeReady(t)
	if t.job.left > 1 {
		t.job.left--
		return t
	}
	c.goLast(t.job)
	c.refile(t.job)
	return t
}

package core

import "slices"

// holdObject has a job hold an object.
func (c *Scheduler) holdObject(o *object, j *job) {
	c.touchObjects(j)
	switch {
	case j.objects.of(o.id) == nil:
		c.holds(o, j)
		c.recordObject(o, false)
	case j.objects.forTasks[o.id]:
		delete(j.objects.forTasks, o.id)
		c.recordObject(o, false)
	}
}

// needObject has a job hold an object as long as a task of it is open, at least.
func (c *Scheduler) needObject(j *job, o *object) {
	h := &j.objects
	if h.of(o.id) == nil {
		c.holds(o, j)
		h.onlyForTasks(o.id)
		c.recordObject(o, false)
	}
	if h.tasks == nil {
		h.tasks = make(map[ObjectID]int)
	}
	h.tasks[o.id]++
}

// needObjectNoMore ends needObject for one task.
func (c *Scheduler) needObjectNoMore(j *job, o *object) {
	h := &j.objects
	if h.tasks[o.id]--; h.tasks[o.id] > 0 {
		return
	}
	delete(h.tasks, o.id)
	if h.forTasks[o.id] {
		c.releaseObject(o, j)
	}
}

func (c *Scheduler) holds(o *object, j *job) {
	j.objects.add(o)
	j.objectBytes += c.cost(o)
	o.holders = append(o.holders, j)
}

// releaseObject ends a job's hold, but for what open tasks of it need.
func (c *Scheduler) releaseObject(o *object, j *job) {
	if h := &j.objects; h.tasks[o.id] > 0 {
		if !h.forTasks[o.id] {
			h.onlyForTasks(o.id)
			c.recordObject(o, true)
		}
		return
	}
	j.objects.remove(o)
	j.objectBytes -= c.cost(o)
	o.holders = slices.DeleteFunc(o.holders, func(h *job) bool { return h == j })
	if len(o.holders) == 0 {
		c.deleteObject(o)
	} else {
		c.recordObject(o, true)
	}
}

// heldObjects is what a job holds, in the order in which that began.
type heldObjects struct {
	at   map[ObjectID]int
	list []*object // nil where it is held no longer
	gone int       // from the first on
	// How many open tasks need each; and what is held for these alone.
	tasks    map[ObjectID]int
	forTasks map[ObjectID]bool
}

func (h *heldObjects) onlyForTasks(id ObjectID) {
	if h.forTasks == nil {
		h.forTasks = make(map[ObjectID]bool)
	}
	h.forTasks[id] = true
}

func (h *heldObjects) size() int { return len(h.at) }

func (h *heldObjects) of(id ObjectID) *object {
	if i, ok := h.at[id]; ok {
		return h.list[i]
	}
	return nil
}

func (h *heldObjects) add(o *object) {
	if h.at == nil {
		h.at = make(map[ObjectID]int)
	}
	h.at[o.id] = len(h.list)
	h.list = append(h.list, o)
}

func (h *heldObjects) remove(o *object) {
	h.list[h.at[o.id]] = nil
	delete(h.at, o.id)
	delete(h.forTasks, o.id)
	if len(h.list) < 2*len(h.at)+16 {
		return
	}
	h.list = slices.DeleteFunc(h.list, func(o *object) bool { return o == nil })
	for i, o := range h.list {
		h.at[o.id] = i
	}
	h.gone = 0
}

// first returns what has been held for the longest.
func (h *heldObjects) first() *object {
	for h.list[h.gone] == nil {
		h.gone++
	}
	return h.list[h.gone]
}

// touchObjects begins the grace of a job's objects anew.
func (c *Scheduler) touchObjects(j *job) {
	j.objectsUntil = c.now.Add(c.cfg.ObjectGrace)
}

// keepsObjects says whether a job that is known for nothing else still holds objects, and sees to it
// that this ends.
func (c *Scheduler) keepsObjects(j *job) bool {
	if j.objects.size() == 0 {
		c.timers.cancel(j.objectsTimer)
		j.objectsTimer = nil
		return j.uploads > 0
	}
	if j.objectsTimer == nil {
		c.touchObjects(j)
		j.objectsTimer = c.timers.add(&timer{at: j.objectsUntil, kind: timerObjects, job: j})
	}
	return true
}

// objectsPast ends the holds of a job that nobody has asked about, some at a time.
func (c *Scheduler) objectsPast(j *job) {
	j.objectsTimer = nil
	if j.knownOtherwise() {
		return
	}
	again := j.objectsUntil
	if again <= c.now {
		for n := 0; n < maxDeletes && j.objects.size() > 0; n++ {
			c.releaseObject(j.objects.first(), j)
		}
		again = c.now.Add(1) // In a step of its own.
	}
	if j.objects.size() > 0 {
		j.objectsTimer = c.timers.add(&timer{at: again, kind: timerObjects, job: j})
	}
	c.dropJob(j)
}

func (e *HoldObjects) apply(c *Scheduler) {
	if j := c.jobs[e.Job]; !j.admits(e.Owner) {
		c.notOwner(e.Call)
		return
	}
	j := c.job(e.Job)
	defer c.dropJob(j)
	c.touchObjects(j)
	r := HoldReply{Held: make([]bool, len(e.IDs)), Grace: c.cfg.ObjectGrace}
	for i, id := range e.IDs {
		if o := c.known(j, e.By, id); o != nil {
			c.own(j, e.By)
			c.holdObject(o, j)
			r.Held[i] = true
		}
	}
	c.reply(e.Call, r)
}

func (e *ReleaseObjects) apply(c *Scheduler) {
	j := c.jobs[e.Job]
	if !j.admits(e.Owner) {
		c.notOwner(e.Call)
		return
	}
	if j != nil {
		for _, id := range e.IDs {
			if o := j.objects.of(id); o != nil {
				c.releaseObject(o, j)
			}
		}
		c.dropJob(j)
	}
	c.reply(e.Call, Done{})
}

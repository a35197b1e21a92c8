package core

import (
	"cmp"
	"slices"
)

const (
	// maxPendingGroups is how many groups of tasks that wait for the same are told of.
	maxPendingGroups = 100
	// queueLooks is at how many tasks of a queue, from the first on, one looks to find the one that waits the longest.
	queueLooks = 16
)

// ListPending asks what the Pending tasks wait for. Replied with PendingReply. It costs a look at each job and each
// queue of a class, and at listScan tasks at most.
type ListPending struct {
	Call CallID
	// As in Get. Tasks of others' jobs are left out.
	Owner string
}

// PendingReply answers ListPending.
type PendingReply struct {
	// The largest first, maxPendingGroups of them at most.
	Groups []PendingGroup
	// Pending tasks, those of no group included.
	Total int
	// There were too many tasks that wait for something else than a worker to look at all of them.
	Partial bool
}

// PendingGroup are tasks of one function that wait for the same.
type PendingGroup struct {
	Reason   PendingReason
	Function string
	// That of ID where the detail of each task is its own, as with Blocked, Mailed, Scheduled and Ganged.
	Detail string
	Count  int
	// The one that waits the longest, about, and since when.
	Num   TaskNum
	ID    string
	Since Time
}

type pendingKey struct {
	reason           PendingReason
	function, detail string
}

// pendingCount counts Pending tasks in groups.
type pendingCount struct {
	*Scheduler

	owner  string
	groups map[pendingKey]*PendingGroup
	// How many tasks may still be looked at.
	left    int
	partial bool
}

func (e *ListPending) apply(c *Scheduler) {
	p := pendingCount{Scheduler: c, owner: e.Owner, groups: make(map[pendingKey]*PendingGroup), left: listScan}
	r := PendingReply{Total: p.total()}
	p.countQueues()
	p.countAside()
	p.countImages()
	r.Groups, r.Partial = p.largest(), p.partial
	c.tell(e.Call, r)
}

// total returns how many Pending tasks there are durably.
func (p *pendingCount) total() (n int) {
	leased := p.toldLeased()
	p.looks += uint64(len(p.jobs))
	for _, j := range p.jobs { // order-free: a sum
		if j.admits(p.owner) {
			n += p.toldOpen(j) - leased[j]
		}
	}
	return n
}

// countQueues counts what is in the queues of classes.
func (p *pendingCount) countQueues() {
	type place struct {
		first TaskNum
		class *class
	}
	var places []place
	p.looks += uint64(len(p.classByKey))
	for _, cl := range p.classByKey { // order-free: sorted below
		first := TaskNum(0)
		for _, q := range cl.queues { // order-free: the least
			if p.looks++; first == 0 || q.first < first {
				first = q.first
			}
		}
		if first > 0 {
			places = append(places, place{first, cl})
		}
	}
	// In an order of their own, as only so many classes are explained.
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.first, b.first) })
	for _, at := range places {
		var queues []*jobQueue
		for key, q := range at.class.queues { // order-free: sorted below
			if key.job.admits(p.owner) {
				queues = append(queues, q)
			}
		}
		slices.SortFunc(queues, func(a, b *jobQueue) int { return cmp.Compare(a.first, b.first) })
		for _, q := range queues {
			if at.class.single() {
				p.countEach(q)
			} else {
				p.countQueue(q)
			}
		}
	}
}

// single says whether each task of the class waits for something of its own.
func (cl *class) single() bool { return cl.alone || cl.leads > 0 }

func (p *pendingCount) countEach(q *jobQueue) {
	for t := range q.tasks.all(&p.log) {
		if !p.look(t) {
			return
		}
	}
}

// look counts a task for itself, unless it has an image, and says whether there may be more of that.
func (p *pendingCount) look(t *task) bool {
	if p.left == 0 {
		p.partial = true
		return false
	}
	p.left--
	p.looks++
	if t.status == Pending && t.image == 0 {
		v := p.view(t)
		p.add(&v)
	}
	return true
}

// countQueue counts the tasks of a queue without looking at each.
func (p *pendingCount) countQueue(q *jobQueue) {
	key := p.keyOf(q.tasks.head)
	g := p.group(key)
	g.Count += q.tasks.size
	n := 0
	for t := range q.tasks.all(&p.log) {
		if p.looks++; t.image == 0 {
			since := p.pendingSince(t, key.reason)
			g.offer(t.num, since, func() (id, detail string) { return p.id(t), key.detail })
		}
		if n++; n == queueLooks {
			break
		}
	}
}

// keyOf returns the group of a task in a queue of a class that is not single.
func (p *pendingCount) keyOf(t *task) pendingKey {
	key := pendingKey{Ready, t.shape.Function, ""}
	switch cl := t.shape.class; {
	case cl.group.workers == 0:
		key.reason, key.detail = NoEligibleWorker, p.explain(cl)
	case t.job.held:
		key.detail = explainHeld
	}
	return key
}

// countAside counts what waits for something else than a worker.
func (p *pendingCount) countAside() {
	var jobs []*job
	for _, j := range p.jobs { // order-free: sorted below
		if j.latest > 0 && len(j.elsewhere) > 0 && j.admits(p.owner) {
			jobs = append(jobs, j)
		}
	}
	slices.SortFunc(jobs, func(a, b *job) int { return cmp.Compare(a.latest, b.latest) })
	for _, j := range jobs {
		for _, t := range j.elsewhere {
			if !p.look(t) {
				return
			}
		}
	}
}

// countImages counts tasks that have changed as they are durably.
func (p *pendingCount) countImages() {
	for i := range p.firstImages {
		t := i.task
		if !t.job.admits(p.owner) {
			continue
		}
		if t.queued() && !t.shape.class.single() {
			key := p.keyOf(t)
			if g := p.groups[key]; g != nil {
				if g.Count--; g.Count == 0 {
					delete(p.groups, key)
				}
			}
		}
		if i.view != nil && i.view.Status == Pending {
			p.add(i.view)
		}
	}
}

// add counts a task by its view.
func (p *pendingCount) add(v *View) {
	key := pendingKey{v.Pending, v.Function, v.Detail}
	switch v.Pending {
	case Blocked, Mailed, Scheduled, Ganged:
		key.detail = ""
	}
	g := p.group(key)
	g.Count++
	g.offer(v.Num, v.PendingSince, func() (id, detail string) { return v.ID, v.Detail })
}

func (p *pendingCount) group(key pendingKey) *PendingGroup {
	g := p.groups[key]
	if g == nil {
		g = &PendingGroup{Reason: key.reason, Function: key.function, Detail: key.detail}
		p.groups[key] = g
	}
	return g
}

// offer has a task be the one that waits the longest, if it is.
func (g *PendingGroup) offer(num TaskNum, since Time, tell func() (id, detail string)) {
	if g.Num == 0 || cmp.Or(cmp.Compare(since, g.Since), cmp.Compare(num, g.Num)) < 0 {
		g.Num, g.Since = num, since
		g.ID, g.Detail = tell()
	}
}

// largest returns the largest groups, of the same size that with the smallest numbers first.
func (p *pendingCount) largest() []PendingGroup {
	all := make([]PendingGroup, 0, len(p.groups))
	for _, g := range p.groups { // order-free: sorted below
		all = append(all, *g)
	}
	slices.SortFunc(all, func(a, b PendingGroup) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Num, b.Num), cmp.Compare(a.Reason, b.Reason),
			cmp.Compare(a.Function, b.Function), cmp.Compare(a.Detail, b.Detail))
	})
	return all[:min(len(all), maxPendingGroups)]
}

// pendingSince returns since when a pending task waits for what a view of it says.
func (c *Scheduler) pendingSince(t *task, reason PendingReason) Time {
	since := max(t.since, c.restoredAt)
	if cl := t.shape.class; reason == NoEligibleWorker && cl.group.workers == 0 {
		since = max(since, cl.unmanned, cl.group.unmanned)
	}
	return since
}

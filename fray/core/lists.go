package core

import (
	"cmp"
	"container/heap"
	"slices"
)

// What operators ask for: who is there, how it does, and what it waits for. Each looks at all that there is of
// its kind once, for each page.

// latest keeps the items with the greatest keys, as many as there may be, of all that it is offered.
type latest[T any] struct {
	most  int
	items []keyed[T] // a heap, the least key first
}

type keyed[T any] struct {
	key  uint64
	item T
}

func (l *latest[T]) Len() int           { return len(l.items) }
func (l *latest[T]) Less(i, j int) bool { return l.items[i].key < l.items[j].key }
func (l *latest[T]) Swap(i, j int)      { l.items[i], l.items[j] = l.items[j], l.items[i] }
func (l *latest[T]) Push(x any)         { l.items = append(l.items, x.(keyed[T])) } //nolint:forcetypeassert // Offer's.

func (l *latest[T]) Pop() any {
	last := len(l.items) - 1
	x := l.items[last]
	l.items = l.items[:last]
	return x
}

// offer keeps an item, and lets the one with the least key go if there is one too many.
func (l *latest[T]) offer(key uint64, item T) {
	if len(l.items) < l.most {
		heap.Push(l, keyed[T]{key, item})
	} else if key > l.items[0].key {
		l.items[0] = keyed[T]{key, item}
		heap.Fix(l, 0)
	}
}

// sorted returns what was kept, the greatest key first.
func (l *latest[T]) sorted() []keyed[T] {
	slices.SortFunc(l.items, func(a, b keyed[T]) int { return cmp.Compare(b.key, a.key) })
	return l.items
}

// ListJobs asks for jobs with tasks, those that were submitted to last first, Max of them at most. Replied with
// JobsReply.
type ListJobs struct {
	Call CallID
	// Those whose last task has a smaller number only; 0: all.
	Before TaskNum
	Max    int
	// Those with open tasks only.
	Open bool
	// As in Get. Others' jobs are left out.
	Owner string
}

// JobsReply answers ListJobs.
type JobsReply struct {
	Jobs []JobView
	// What Before is for the next page; 0: there is none.
	Next TaskNum
}

// JobView is a job as it stands.
type JobView struct {
	JobReply

	ID string
	// Of its open tasks, those that wait for nothing but a slot, and those that workers have.
	Ready, Leased int
	// Its last task, and when it was submitted; and when the last one ended, of those that are known.
	Last                     TaskNum
	LastSubmitted, LastEnded Time
}

func (e *ListJobs) apply(c *Scheduler) {
	page := latest[*job]{most: max(e.Max, 1) + 1}
	for _, j := range c.jobs { // order-free: those with the greatest numbers, which differ
		if j.tasks > 0 && (e.Before == 0 || j.last < e.Before) && (!e.Open || j.open > 0) && j.admits(e.Owner) {
			page.offer(uint64(j.last), j)
		}
	}
	leased := make(map[*job]int)
	for _, l := range c.leases { // order-free: counts
		if l.current() {
			leased[l.task.job]++
		}
	}
	c.looks += uint64(len(c.jobs) + len(c.leases))
	var r JobsReply
	for i, k := range page.sorted() {
		if i == max(e.Max, 1) {
			r.Next = r.Jobs[i-1].Last
			break
		}
		j := k.item
		v := JobView{JobReply: c.jobNow(j), ID: j.id, Ready: j.ready, Leased: leased[j], Last: j.last, LastSubmitted: j.lastSubmitted}
		if n := len(j.done); n > 0 {
			v.LastEnded = j.done[n-1].since
		}
		r.Jobs = append(r.Jobs, v)
	}
	c.reply(e.Call, r)
}

// jobNow is jobReply for an answer that waits until all of it is durable.
func (c *Scheduler) jobNow(j *job) JobReply {
	r := JobReply{Known: true, Owner: j.owner.name, Open: j.open, Ended: len(j.done), Next: j.ends(), Watchers: len(j.followers)}
	c.tellTies(j, &r)
	r.Submitted, r.FailedTasks, r.Failed = j.submitted(), j.failed, j.ties != nil && j.ties.failed
	return r
}

// maxPendingGroups is how many groups of pending tasks are told of at most.
const maxPendingGroups = 100

// ListPending asks what tasks wait for. Replied with PendingReply.
type ListPending struct {
	Call CallID
	// As in Get. Others' tasks are left out.
	Owner string
}

// PendingReply answers ListPending: the largest groups first.
type PendingReply struct {
	Groups []PendingGroup
	// All tasks that are pending, of those that were looked at.
	Total int
	// Not all were.
	Partial bool
}

// PendingGroup are tasks that wait for the same.
type PendingGroup struct {
	Reason           PendingReason
	Function, Detail string
	Tasks            int
	// One of them that has waited the longest, about, and since when.
	ID    string
	Since Time
	first TaskNum
}

type pendingKey struct {
	reason           PendingReason
	function, detail string
}

// pendingGroups counts tasks by what they wait for.
type pendingGroups struct {
	byKey map[pendingKey]*PendingGroup
	reply PendingReply
}

// add counts tasks, of which one stands for the others.
func (p *pendingGroups) add(c *Scheduler, key pendingKey, t *task, n int) {
	p.reply.Total += n
	g := p.byKey[key]
	if g == nil {
		g = &PendingGroup{Reason: key.reason, Function: key.function, Detail: key.detail, first: t.num, Since: t.since, ID: c.id(t)}
		p.byKey[key] = g
	}
	if t.since < g.Since || t.since == g.Since && t.num < g.first {
		g.first, g.Since, g.ID = t.num, t.since, c.id(t)
	}
	g.Tasks += n
}

func (e *ListPending) apply(c *Scheduler) {
	p := pendingGroups{byKey: make(map[pendingKey]*PendingGroup)}
	var others []*job // with tasks that are not ready
	looks, open := 0, 0
	for _, j := range c.jobs { // order-free: counts and minima, and what is sorted if it counts
		if !j.admits(e.Owner) {
			continue
		}
		if len(j.elsewhere) > 0 {
			others, open = append(others, j), open+len(j.elsewhere)
		}
		for _, turn := range j.turns {
			for n := range turn.queues.all {
				looks++
				head := n.item.tasks.head
				v := c.view(head)
				p.add(c, pendingKey{v.Pending, v.Function, v.Detail}, head, n.item.tasks.size)
			}
		}
	}
	if open > listScan { // The latest jobs, then.
		slices.SortFunc(others, func(a, b *job) int { return cmp.Or(cmp.Compare(b.last, a.last), cmp.Compare(a.id, b.id)) })
		p.reply.Partial = true
	}
	left := listScan
	for _, j := range others {
		for _, t := range j.elsewhere[:min(left, len(j.elsewhere))] {
			if t.status == Pending {
				p.add(c, c.waitsFor(t), t, 1)
			}
		}
		left -= min(left, len(j.elsewhere))
	}
	c.looks += uint64(len(c.jobs) + looks + listScan - left) //nolint:gosec // Not negative.
	groups := make([]PendingGroup, 0, len(p.byKey))
	for _, g := range p.byKey { // order-free: sorted below
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b PendingGroup) int {
		return cmp.Or(cmp.Compare(b.Tasks, a.Tasks), cmp.Compare(a.Since, b.Since), cmp.Compare(a.first, b.first),
			cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Detail, b.Detail))
	})
	p.reply.Groups = groups[:min(len(groups), maxPendingGroups)]
	c.reply(e.Call, p.reply)
}

// waitsFor says what a task waits for that is not ready, as far as others may wait for the same.
func (c *Scheduler) waitsFor(t *task) pendingKey {
	key := pendingKey{reason: t.pending, function: t.shape.Function}
	switch t.pending {
	case Throttled:
		key.detail = c.explainThrottled(t)
	case Ganged:
		key.reason, key.detail = c.explainGang(t)
	}
	return key
}

// ListLimits asks for limits that open tasks name, after one, Max of them at most. Replied with LimitsReply.
type ListLimits struct {
	Call  CallID
	After LimitName
	Max   int
	// As in Get. Others' limits are left out.
	Owner string
}

// LimitName is what a limit is known by.
type LimitName struct{ Owner, Name, Key string }

func (n LimitName) compare(o LimitName) int {
	return cmp.Or(cmp.Compare(n.Name, o.Name), cmp.Compare(n.Key, o.Key), cmp.Compare(n.Owner, o.Owner))
}

// LimitsReply answers ListLimits, by name, key and owner.
type LimitsReply struct {
	Limits []LimitView
	// There are more.
	More bool
}

// LimitView is a limit as it stands.
type LimitView struct {
	Limit

	Owner string
	// Tasks that have a place, and those that wait at it.
	Held, Waiting int
	// Attempts that may be granted now, if it bounds them.
	Tokens int
}

func (e *ListLimits) apply(c *Scheduler) {
	var names []LimitName
	for k, b := range c.buckets { // order-free: sorted below
		if name := (LimitName{k.owner, k.name, k.key}); b.open > 0 && (e.Owner == "" || k.owner == "" || k.owner == e.Owner) && e.After.compare(name) < 0 {
			names = append(names, name)
		}
	}
	c.looks += uint64(len(c.buckets))
	slices.SortFunc(names, LimitName.compare)
	var r LimitsReply
	for i, n := range names {
		if i == max(e.Max, 1) {
			r.More = true
			break
		}
		b := c.buckets[limitKey{n.Owner, n.Name, n.Key}]
		r.Limits = append(r.Limits, LimitView{Limit: b.Limit, Owner: n.Owner, Held: b.held, Waiting: len(b.waiting), Tokens: b.tokens(c.now)})
	}
	c.reply(e.Call, r)
}

// tokens is how many there are besides those that are set aside.
func (b *bucket) tokens(now Time) int {
	if b.Starts == 0 {
		return 0
	}
	missing := 0
	if d := b.full.Sub(now); d > 0 {
		missing = int((d + b.interval() - 1) / b.interval())
	}
	return max(0, b.Starts-missing-b.ready)
}

// ListObjects asks for objects that jobs hold, the latest first, Max of them at most. Replied with ObjectsReply.
type ListObjects struct {
	Call CallID
	// Those that this job holds only; empty: all.
	Job string
	// Those with smaller numbers only; 0: all.
	Before ObjectNum
	Max    int
	// As in Get. Others' objects are left out.
	Owner string
}

// ObjectsReply answers ListObjects.
type ObjectsReply struct {
	Objects []HeldView
	// What Before is for the next page; 0: there is none.
	Next ObjectNum
}

// HeldView is an object and who holds it.
type HeldView struct {
	ObjectView

	Owner string
	// The jobs that hold it, by name.
	Jobs []string
}

func (e *ListObjects) apply(c *Scheduler) {
	if j := c.jobs[e.Job]; j != nil && !j.admits(e.Owner) {
		c.fail(e.Call, ErrNotOwner)
		return
	}
	page := latest[*object]{most: max(e.Max, 1) + 1}
	for num, o := range c.objects.byNum { // order-free: those with the greatest numbers
		switch {
		case len(o.holders) == 0 || e.Before > 0 && num >= e.Before:
		case e.Owner != "" && o.owner.name != "" && o.owner.name != e.Owner:
		case e.Job != "" && !slices.ContainsFunc(o.holders, func(j *job) bool { return j.id == e.Job }):
		default:
			page.offer(uint64(num), o)
		}
	}
	c.looks += uint64(len(c.objects.byNum))
	var r ObjectsReply
	for i, k := range page.sorted() {
		if i == max(e.Max, 1) {
			r.Next = r.Objects[i-1].Num
			break
		}
		o := k.item
		v := HeldView{ObjectView: o.view(), Owner: o.owner.name}
		for _, j := range o.holders {
			v.Jobs = append(v.Jobs, j.id)
		}
		slices.Sort(v.Jobs)
		r.Objects = append(r.Objects, v)
	}
	c.reply(e.Call, r)
}

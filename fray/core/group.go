package core

import (
	"encoding/binary"
	"slices"
)

// group is all classes that the same kinds of workers can run, with resources of the same names: so
// a worker that asks looks at a group, whatever number of classes it has. Classes that no worker
// can run are in groups that none looks at.
type group struct {
	key string
	// In the order of their numbers.
	kinds   []*kind
	names   []string
	classes []*class
	// Live workers that do not drain, of all of its kinds, and of these the ones that are set aside.
	workers, aside int
	// When the last of its workers went; 0: none has.
	unmanned Time
	ready    int
	// What is ready: the turns of its jobs, highest priority first, there the job that was served
	// longest ago first.
	turns tree[*turn]
	// The turns by what they are of.
	byKey map[queueKey]*turn
	// The polls that could be granted some of it, longest wait first. They need, so to speak, that
	// the task needs no more than the worker has free.
	polls tree[*session]
	// Something in it became ready, or a poll may take more than before: it stands in
	// Scheduler.stirred, by the poll that waited longest.
	stirred bool
	longest uint64
	// The polls that compete for it, as counted in one step; of a group with resources only.
	rivals     int
	rivalsStep uint64
	// How much the poll that is served may have at most: of it, and with what it has of others.
	share, limit int
}

// leads says whether the tasks of its classes lead gangs.
func (g *group) leads() bool { return len(g.names) > 0 && g.names[0] == gangPlace }

// turn is what a job has ready in one group and priority: a queue for each class.
type turn struct {
	job      *job
	group    *group
	priority int32
	// Its place in job.turns.
	at int32
	// What job.round was when it took its place among the turns. It may have risen since.
	round  uint64
	queues tree[*jobQueue]
	place  node[*turn]
}

func (t *turn) before(o *turn) bool {
	if t.priority != o.priority {
		return t.priority > o.priority
	}
	return t.round < o.round
}

// enterRound has a job with a task more that is ready take part in the round.
func (c *Scheduler) enterRound(j *job) {
	if j.ready == 0 {
		// It joins at the end of the round, or else a flood of new jobs would keep the old ones
		// from their turn.
		c.goLast(j)
	}
	j.ready++
}

// goLast gives a job its place at the end of the round: it joins it, or was served.
func (c *Scheduler) goLast(j *job) {
	c.lastRound++
	j.round, j.left = c.lastRound, j.weight()
}

// file gives a new queue its place.
func (c *Scheduler) file(q *jobQueue, j *job, priority int32) {
	g := q.class.group
	key := queueKey{j, priority}
	t := g.byKey[key]
	if t == nil {
		t = &turn{job: j, group: g, priority: priority, at: int32(len(j.turns)), round: j.round} //nolint:gosec // Bounded by the queues.
		t.place.item = t
		g.byKey[key] = t
		j.turns = append(j.turns, t)
	}
	q.turn = t
	t.queues.insert(&q.place, &c.looks)
	c.settle(t)
}

// unfile takes a queue from its place.
func (c *Scheduler) unfile(q *jobQueue) {
	t := q.turn
	q.turn = nil
	t.queues.remove(&q.place, &c.looks)
	if t.queues.size > 0 {
		c.settle(t)
		return
	}
	j := t.job
	if t.place.in {
		t.group.turns.remove(&t.place, &c.looks)
	}
	delete(t.group.byKey, queueKey{j, t.priority})
	last := len(j.turns) - 1
	j.turns[t.at] = j.turns[last]
	j.turns[t.at].at = t.at
	j.turns[last] = nil
	j.turns = j.turns[:last]
}

// refirst gives a queue its place anew, whose first task is another.
func (c *Scheduler) refirst(q *jobQueue) {
	q.first = q.tasks.head.num
	q.turn.queues.move(&q.place, &c.looks)
}

// settle gives a turn its place among the turns, whose queues or whose job's round have changed.
func (c *Scheduler) settle(t *turn) {
	turns := &t.group.turns
	moved := t.round != t.job.round
	if need := t.queues.root.need; need != nil {
		if t.place.need == nil || !slices.Equal(t.place.need.own, need.least) {
			t.place.setNeed(need.least)
			moved = true
		}
	}
	switch {
	case t.job.held:
	case !t.place.in:
		t.round = t.job.round
		turns.insert(&t.place, &c.looks)
	case moved && turns.size == 1:
		t.round = t.job.round
		t.place.gather()
	case moved:
		turns.remove(&t.place, &c.looks) // Before its order changes.
		t.round = t.job.round
		turns.insert(&t.place, &c.looks)
	}
}

// turnsAtOnce is how many turns of a job take their places anew when it was served. The rest of a
// job that has more, with very many priorities, do so when they are come upon.
const turnsAtOnce = 16

// refile gives a job its place in the round, after it was served.
func (c *Scheduler) refile(j *job) {
	n := len(j.turns)
	for range min(n, turnsAtOnce) {
		j.nextTurn = (j.nextTurn + 1) % n
		c.settle(j.turns[j.nextTurn])
	}
}

// best returns the queue of the group whose first task goes first, of those that need no more than
// there is of each resource; nil where there is none.
func (c *Scheduler) best(g *group, room []int64) *jobQueue {
	if g.turns.root == nil {
		return nil
	}
	for {
		var q *jobQueue
		n := g.turns.first
		if len(g.names) == 0 {
			q = n.item.queues.first.item
		} else {
			n = g.turns.find(room, func(t *turn) bool {
				found := t.queues.find(room, nil, &c.looks)
				if found != nil {
					q = found.item
				}
				return found != nil
			}, &c.looks)
			if n == nil {
				return nil
			}
		}
		c.looks++
		if n.item.round == n.item.job.round {
			return q
		}
		c.settle(n.item)
	}
}

// goesBefore says whether q's first task goes before other's: by priority, then by whose job was
// served longer ago, then by which was submitted first.
func (q *jobQueue) goesBefore(other *jobQueue) bool {
	a, b := q.turn, other.turn
	if a.priority != b.priority {
		return a.priority > b.priority
	}
	if a.round != b.round {
		return a.round < b.round
	}
	return q.first < other.first
}

// groupFor returns the group of the classes with resources of these names that these kinds can run,
// which are in order.
func (c *Scheduler) groupFor(kinds []*kind, names []string) *group {
	key := groupKey(kinds, names)
	g := c.groups[key]
	if g == nil {
		g = &group{key: key, kinds: kinds, names: names, byKey: make(map[queueKey]*turn)}
		c.groups[key] = g
		for _, k := range kinds {
			k.has(g)
			g.workers += k.workers
			g.aside += k.aside
			for s := k.asking.head; s != nil; s = s.nextAsking {
				c.ask(s, g)
			}
		}
	}
	return g
}

// rename has g be the group of other kinds; there must be none of them.
func (c *Scheduler) rename(g *group, kinds []*kind) {
	delete(c.groups, g.key)
	g.kinds, g.key = kinds, groupKey(kinds, g.names)
	c.groups[g.key] = g
}

// dropGroup forgets a group without classes.
func (c *Scheduler) dropGroup(g *group) {
	delete(c.groups, g.key)
	for _, k := range g.kinds {
		k.lacks(g)
		for s := k.asking.head; s != nil; s = s.nextAsking {
			s.places = slices.DeleteFunc(s.places, func(p *pollPlace) bool { return p.group == g })
			s.placesAsOf = k.changes
		}
	}
}

func (c *Scheduler) joinGroup(cl *class, g *group) {
	cl.group, cl.at = g, len(g.classes)
	g.classes = append(g.classes, cl)
	g.ready += cl.ready
	for key, q := range cl.queues { // order-free: each takes its own place
		c.file(q, key.job, key.priority)
	}
	if cl.ready > 0 {
		c.stir(g)
	}
}

func (c *Scheduler) leaveGroup(cl *class) {
	for _, q := range cl.queues { // order-free: each leaves its own place
		c.unfile(q)
	}
	g := cl.group
	if cl.unmanned = max(cl.unmanned, g.unmanned); g.workers > 0 {
		cl.unmanned = c.now
	}
	g.ready -= cl.ready
	last := len(g.classes) - 1
	g.classes[cl.at] = g.classes[last]
	g.classes[cl.at].at = cl.at
	g.classes[last] = nil
	g.classes = g.classes[:last]
	cl.group = nil
	if last == 0 {
		c.dropGroup(g)
	}
}

func groupKey(kinds []*kind, names []string) string {
	var b []byte
	for _, k := range kinds {
		b = binary.AppendUvarint(b, k.num)
	}
	b = append(b, 0) // No kind has that number.
	for _, n := range names {
		b = appendString(b, n)
	}
	return string(b)
}

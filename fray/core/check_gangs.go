package core

import "slices"

// gangs: each starts whole or not at all, and workers are kept for those alone that cannot start yet.
func (k *checker) gangs() {
	c := k.c
	seen := make(map[*gang]bool)
	for _, g := range c.gangByName { // order-free: each is checked for itself
		k.want(g.open > 0 && (g.over || c.gangs[g.members[0]] == g),
			"gang %q of job %s has open tasks", g.key.name, g.key.owner)
	}
	for t, g := range c.gangs { // order-free: each is checked for itself
		k.want(c.gangByName[g.key] == g && g.key.owner == t.job.id,
			"task %s is of a gang that is known by its name", k.id(t))
		k.want(c.find(c.id(t)) == t && !t.status.Terminal() && t.shape.Gang >= len(g.members),
			"task %s, which is of a gang, is open", k.id(t))
		k.want(g.over && t.cancelRequested() || slices.Contains(g.members, t), "task %s is of its gang", k.id(t))
		if !seen[g] && !g.over {
			seen[g] = true
			k.gang(g)
		}
	}
	for t := range c.log.all() {
		k.want(t.status.Terminal() || (t.shape.Gang > 0) == (c.gangs[t] != nil),
			"task %s is open, and of its gang", k.id(t))
	}
	for i, g := range c.gathering {
		k.want(seen[g] && g.gathers, "a gang that gathers is known")
		cl, places := g.leader.shape.class, 0
		for at, s := range g.kept {
			k.want(s.gang == g && s.gangAt == at, "worker %s is kept for a gang", s.workerID)
			places += c.roomFor(s, cl)
		}
		k.want(places < len(g.members), "a gang of %d starts, for which %d places are kept", len(g.members), places)
		for _, s := range c.sessions { // order-free: each is checked for itself
			k.want(slices.Contains(c.gathering[:i+1], s.gang) || s.kind == nil || !slices.Contains(cl.group.kinds, s.kind) || c.roomFor(s, cl) == 0,
				"worker %s, which has room, is kept for a gang of %d that has %d places", s.workerID, len(g.members), places)
		}
		k.want(cl.capacity() >= len(g.members),
			"a gang of %d gathers, and all workers have room for it", len(g.members))
	}
	k.want(len(c.gathering) <= maxGathering, "%d gangs gather", len(c.gathering))
	for _, s := range c.sessions { // order-free: each is checked for itself
		k.want(s.gang == nil || s.gang.gathers && s.gang.kept[s.gangAt] == s,
			"worker %s is kept for a gang that gathers", s.workerID)
	}
	for _, cl := range c.classByKey { // order-free: each is checked for itself
		k.want(len(cl.shelf) == 0 || cl.shelved && slices.Contains(c.shelves, cl), "gangs are on a shelf that is known")
		for i, g := range cl.shelf {
			k.want(seen[g] && g.shelvedAt == i+1 && g.leader.shape.class == cl && cl.capacity() < len(g.members),
				"a gang that waits for workers has no room")
		}
	}
	k.want(len(c.restoredGangs) == 0, "nothing is left over of the restart")
}

func (k *checker) gang(g *gang) {
	c := k.c
	k.want(g.open == len(g.members), "%d tasks of a gang are open, counted %d", len(g.members), g.open)
	waiting, away := 0, 0
	for i, t := range g.members {
		k.want(c.gangs[t] == g && (i == 0 || g.members[i-1].num < t.num),
			"task %s is of its gang, in its place", k.id(t))
		switch {
		case t.pending == Ganged, t.pending == Ready:
			waiting++
			k.want(t.pending == Ganged || t == g.leader, "task %s queues for its gang, and leads it", k.id(t))
		case t.status.leased():
			away++
			k.want(!g.broken || t.run.lease.stopping, "task %s, which starts anew with its gang, is to stop", k.id(t))
		case t.pending == Recovering:
			away++
		}
	}
	k.want(!g.forming, "a gang with open tasks is whole")
	k.want(g.waiting == waiting && (g.leader != nil) == (waiting == len(g.members)),
		"%d tasks of a gang of %d wait, counted %d", waiting, len(g.members), g.waiting)
	k.want(g.broken || away == 0 || away == len(g.members),
		"%d tasks of a gang of %d may run, and it is not broken", away, len(g.members))
	if t := g.leader; t != nil {
		states := 0
		for _, is := range []bool{t.pending == Ready, g.gathers, g.shelvedAt > 0} {
			if is {
				states++
			}
		}
		k.want(states == 1 && t.shape.leads == len(g.members),
			"the gang that task %s leads queues, gathers or waits for workers", k.id(t))
	}
	k.want(g.gathers == slices.Contains(c.gathering, g) && (g.gathers || len(g.kept) == 0),
		"a gang gathers, or has no workers")
}

package core

import (
	"maps"
	"math"
	"slices"
)

// queues: each ready task once, in the queue of its class, job and priority; and each queue in its
// turn.
func (k *checker) queues() {
	c := k.c
	total, live, idle := 0, 0, 0
	refs, tasks := make(map[*shape]int), make(map[*kin]int)
	open := make(map[*class]int)
	classes, depths := make(map[*functionDepth]int), make(map[*functionDepth]int)
	ready := 0
	waiting := make(map[*taskChunk]int)
	for t := range c.log.all() {
		tasks[t.kin]++
		if !t.status.Terminal() {
			open[t.shape.class]++
		}
		if t.pending == Ready {
			ready++
			if !c.readyLate(t) {
				waiting[c.log.chunk(chunkNumber(t.num))]++
			}
		}
	}
	for _, cl := range c.classByKey { // order-free: each is checked for itself
		classes[cl.depth]++
		k.want(open[cl] == cl.open, "class %q has %d open tasks, counted %d", cl.key, open[cl], cl.open)
		k.want(cl.group.classes[cl.at] == cl, "class %q is in its group", cl.key)
		if cl.open > 0 {
			live++
		} else {
			idle++
		}
		n := 0
		for key, q := range cl.queues { // order-free: each is checked for itself
			k.want(q.class == cl && q.tasks.size > 0 && q.first == q.tasks.head.num, "job %s queues in class %q", key.job.id, cl.key)
			k.want(q.turn.job == key.job && q.turn.priority == key.priority && q.turn.group == cl.group && q.place.in,
				"the queue of job %s in class %q has its turn", key.job.id, cl.key)
			length := 0
			for t := range q.tasks.all(&c.log) {
				length++
				k.want(t.status == Pending && t.pending == Ready && t.job == key.job && t.shape.class == cl && t.shape.Priority == key.priority,
					"task %s is in the queue where it belongs", k.id(t))
			}
			k.want(length == q.tasks.size, "job %s queues %d tasks, counted %d", key.job.id, length, q.tasks.size)
			total += length
			depths[cl.depth] += length
			if !key.job.held {
				n += length
			}
		}
		k.want(len(cl.asides) <= cl.ready && (cl.alone || len(cl.asides) == 0), "%d workers are set aside for the %d ready tasks of class %q", len(cl.asides), cl.ready, cl.key)
		for i, s := range cl.asides {
			k.want(s.aside == cl && s.asideAt == i && s.kind != nil && s.kind.canRun(cl), "worker %s is set aside for class %q", s.workerID, cl.key)
		}
		k.want(n == cl.ready, "class %q has %d ready tasks, counted %d", cl.key, n, cl.ready)
	}
	for name, d := range c.functions { // order-free: each is checked for itself
		k.want(d.function == name && classes[d] == d.classes && d.classes > 0, "function %q has %d classes, counted %d", name, classes[d], d.classes)
		k.want(depths[d] == d.ready, "function %q has %d ready tasks, counted %d", name, depths[d], d.ready)
	}
	k.want(len(classes) == len(c.functions), "classes are of %d functions, counted %d", len(classes), len(c.functions))
	delete(open, nil)
	for cl := range open { // order-free: each is checked for itself
		k.want(c.classByKey[cl.key] == cl, "class %q has open tasks and is known", cl.key)
	}
	k.want(total == c.readyCount && total == ready, "%d tasks queue, %d are ready, counted %d", total, ready, c.readyCount)
	k.want(int64(live) == c.all.classes && idle == c.idle.size && idle <= maxIdleClasses, "%d classes have open tasks and %d none, counted %d and %d", live, idle, c.all.classes, c.idle.size)
	for key, kin := range c.kins { // order-free: a count, and each for itself
		refs[kin.shape]++
		k.want(key == kinKey{kin.job, kin.shape} && tasks[kin] == kin.refs, "job %s has %d tasks of a shape, counted %d", kin.job.id, tasks[kin], kin.refs)
	}
	for _, kin := range c.kins { // order-free: each is checked for itself
		k.want(kin.queue == nil || kin.queue.turn == nil || kin.shape.class.queues[queueKey{kin.job, kin.shape.Priority}] == kin.queue, "tasks of job %s know their queue", kin.job.id)
	}
	for kin := range tasks { // order-free: each is checked for itself
		k.want(c.kins[kinKey{kin.job, kin.shape}] == kin, "tasks of job %s know their kin", kin.job.id)
	}
	for _, sh := range c.shapes { // order-free: each is checked for itself
		k.want(refs[sh] == sh.refs, "a shape of %s is that of the tasks of %d jobs, counted %d", sh.Function, refs[sh], sh.refs)
	}
	used := 0
	for _, numbered := range c.log.chunks {
		chunk := numbered.taskChunk
		if chunk == nil {
			continue
		}
		used++
		k.want(c.log.chunk(numbered.number) == chunk, "chunk %d is found", numbered.number)
		k.want(waiting[chunk] == int(chunk.waiting), "%d tasks wait in a chunk, counted %d", waiting[chunk], chunk.waiting)
		k.want(chunk.waiting == 0 || chunk.listed, "a chunk with tasks that wait is listed")
		k.want(!chunk.listed || slices.Contains(c.ages.chunks, numbered.number), "chunk %d is listed", numbered.number)
	}
	k.want(used == c.log.used, "the log has %d chunks, counted %d", used, c.log.used)
	still := 0
	for i, r := range c.ages.again {
		k.want(i == 0 || c.ages.again[i-1].since <= r.since, "tasks became ready again in this order")
		if r.holds() {
			still++
		}
	}
	k.want(still == c.ages.still, "%d tasks are ready again, counted %d", still, c.ages.still)
}

// groups: each has just the classes that its kinds can run, and theirs turns and polls in order.
func (k *checker) groups() {
	c := k.c
	for key, g := range c.groups { // order-free: each is checked for itself
		k.want(key == g.key && key == groupKey(g.kinds, g.names) && len(g.classes) > 0, "group %q is known by its key", key)
		ready, queues, workers, aside := 0, 0, 0, 0
		for _, cl := range g.classes {
			k.want(cl.alone == g.alone() && (cl.leads > 0) == g.leads() && cl.group == g && c.classByKey[cl.key] == cl &&
				slices.Equal(c.kindsFor(cl), g.kinds) && len(cl.need) == len(g.names),
				"class %q is in the group that it belongs to", cl.key)
			ready += cl.ready
			for key := range cl.queues { // order-free: a count
				if !key.job.held {
					queues++
				}
			}
		}
		turns := 0
		for key, t := range g.byKey { // order-free: a count, and each for itself
			k.want(t.place.in != key.job.held, "job %s is held, and has no turn", key.job.id)
			if !key.job.held {
				turns++
			}
		}
		for _, kind := range g.kinds {
			workers += kind.workers
			aside += kind.aside
			k.want(slices.Contains(kind.groups, g), "a kind knows its group %q", key)
		}
		k.want(ready == g.ready && workers == g.workers, "group %q has %d ready tasks and %d workers, counted %d and %d", key, ready, workers, g.ready, g.workers)
		k.want(!g.stirred || c.restored, "group %q has been looked at", key)
		k.want(aside == g.aside, "group %q has %d workers set aside, counted %d", key, aside, g.aside)
		filed := 0
		for n := range g.turns.all {
			t := n.item
			filed += t.queues.size
			k.want(g.byKey[queueKey{t.job, t.priority}] == t && t.group == g && t.job.turns[t.at] == t, "job %s has a turn in group %q", t.job.id, key)
			k.want(t.round <= t.job.round && t.queues.size > 0, "job %s has its turn in group %q", t.job.id, key)
			k.want(n.need == nil || slices.Equal(n.need.own, t.queues.root.need.least), "a turn needs what its queues need")
			for q := range t.queues.all {
				k.want(q.item.turn == t && (q.need == nil || slices.Equal(q.need.own, q.item.class.need)), "job %s queues in its turn", t.job.id)
			}
			checkTree(k, &t.queues, len(g.names))
		}
		k.want(filed == queues && turns == g.turns.size, "group %q has %d queues, %d have a turn", key, queues, filed)
		checkTree(k, &g.turns, len(g.names))
		amounts := 0
		if len(g.names) > 0 {
			amounts = 1 + len(g.names)
		}
		for n := range g.polls.all {
			s := n.item
			k.want(s.asking && slices.Contains(g.kinds, s.kind), "worker %s asks for what it can run", s.workerID)
			k.want(n.need == nil || slices.Equal(n.need.own, c.roomOf(s, g)), "worker %s asks with what it has free", s.workerID)
			k.want(g.ready == 0 || c.restored || c.best(g, c.freeOf(s, g)) == nil || len(g.names) > 0 && s.poll.freeSlots() <= 0, "worker %s does not wait beside what it could run", s.workerID)
		}
		checkTree(k, &g.polls, amounts)
	}
}

// kinds: each worker that does not drain is of one, and asks in all of its groups.
func (k *checker) kinds() {
	c := k.c
	workers, penalized, asking, aside := make(map[*kind]int), make(map[*kind]int), make(map[*kind]int), make(map[*kind]int)
	slots := 0
	for _, s := range c.sessions { // order-free: each is checked for itself
		slots += s.slots
		k.want((s.kind == nil) == (s.drain != nil), "worker %s is of a kind unless it drains", s.workerID)
		if s.kind == nil {
			k.want(!s.asking && s.aside == nil, "worker %s drains, asks for nothing and is not set aside", s.workerID)
			continue
		}
		workers[s.kind]++
		k.want(string(s.kindKey(nil, c.mentions)) == s.kind.key, "worker %s is of its kind", s.workerID)
		if s.penalty != nil {
			penalized[s.kind]++
		}
		if s.aside != nil {
			aside[s.kind]++
			k.want(s.asideAt < len(s.aside.asides) && s.aside.asides[s.asideAt] == s, "worker %s is set aside in its place", s.workerID)
			k.want(s.penalty == nil, "worker %s is backed off and not set aside", s.workerID)
		}
		if s.asking {
			asking[s.kind]++
			k.want(!s.keepsClear(), "worker %s keeps clear and asks for nothing", s.workerID)
			k.want(s.poll != nil && len(s.places) == len(s.kind.groups), "worker %s asks in each group", s.workerID)
			for _, p := range s.places {
				k.want(p.place.in && slices.Contains(s.kind.groups, p.group), "worker %s asks in its groups", s.workerID)
			}
		}
	}
	idle := 0
	for key, kind := range c.kindByKey { // order-free: each is checked for itself
		k.want(kind.key == key && kind.workers == workers[kind] && kind.penalized == penalized[kind] && kind.asking.size == asking[kind] && kind.aside == aside[kind],
			"a kind has %d workers, %d backed off and %d asking, counted %d, %d and %d", workers[kind], penalized[kind], asking[kind], kind.workers, kind.penalized, kind.asking.size)
		if kind.workers == 0 {
			idle++
		}
		for _, g := range kind.groups {
			k.want(c.groups[g.key] == g && slices.Contains(g.kinds, kind), "group %q has its kind", g.key)
		}
	}
	fleet := int64(0)
	for _, s := range c.sessions { // order-free: a sum
		fleet += s.bytes
	}
	k.want(fleet == c.fleetBytes && fleet <= c.cfg.MaxFleetBytes, "registrations of %d bytes, counted %d", fleet, c.fleetBytes)
	k.want(idle == c.idleKinds && idle <= maxIdleKinds && slots == c.slots, "%d kinds without workers and %d slots, counted %d and %d", idle, slots, c.idleKinds, c.slots)
	mentions := make(map[Label]int)
	for _, cl := range c.classByKey { // order-free: a count
		for _, l := range cl.labels {
			mentions[l]++
		}
	}
	k.want(maps.Equal(mentions, c.mentions), "classes ask for the labels %v, counted %v", mentions, c.mentions)
	for l, ss := range c.carriers { // order-free: each is checked for itself
		for s := range ss { // order-free: each is checked for itself
			k.want(c.sessions[s.token] == s && slices.Contains(s.tags, l), "worker %s carries a label", s.workerID)
		}
	}
}

// checkTree: items are in order, ranks fall, and what a subtree needs is what its items need.
func checkTree[T ordered[T]](k *checker, t *tree[T], amounts int) {
	n := 0
	var last *node[T]
	for at := range t.all {
		if n == 0 {
			k.want(t.first == at, "the first item of a tree is known")
		}
		n++
		k.want(at.in && (last == nil || !at.item.before(last.item)), "items of a tree are in order")
		last = at
		k.want((at.need == nil) == (amounts == 0), "an item of a tree needs %d amounts", amounts)
		for _, child := range []*node[T]{at.left, at.right} {
			k.want(child == nil || child.up == at && child.rank <= at.rank, "the nodes of a tree hang together")
		}
		if at.need == nil {
			continue
		}
		for i := range at.need.least {
			least := int64(math.MaxInt64)
			for _, child := range []*node[T]{at.left, at.right} {
				if child != nil {
					least = min(least, child.need.least[i])
				}
			}
			k.want(at.need.least[i] == min(least, at.need.own[i]), "a subtree needs the least of what its items need")
		}
	}
	k.want(n == t.size && (n > 0) == (t.root != nil) && (n > 0) == (t.first != nil), "a tree has %d items, counted %d", n, t.size)
}

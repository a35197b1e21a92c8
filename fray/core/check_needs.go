package core

// dependencies: who needs whom is known on both sides, nobody waits for what has ended, and what nobody
// needs is not kept.
func (k *checker) dependencies() {
	c := k.c
	open, waits := make(map[*task]int), make(map[*task]int)
	forTasks := make(map[*job]map[ObjectID]int)
	for t, x := range c.dependencies { // order-free: sums, and each for itself
		k.want(c.find(c.id(t)) == t && !t.status.Terminal(), "task %s, which needs others, is open", k.id(t))
		for _, other := range x.tasks {
			open[other]++
			k.want(c.find(c.id(other)) == other, "task %s needs one that is known", k.id(t))
		}
		for _, o := range x.objects {
			if forTasks[t.job] == nil {
				forTasks[t.job] = make(map[ObjectID]int)
			}
			forTasks[t.job][o.id]++
			k.want(t.job.objects.of(o.id) == o, "task %s needs an object that its job holds", k.id(t))
		}
		k.want((t.pending == Blocked) == (x.open > 0 && t.status == Pending && t.pending != Recovering && t.pending != Backoff),
			"task %s waits for %d tasks, and is %v", k.id(t), x.open, t.pending)
	}
	for t := range c.log.all() {
		k.want(t.pending != Blocked || c.dependencies[t] != nil, "task %s is blocked and needs something", k.id(t))
		k.want((t.reason == DependencyFailed) == (c.causes[t] != ""), "task %s failed for %v, the cause is %q", k.id(t), t.reason, c.causes[t])
	}
	moving, outlived := 0, 0
	for t, d := range c.dependants { // order-free: sums, and each for itself
		k.want(c.find(c.id(t)) == t, "task %s, which others need, is known", k.id(t))
		k.want(d.open == open[t], "%d open tasks need task %s, counted %d", open[t], k.id(t), d.open)
		k.want(d.open > 0 || d.moving || d.at > 0 && t.next > 0, "somebody needs task %s", k.id(t))
		for _, next := range d.list {
			if !next.status.Terminal() {
				waits[next]++
			}
		}
		if d.moving {
			moving++
		}
		k.want(d.moving || !t.status.Terminal() || len(d.list) == 0, "those who need task %s go on, as it has ended", k.id(t))
		if d.at > 0 {
			outlived++
			k.want(t.status.Terminal() && d.at <= len(t.job.outlived) && t.job.outlived[d.at-1] == t, "task %s is listed as kept for others", k.id(t))
		}
	}
	for t, x := range c.dependencies { // order-free: each is checked for itself
		k.want(x.open == waits[t], "task %s waits for %d tasks, counted %d", k.id(t), waits[t], x.open)
	}
	for t, n := range open { // order-free: each is checked for itself
		d := c.dependants[t]
		k.want(d != nil && d.open == n, "%d open tasks need task %s, which knows it", n, k.id(t))
	}
	k.want(moving == c.moves.Len(), "those who need %d tasks go on, %d listed", moving, c.moves.Len())
	k.want(outlived == c.outlived, "%d tasks are kept for others, counted %d", outlived, c.outlived)
	bytes, of := int64(0), make(map[*owner]int64)
	for _, j := range c.jobs { // order-free: sums, and each for itself
		for _, t := range j.outlived {
			bytes += int64(t.size)
			of[j.owner] += int64(t.size)
		}
		for id, n := range forTasks[j] { // order-free: each is checked for itself
			k.want(j.objects.tasks[id] == n, "%d tasks of job %s need an object, counted %d", n, j.id, j.objects.tasks[id])
		}
		k.want(len(j.objects.tasks) == len(forTasks[j]), "tasks of job %s need %d objects, counted %d", j.id, len(forTasks[j]), len(j.objects.tasks))
	}
	k.want(bytes == c.outlivedBytes, "what is kept for others has %d bytes, counted %d", bytes, c.outlivedBytes)
	for _, o := range c.owners { // order-free: each is checked for itself
		k.want(o.outlived == of[o], "of owner %q %d bytes are kept for others, counted %d", o.name, of[o], o.outlived)
	}
}

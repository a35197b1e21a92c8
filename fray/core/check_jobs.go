package core

// ties: what jobs are to each other, what their options hold, and that those end which have failed.
func (k *checker) ties() {
	c := k.c
	failed, undurable := make(map[*job]uint64), make(map[*job]uint64)
	for t := range c.log.all() {
		if t.failedByItself() {
			failed[t.job]++
		}
	}
	for n := range c.images.Len() {
		if i := c.images.At(n); i.ends && i.task.failedByItself() {
			undurable[i.task.job]++
		}
	}
	for _, j := range c.jobs { // order-free: each is checked for itself
		for _, t := range j.outlived {
			if t.failedByItself() {
				failed[j]-- // It is forgotten.
			}
		}
		k.want(j.failed == j.failedBase+failed[j] && j.failedBase <= j.doneBase,
			"job %s has %d failed tasks and has forgotten %d, counted %d",
			j.id, failed[j], j.failedBase, j.failed)
		k.want(j.newFailed == undurable[j], "job %s has %d failed tasks that are not durable, counted %d", j.id,
			undurable[j], j.newFailed)
		k.want(j.left <= j.weight() && (j.ready == 0 || j.left > 0), "job %s has %d tasks left in its turn", j.id,
			j.left)
		k.tiesOf(j)
	}
	k.want(c.restored || len(c.failing) == 0, "%d jobs have failed and go on", len(c.failing))
}

func (k *checker) tiesOf(j *job) {
	c, x := k.c, j.ties
	if over := j.failedAbove(); over != nil && !c.restored {
		for _, t := range j.openTasks(&c.log) {
			k.want(t.cancelRequested(), "task %s is to end, for job %s has failed", k.id(t), over.id)
		}
	}
	if x == nil {
		return
	}
	bytes := int64(0)
	for i, v := range x.environment {
		bytes += int64(len(v.Name) + len(v.Value))
		k.want(i == 0 || x.environment[i-1].Name < v.Name, "the environment of job %s is in order", j.id)
	}
	k.want(bytes == x.environmentBytes && len(x.environment) <= MaxEnvironment && bytes <= MaxEnvironmentBytes,
		"job %s has an environment of %d bytes, counted %d", j.id, bytes, x.environmentBytes)
	for i, child := range x.children {
		k.want(c.jobs[child.id] == child && child.above() == j && child.ties.at == i, "job %s is a child of job %s",
			child.id, j.id)
	}
	if x.options == nil {
		k.want(x.bytes == 0 && x.parent == nil && !x.orphaned && !x.failed, "job %s was made without options", j.id)
		return
	}
	k.want(x.bytes == bytes+int64(len(x.options.Parent)), "the options of job %s have %d bytes, counted %d", j.id,
		bytes, x.bytes)
	k.want(!c.cfg.Durable || j.num != 0, "job %s has a record of its options", j.id)
	k.want(j.depth() <= MaxJobDepth, "job %s is the %dth from its root", j.id, j.depth())
	k.want((x.options.Parent != "") == (x.parent != nil || x.orphaned), "job %s has its parent, or has lost it", j.id)
	if p := x.parent; p != nil {
		k.want(c.jobs[p.id] == p && p.id == x.options.Parent && p.ties.children[x.at] == j,
			"job %s knows job %s as its child", p.id, j.id)
	}
	if most, bounded := x.options.mayFail(j.submitted()); bounded {
		k.want(x.failed || j.failed <= most, "job %s goes on with %d failed tasks of %d", j.id, j.failed, most)
	}
}

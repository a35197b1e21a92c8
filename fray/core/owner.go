package core

// admits says whether a call that is confined to an owner's jobs may be about this one, which may be
// nil: it is not known.
func (j *job) admits(owner string) bool {
	return owner == "" || j == nil || j.owner.name == "" || j.owner.name == owner
}

// ownable says whether a job belongs to who submits its first task: it has had none yet, and no object.
func (j *job) ownable(by string) bool {
	return by != "" && j.tasks == 0 && j.ends() == 0 && j.objects.size() == 0 && j.uploads == 0
}

// own gives a job to who has submitted the first task of it, if that one is. Its record is part of the step that
// creates the task, so both become durable, or neither. Others who watch it already are sent away.
func (c *Scheduler) own(j *job, owner string) {
	if !j.ownable(owner) {
		return
	}
	c.give(j, owner)
	c.changedJob(j)
	for p := j.watchers.head; p != nil; {
		w, next := p.wait, p.next
		if !j.admits(w.owner) {
			c.unpark(w)
			c.notOwner(w.call)
		}
		p = next
	}
}

// notOwner answers a call about a job that is another's.
func (c *Scheduler) notOwner(call CallID) {
	// Not settled: what made it the other's may not be durable yet.
	c.out.Replies = append(c.out.Replies, Reply{Call: call, Err: ErrNotOwner})
}

// keep counts bytes of ended tasks.
func (c *Scheduler) keep(o *owner, bytes int64) {
	o.kept += bytes
	c.retainedBytes += bytes
}

// give has a job belong to an owner from now on.
func (c *Scheduler) give(j *job, name string) {
	old := j.owner
	old.known--
	j.owner = c.ownerOf(name)
	j.owner.known++
	c.charge(j.owner, j.usage())
	c.charge(old, j.usage().negative())
}

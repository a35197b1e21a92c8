package core

// admits says whether a call that is confined to an owner's jobs may be about this one, which may be
// nil: it is not known.
func (j *job) admits(owner string) bool {
	return owner == "" || j == nil || j.owner == "" || j.owner == owner
}

// own gives a job to who has submitted the first task of it, if that one is. Its record is part of the step that
// creates the task, so both become durable, or neither. Others who watch it already are sent away.
func (c *Scheduler) own(j *job, owner string) {
	if owner == "" || j.tasks > 1 || j.ends() > 0 {
		return
	}
	j.owner = owner
	c.changedJob(j)
	for p := j.watchers.head; p != nil; {
		w, next := p.wait, p.next
		if !j.admits(w.owner) {
			c.unpark(w)
			c.out.Replies = append(c.out.Replies, Reply{Call: w.call, Err: ErrNotOwner})
		}
		p = next
	}
}

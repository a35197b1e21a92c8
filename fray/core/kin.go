package core

// kin is what tasks of one job and one shape have in common.
type kin struct {
	job   *job
	shape *shape
	// How many known tasks there are.
	refs int
	// Their queue, or one that they had, or none: see queueOf.
	queue *jobQueue
}

type kinKey struct {
	job   *job
	shape *shape
}

// kinOf returns the kin of a job and a shape, and counts a task to it. It takes over a reference to the
// shape.
func (c *Scheduler) kinOf(j *job, sh *shape) *kin {
	k := c.kins[kinKey{j, sh}]
	if k == nil {
		k = &kin{job: j, shape: sh}
		c.kins[kinKey{j, sh}] = k
	} else {
		c.release(sh)
	}
	k.refs++
	return k
}

// part counts a task off that is its kin no longer.
func (c *Scheduler) part(k *kin) {
	if k.refs--; k.refs == 0 {
		delete(c.kins, kinKey{k.job, k.shape})
		c.release(k.shape)
	}
}

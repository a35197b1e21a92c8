package core

import "math"

// A job fails as a whole once more of its tasks have failed than its options allow. What has failed because of
// what it depends on is not counted, for that is.

// failedByItself says whether a task that has ended counts among the failed ones of its job.
func (t *task) failedByItself() bool { return t.status == Failed && t.reason != DependencyFailed }

// submitted is how many tasks of the job there were.
func (j *job) submitted() uint64 { return j.ends() + uint64(j.open) } //nolint:gosec // Not negative.

// mayFail returns how many of so many tasks may have failed; false: any number.
func (o *JobOptions) mayFail(submitted uint64) (uint64, bool) {
	most := uint64(0)
	if o.MaxFailedShare > 0 {
		most = uint64(math.Floor(o.MaxFailedShare * float64(submitted)))
	}
	if o.FailsPast {
		most = max(most, uint64(o.MaxFailed))
	}
	return most, o.FailsPast || o.MaxFailedShare > 0
}

// countFailed counts a task of a job that has failed, and has the job fail if it is one too many. What that ends is
// seen to in this step, see endFailed.
func (c *Scheduler) countFailed(j *job) {
	j.failed++
	if c.cfg.Commits {
		j.newFailed++
	}
	c.mayFail(j)
}

// mayFail has a job fail of which too many tasks have.
func (c *Scheduler) mayFail(j *job) {
	x := j.ties
	if x == nil || x.options == nil || x.failed {
		return
	}
	if most, bounded := x.options.mayFail(j.submitted()); bounded && j.failed > most {
		x.failed, x.failedIn = true, c.step
		c.changedJob(j)
		c.failing = append(c.failing, j)
	}
}

// restoreFailed has what is open end of jobs that have failed, if their records are not of one commit.
func (c *Scheduler) restoreFailed(jobs []RestoredJob) {
	for i := range jobs {
		if j := c.jobs[jobs[i].ID]; j.ties != nil && j.ties.failed {
			c.failing = append(c.failing, j)
		} else {
			c.mayFail(j)
		}
	}
}

// endFailed cancels all that is open of jobs that have failed in this step.
func (c *Scheduler) endFailed() {
	for i := 0; i < len(c.failing); i++ {
		c.cancelTree(c.failing[i], false)
		c.failing[i] = nil
	}
	c.failing = c.failing[:0]
}

// failedAbove returns the job that has failed of a job and those above it that have the same owner, or nil: none has.
// The job may be nil.
func (j *job) failedAbove() *job {
	for p := j; p != nil; p = p.above() {
		if p.ties != nil && p.ties.failed && p.owner == j.owner {
			return p
		}
	}
	return nil
}

// toldFailed says whether a job has failed durably.
func (c *Scheduler) toldFailed(j *job) bool {
	return j.ties != nil && j.ties.failed && (!c.cfg.Commits || j.ties.failedIn <= c.durable)
}

// tellTies adds to a reply what a job has besides.
func (c *Scheduler) tellTies(j *job, r *JobReply) {
	r.Submitted = j.submitted() - uint64(j.created) //nolint:gosec // Not negative.
	r.FailedTasks, r.Weight = j.failed-j.newFailed, 1
	if r.Failed = c.toldFailed(j); j.ties == nil {
		return
	}
	r.Weight, r.Children = j.weight(), len(j.ties.children)
	if p := j.above(); p != nil {
		r.Parent = p.id
	}
	if o := j.ties.options; o != nil {
		r.FailsPast, r.MaxFailed, r.MaxFailedShare = o.FailsPast, o.MaxFailed, o.MaxFailedShare
	}
}

// tiesSettled says whether all that a job has besides is durable.
func (c *Scheduler) tiesSettled(j *job) bool {
	return !c.cfg.Commits || j.ties == nil || j.ties.childrenAsOf <= c.durable
}

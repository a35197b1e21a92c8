package core

import "cmp"

// ListJobs asks for a page of the jobs of which the scheduler knows tasks, those that were submitted to last first.
// Replied with JobsReply. It costs a look at each job and at each lease, and selects the page among them without
// putting all in order.
type ListJobs struct {
	Call CallID
	// Only jobs whose latest task has a smaller number than this; 0: all.
	Before TaskNum
	Max    int
	// Only jobs with open tasks.
	OpenOnly bool
	// As in Get. Jobs of others are left out.
	Owner string
}

// JobsReply answers ListJobs.
type JobsReply struct {
	Jobs []JobView
	// There are more.
	More bool
}

// JobView is a job as it stands. It shares no memory with the scheduler.
type JobView struct {
	ID, Owner string
	// The number of its latest task, which no other job has, and when that was submitted.
	Latest    TaskNum
	Submitted Time
	// Tasks that have not ended; of these the ones that have all but a worker, and those that workers have.
	Open, Ready, Leased int
	// Tasks that have ended, and those of them that have failed by themselves; forgotten ones included.
	Ended, FailedTasks uint64
	// It has failed as a whole.
	Failed bool
	// When the last of its known tasks ended; 0: none has.
	LastEnded Time
	Parent    string
	Watchers  int
}

// submittedTo notes that a task is the latest of the job, durably.
func (j *job) submittedTo(t *task) {
	if t.num > j.latest {
		j.latest, j.latestAt = t.num, t.submitted
	}
}

func (e *ListJobs) apply(c *Scheduler) {
	var r JobsReply
	jobs := selectFirst(e.Max, func(a, b *job) int { return cmp.Compare(b.latest, a.latest) })
	c.looks += uint64(len(c.jobs))
	for _, j := range c.jobs { // order-free: the page is by the numbers of their latest tasks
		switch {
		case j.latest == 0, j.tasks == j.created, !j.admits(e.Owner):
		case e.Before > 0 && j.latest >= e.Before:
		case e.OpenOnly && c.toldOpen(j) == 0:
		default:
			jobs.add(j)
		}
	}
	var page []*job
	page, r.More = jobs.page()
	if len(page) > 0 {
		leased, ready := c.toldLeased(), c.toldReady()
		for _, j := range page {
			r.Jobs = append(r.Jobs, c.jobView(j, leased[j], j.ready+ready[j]))
		}
	}
	c.tell(e.Call, r)
}

func (c *Scheduler) jobView(j *job, leased, ready int) JobView {
	v := JobView{
		ID: j.id, Owner: j.owner.name, Latest: j.latest, Submitted: min(j.latestAt, c.now),
		Open: c.toldOpen(j), Ready: ready, Leased: leased,
		Ended: c.toldEnds(j), FailedTasks: j.failed - j.newFailed, Failed: c.toldFailed(j), Watchers: len(j.followers),
	}
	if n := len(j.done) - j.ended; n > 0 {
		v.LastEnded = j.done[n-1].since
	}
	if p := j.above(); p != nil {
		v.Parent = p.id
	}
	return v
}

// toldLeased returns how many tasks of each job workers have durably.
func (c *Scheduler) toldLeased() map[*job]int {
	leased := make(map[*job]int)
	c.looks += uint64(len(c.leases))
	for _, l := range c.leases { // order-free: a count
		if l.current() && l.task.image == 0 && l.task.status.leased() {
			leased[l.task.job]++
		}
	}
	for i := range c.firstImages {
		if i.view != nil && i.view.Status.leased() {
			leased[i.task.job]++
		}
	}
	return leased
}

// toldReady returns how many more tasks of each job are ready durably than are now.
func (c *Scheduler) toldReady() map[*job]int {
	more := make(map[*job]int)
	for i := range c.firstImages {
		if i.queued {
			more[i.task.job]++
		}
		if i.task.queued() {
			more[i.task.job]--
		}
	}
	return more
}

// queued says whether the task is in a queue of its class.
func (t *task) queued() bool { return t.status == Pending && t.pending == Ready }

// firstImages yields what tasks were durably that have changed since.
func (c *Scheduler) firstImages(yield func(*image) bool) {
	for k := range c.images.Len() {
		c.looks++
		i := c.images.At(k)
		if i.task.image == imageNumber(c.dropped+uint64(k)) && !yield(i) { // Not negative.
			return
		}
	}
}

package core

import "github.com/frayrpc/fray/fray/core/share"

// usage is what is bounded, and counted for those who share it: open tasks and their bytes for each job
// among those of its owner, and for each owner among all; jobs, classes, watchers and schedules for each owner.
// Jobs that are everybody's have one owner.
type usage struct {
	// Open tasks, and the bytes of their specs.
	tasks, bytes int64
	// Jobs with open tasks, classes with open tasks, watchers, and schedules.
	jobs, classes, watchers, schedules int64
}

func (u usage) plus(d usage) usage {
	return usage{u.tasks + d.tasks, u.bytes + d.bytes, u.jobs + d.jobs, u.classes + d.classes, u.watchers + d.watchers, u.schedules + d.schedules}
}

func (u usage) negative() usage {
	return usage{-u.tasks, -u.bytes, -u.jobs, -u.classes, -u.watchers, -u.schedules}
}

// owner is who jobs belong to.
type owner struct {
	name  string // Empty: everybody.
	known int    // jobs
	kept  int64  // Bytes of what is kept of its ended tasks.
	// Of those of its ended tasks that are kept for who needs them alone.
	outlived int64
	// Of its objects.
	objectBytes int64
	usage
}

// ownerOf returns the owner of a name.
func (c *Scheduler) ownerOf(name string) *owner {
	o := c.owners[name]
	if o == nil {
		o = &owner{name: name}
		c.owners[name] = o
	}
	return o
}

// charge counts what an owner has.
func (c *Scheduler) charge(o *owner, d usage) {
	o.usage, c.all = o.plus(d), c.all.plus(d)
	c.dropOwner(o)
}

// dropOwner forgets an owner that has nothing.
func (c *Scheduler) dropOwner(o *owner) {
	if o.known == 0 && o.usage == (usage{}) && o.objectBytes == 0 && c.owners[o.name] == o {
		delete(c.owners, o.name)
	}
}

// room returns SubmitCreated if there is room for one more task of a submission, after others of it that have been
// taken by then, and else why there is none.
func (c *Scheduler) room(e *Submit, taken usage, size int) SubmitVerdict {
	j := c.jobs[e.Job]
	own := taken
	if j != nil {
		own = own.plus(j.usage())
	}
	owner := c.ownerToBe(j, e.By)
	n, of, allHave := int64(size), owner.plus(taken), c.all.plus(taken)
	tasks, bytes, jobs := int64(c.cfg.MaxOpenTasks), c.cfg.MaxQueuedBytes, int64(c.cfg.MaxJobs)
	allTasks, allBytes, newJob := share.All(tasks), share.All(bytes), own.tasks == 0
	switch {
	case allHave.tasks >= share.All(allTasks), allHave.bytes+n > share.All(allBytes), newJob && allHave.jobs >= share.All(jobs):
		return SubmitFull
	case !share.Fits(tasks, of.tasks, own.tasks, 1), !share.Fits(allTasks, allHave.tasks, of.tasks, 1),
		!share.Fits(bytes, of.bytes, own.bytes, n), !share.Fits(allBytes, allHave.bytes, of.bytes, n),
		newJob && !share.Fits(jobs, allHave.jobs, of.jobs, 1):
		return SubmitShare
	case c.behind(j, owner):
		return SubmitBehind
	case !share.Fits(c.cfg.MaxRetainedBytes, c.outlivedBytes, owner.outlived, 0):
		return SubmitNeeded
	default:
		return SubmitCreated
	}
}

// mayOpenClass says whether a submission may have tasks of one more class than there are.
func (c *Scheduler) mayOpenClass(e *Submit) bool {
	return share.Fits(int64(c.cfg.MaxClasses), c.all.classes, c.ownerToBe(c.jobs[e.Job], e.By).classes, 1)
}

// ownerToBe returns the owner that a job will have once by has submitted a task to it. It is to look
// at.
func (c *Scheduler) ownerToBe(j *job, by string) *owner {
	if j != nil && !j.ownable(by) {
		return j.owner
	}
	if o := c.owners[by]; o != nil {
		return o
	}
	return &owner{name: by}
}

// mayWatch says whether a job may have one more watcher.
func (c *Scheduler) mayWatch(j *job) bool {
	return share.Fits(int64(c.cfg.MaxWatchers), c.all.watchers, j.owner.watchers, 1)
}

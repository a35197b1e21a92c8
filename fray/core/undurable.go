package core

// maxImageNumbers is how many images there are numbers for. Far fewer are kept at once.
const maxImageNumbers = 1 << 31

// undurable is what was decided and is not known to be durable. With Config.Commits a step is not
// durable before its Committed event, and until then its tasks are told as they were before it: who
// asks must neither wait for the disk, nor learn what a crash would take back.
type undurable struct {
	step    uint64 // the step that is being made, or was last
	durable uint64 // the last one that is known to be durable
	// In the order of their steps. The first is the dropped-th of all.
	images  []image
	dropped uint64
	// Some call waits for an image to go.
	awaitsCommit bool
}

// image is a task as it was told before a step changed it.
type image struct {
	task *task
	step uint64
	next uint32 // the number of the task's next image; 0: what comes next is the task itself
	view View   // its Status is 0 where the task was not known
	ends bool   // the step ended the task
}

func imageNumber(n uint64) uint32 { return uint32(n%maxImageNumbers) + 1 } // Bounded.

// image returns the one of a number.
func (u *undurable) image(number uint32) *image {
	return &u.images[(uint64(number-1)+maxImageNumbers-u.dropped%maxImageNumbers)%maxImageNumbers]
}

// touch keeps a task as it is, before this step changes it for the first time.
func (c *Scheduler) touch(t *task) {
	if !c.cfg.Commits {
		return
	}
	var last *image
	for n := t.image; n != 0; n = last.next {
		last = c.image(n)
	}
	if last != nil && last.step == c.step {
		return
	}
	number := imageNumber(c.dropped + uint64(len(c.images)))
	if last == nil {
		t.image = number
	} else {
		last.next = number
	}
	i := image{task: t, step: c.step}
	if t.status != 0 {
		i.view = c.view(t)
	} else {
		t.job.created++
	}
	c.images = append(c.images, i)
}

// touchEnd is touch where the step ends the task.
func (c *Scheduler) touchEnd(t *task) {
	if !c.cfg.Commits {
		return
	}
	c.touch(t)
	n := t.image
	for c.image(n).next != 0 {
		n = c.image(n).next
	}
	c.image(n).ends = true
	t.job.ended++
}

// told returns a task as it stands durably, and false where it is not known durably.
func (c *Scheduler) told(t *task) (View, bool) {
	if t == nil {
		return View{}, false
	}
	if t.image == 0 {
		return c.view(t), true
	}
	v := c.image(t.image).view
	return v, v.Status != 0
}

// Committed says that the records of all steps up to Step are durable. Without Config.Commits it
// says nothing.
type Committed struct{ Step uint64 }

func (e *Committed) apply(c *Scheduler) {
	c.durable = max(c.durable, e.Step)
	n := 0
	for ; n < len(c.images) && c.images[n].step <= c.durable; n++ {
		i := &c.images[n]
		t, j := i.task, i.task.job
		t.image = i.next
		if i.view.Status == 0 {
			j.created--
		}
		if !i.ends {
			continue
		}
		j.ended--
		if j.done[0] == t {
			c.place(j)
		}
		if j.watchers.size > 0 {
			c.markJob(j)
		}
		v, _ := c.told(t)
		c.wakeAwaiters(t, v, true)
	}
	clear(c.images[:n])
	c.images = c.images[n:]
	c.dropped += uint64(n) // Not negative.
	c.awaitsCommit = c.awaitsCommit && len(c.images) > 0
}

// AwaitsCommit says whether a call waits for a Committed event, and not only for the clock or for
// work.
func (c *Scheduler) AwaitsCommit() bool { return c.awaitsCommit }

// toldEnds returns how many of a job's ended tasks, which are still known, have ended durably.
func (c *Scheduler) toldEnds(j *job) uint64 {
	return j.ends() - uint64(j.ended) //nolint:gosec // Not negative.
}

// toldCounts is how many known tasks have which status durably.
func (c *Scheduler) toldCounts() [statusCount]int {
	counts := c.counts
	for k := range c.images {
		i := &c.images[k]
		if i.task.image != imageNumber(c.dropped+uint64(k)) { // Not negative.
			continue // A later one of the same task.
		}
		counts[i.task.status]--
		if i.view.Status != 0 {
			counts[i.view.Status]++
		}
	}
	return counts
}

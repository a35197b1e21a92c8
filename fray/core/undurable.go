package core

import "github.com/frayrpc/fray/fray/core/internal/reuse"

// maxImageNumbers is how many images there are numbers for. Far fewer are kept at once.
const maxImageNumbers = 1 << 31

// undurable is what was decided and is not known to be durable. With Config.Commits a step is not
// durable before its Committed event, and until then its tasks are told as they were before it: who
// asks must neither wait for the disk, nor learn what a crash would take back.
type undurable struct {
	step    uint64 // the step that is being made, or was last
	durable uint64 // the last one that is known to be durable
	// In the order of their steps. The first is the dropped-th of all.
	images  reuse.Queue[image]
	dropped uint64
	// Of images that are gone, for others.
	views []*View
	// Some call waits for an image to go.
	awaitsCommit bool
}

// image is a task as it was told before a step changed it.
type image struct {
	task *task
	step uint64
	view *View  // nil where the task was not known
	next uint32 // the number of the task's next image; 0: what comes next is the task itself
	ends bool   // the step ended the task
	// It was in a queue of its class before the step.
	queued bool
}

func imageNumber(n uint64) uint32 { return uint32(n%maxImageNumbers) + 1 } // Bounded.

// image returns the one of a number.
func (u *undurable) image(number uint32) *image {
	return u.images.At(int((uint64(number-1) + maxImageNumbers - u.dropped%maxImageNumbers) % maxImageNumbers)) // within: fewer are kept
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
	number := imageNumber(c.dropped + uint64(c.images.Len())) //nolint:gosec // Not negative.
	if last == nil {
		t.image = number
	} else {
		last.next = number
	}
	i := image{task: t, step: c.step, queued: t.queued()}
	if t.status != 0 {
		i.view = c.newView()
		*i.view = c.view(t)
	} else {
		t.job.created++
	}
	c.images.Push(i)
}

// maxSpareViews is how many views are kept for other images.
const maxSpareViews = 4096

func (u *undurable) newView() *View {
	last := len(u.views) - 1
	if last < 0 {
		return &View{}
	}
	v := u.views[last]
	u.views[last] = nil
	u.views = u.views[:last]
	return v
}

// keepView keeps the view of an image that is gone.
func (u *undurable) keepView(v *View) {
	if len(u.views) < maxSpareViews {
		*v = View{}
		u.views = append(u.views, v)
	}
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
	if v == nil {
		return View{}, false
	}
	return *v, true
}

// Committed says that the records of all steps up to Step are durable. Without Config.Commits it
// says nothing.
type Committed struct{ Step uint64 }

func (e *Committed) apply(c *Scheduler) {
	c.durable = max(c.durable, e.Step)
	n := 0
	for ; n < c.images.Len() && c.images.At(n).step <= c.durable; n++ {
		i := c.images.At(n)
		t, j := i.task, i.task.job
		t.image = i.next
		if i.view == nil {
			j.created--
			j.submittedTo(t)
		} else {
			c.keepView(i.view)
		}
		if !i.ends {
			continue
		}
		j.ended--
		if t.failedByItself() {
			j.newFailed--
		}
		if j.done[0] == t {
			c.place(j)
		}
		if j.watchers.size > 0 {
			c.markJob(j)
		}
		v, _ := c.told(t)
		c.wakeAwaiters(t, v, true)
	}
	c.images.Drop(n)
	c.dropped += uint64(n) // Not negative.
	c.awaitsCommit = c.awaitsCommit && c.images.Len() > 0
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
	for i := range c.firstImages {
		counts[i.task.status]--
		if i.view != nil {
			counts[i.view.Status]++
		}
	}
	return counts
}

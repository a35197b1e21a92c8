package core

import (
	"fmt"
	"slices"
)

// A task may need others, and objects. It is Blocked until all tasks that it needs have ended, and fails
// if one did not complete. As long as it is open it holds what it needs: an ended task whose time is over
// outlives it, and its job holds the objects.
//
// Who needs whom is known from the specs. Only what was submitted before can be needed, so nothing needs
// itself.

const (
	// maxMoves is how many of those who need a task that has ended go on in one step.
	maxMoves = 1024
	// needBytes is what each name counts besides its bytes.
	needBytes = 32
)

// dependencies are what an open task needs.
type dependencies struct {
	tasks   []*task
	objects []*object
	// Of tasks: how many have not ended, as far as that was seen to; and so many, from the first on, had by
	// then.
	open, past int
	// The first task that did not complete, as far as that was seen to; and it was to be cancelled with all
	// that need it.
	cause   string
	cancels bool
}

// dependants are the tasks that need one.
type dependants struct {
	// Those that are yet to be told of its end, in the order of their submission, and some that have ended
	// before.
	list []*task
	// How many are open.
	open int
	// It is in Scheduler.moves.
	moving bool
	// Its place in job.outlived, from 1; 0: it is not there.
	at int
}

// findNeeds returns what an offered task needs, nil for nothing, and SubmitCreated; or else what is wrong with
// which of its names, tasks first.
func (c *Scheduler) findNeeds(e *Submit, n *NewTask) (x *dependencies, v SubmitVerdict, name int) {
	if len(n.NeedsTasks)+len(n.NeedsObjects) == 0 {
		return nil, SubmitCreated, 0
	}
	x = &dependencies{tasks: make([]*task, 0, len(n.NeedsTasks)), objects: make([]*object, 0, len(n.NeedsObjects))}
	for i, id := range n.NeedsTasks {
		t := c.find(id)
		switch {
		case t == nil:
			return nil, SubmitUnknownTask, i
		case !t.job.admits(e.Owner):
			return nil, SubmitTaskOfOther, i
		}
		x.tasks = append(x.tasks, t)
	}
	for i, id := range n.NeedsObjects {
		o := c.known(c.jobs[e.Job], e.By, id)
		if o == nil {
			return nil, SubmitUnknownObject, i
		}
		x.objects = append(x.objects, o)
	}
	return x, SubmitCreated, 0
}

// need has an open task need what was found, which may be nil.
func (c *Scheduler) need(t *task, x *dependencies) {
	if x == nil {
		return
	}
	c.dependencies[t] = x
	for _, other := range x.tasks {
		c.needTask(t, x, other)
	}
	x.pass()
	for _, o := range x.objects {
		c.needObject(t.job, o)
	}
}

// needTask has a task need one of those that were found.
func (c *Scheduler) needTask(t *task, x *dependencies, other *task) {
	d := c.dependants[other]
	if d == nil {
		d = &dependants{}
		c.dependants[other] = d
	}
	d.open++
	if other.status == Completed && !other.cancelsDependants() {
		return
	}
	x.open++
	d.list = append(d.list, t)
	if other.status.Terminal() {
		c.startMoving(other, d)
	}
}

// needless ends what an open task held.
func (c *Scheduler) needless(t *task) {
	x := c.dependencies[t]
	if x == nil {
		return
	}
	delete(c.dependencies, t)
	for _, other := range x.tasks {
		d := c.dependants[other]
		if d.open--; d.open == 0 && !d.moving {
			c.needNoMore(other, d)
		} else if len(d.list) > 2*d.open+16 {
			d.list = slices.DeleteFunc(d.list, func(t *task) bool { return t.status.Terminal() })
		}
	}
	for _, o := range x.objects {
		c.needObjectNoMore(t.job, o)
	}
}

// needNoMore lets go of a task that no open task needs. If it is kept for these alone it is forgotten, once
// no call reads its result.
func (c *Scheduler) needNoMore(t *task, d *dependants) {
	if d.at > 0 && t.next > 0 {
		return
	}
	delete(c.dependants, t)
	if d.at > 0 {
		c.endOutlived(t, d)
	}
}

// cancelsDependants says whether the task is to be cancelled with all that need it.
func (t *task) cancelsDependants() bool { return t.run != nil && t.run.cancelsDependants }

// blocked says whether a task may not be granted yet, for it needs tasks that have not ended.
func (c *Scheduler) blocked(t *task) bool {
	x := c.dependencies[t]
	return x != nil && (x.open > 0 || x.cause != "")
}

// block keeps a task from being granted until what it needs has ended. One that needs what did not
// complete has ended itself.
func (c *Scheduler) block(t *task) {
	c.waitAside(t, Blocked)
	if x := c.dependencies[t]; x.cause != "" {
		c.needsInVain(t, x)
	}
}

// readyFrom is when a task could be granted for the first time.
func (c *Scheduler) readyFrom(t *task) Time {
	from := t.submitted
	if x := c.dependencies[t]; x != nil {
		for _, other := range x.tasks {
			if other.status.Terminal() {
				from = max(from, min(other.since, c.now))
			}
		}
	}
	return max(from, min(c.notBefore[t], c.now))
}

// pass goes past the tasks that have ended.
func (x *dependencies) pass() {
	for x.past < len(x.tasks) && x.tasks[x.past].status.Terminal() {
		x.past++
	}
}

// explainBlocked says what a task waits for.
func (c *Scheduler) explainBlocked(t *task) string {
	x := c.dependencies[t]
	text := fmt.Sprintf("it waits for %d of the tasks that it needs", x.open)
	if x.past < len(x.tasks) {
		text += ", such as " + c.id(x.tasks[x.past])
	}
	return text
}

const (
	// alongBytes is how large what a task has ended with may be to go along with the grant of one that needs
	// it, and maxAlongBytes what goes along with one grant.
	alongBytes    = 64 << 10
	maxAlongBytes = 1 << 20
)

// along returns which of the tasks that one needs have ended with so little that it goes along with the
// grant, 0 in the place of others, and how many bytes that is at most.
func (c *Scheduler) along(t *task) (nums []TaskNum, bytes int) {
	x := c.dependencies[t]
	if x == nil || len(x.tasks) == 0 {
		return nil, 0
	}
	nums = make([]TaskNum, len(x.tasks))
	for i, other := range x.tasks {
		if n := int(other.size); n <= alongBytes && bytes+n <= maxAlongBytes {
			nums[i] = other.num
			bytes += n
		}
	}
	return nums, bytes
}

// startMoving has those who need a task that has ended go on.
func (c *Scheduler) startMoving(t *task, d *dependants) {
	if !d.moving && len(d.list) > 0 {
		d.moving = true
		c.moves.Push(t)
	}
}

// move has tasks go on that need others which have ended, as many as are left of what a step may move,
// and returns how many are left then.
func (c *Scheduler) move(left int) int {
	for left > 0 && c.moves.Len() > 0 {
		t := *c.moves.At(0)
		d := c.dependants[t]
		for ; left > 0 && len(d.list) > 0; left-- {
			c.looks++
			next := d.list[0]
			d.list[0] = nil
			d.list = d.list[1:]
			c.hearEnd(next, t)
		}
		if len(d.list) > 0 {
			return left
		}
		d.list, d.moving = nil, false
		c.moves.Drop(1)
		if d.open == 0 {
			c.needNoMore(t, d)
		}
	}
	return left
}

// endings has all go on, or end, for whom it matters what has ended, as many as are left of what a step may
// move, and returns how many are left then.
func (c *Scheduler) endings(left int) int {
	for left > 0 && (c.moves.Len() > 0 || len(c.dying) > 0) {
		left = c.bury(c.move(left))
	}
	return left
}

// hearEnd has a task go on that needs one which has ended.
func (c *Scheduler) hearEnd(t, other *task) {
	x := c.dependencies[t]
	if x == nil {
		return // It has ended itself.
	}
	c.touch(t)
	x.open--
	x.pass()
	if x.cause == "" && (other.status != Completed || other.cancelsDependants()) {
		if x.cause = c.causes[other]; x.cause == "" {
			x.cause = c.id(other)
		}
		x.cancels = other.cancelsDependants() && other.job.owner == t.job.owner
	}
	switch {
	case t.pending != Blocked: // A worker has it from before the controller lost that the other had ended.
	case x.cause != "":
		c.needsInVain(t, x)
	case x.open == 0:
		c.queue(t, false)
	}
}

// needsInVain ends a task that needs one which did not complete.
func (c *Scheduler) needsInVain(t *task, x *dependencies) {
	if x.cancels {
		t.ran().cancelsDependants = true
		c.finish(t, Cancelled, 0, nil)
		return
	}
	var result []byte
	if c.cfg.Cause != nil {
		result = c.cfg.Cause(DependencyFailed, "task "+x.cause+", which it needs, did not complete")
	}
	c.causes[t] = x.cause
	c.finish(t, Failed, DependencyFailed, result)
}

// outlive has a task be kept for those alone who need it, and its job forget it.
func (c *Scheduler) outlive(t *task, d *dependants) {
	t.job.outlived = append(t.job.outlived, t)
	d.at = len(t.job.outlived)
	c.countOutlived(t, 1)
	if c.cfg.Durable {
		s := c.state(t)
		s.Outlived, s.ResultBytes = true, t.size
		c.out.Records = append(c.out.Records, Record{Kind: RecordState, Task: t.num, State: c.out.keepState(&s), Lazy: true})
	}
}

func (c *Scheduler) countOutlived(t *task, sign int) {
	c.outlived += sign
	c.outlivedBytes += int64(sign) * int64(t.size)
	t.job.owner.outlived += int64(sign) * int64(t.size)
}

// endOutlived forgets a task that nobody needs any longer.
func (c *Scheduler) endOutlived(t *task, d *dependants) {
	list := t.job.outlived
	last := list[len(list)-1]
	list[d.at-1] = last
	if other := c.dependants[last]; other != nil {
		other.at = d.at
	}
	list[len(list)-1] = nil
	t.job.outlived = list[:len(list)-1]
	c.countOutlived(t, -1)
	c.forgetWhole(t)
}

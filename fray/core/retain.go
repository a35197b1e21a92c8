package core

import (
	"container/heap"
	"math"
)

// What has ended is kept for those who need it, and then for a while.
//
// A job's ends are numbered, and forgotten in their order. An end is needed as long as
//
//   - a watcher of the job that was heard of within Config.WatchGrace has not confirmed it;
//   - a call that asked for its task was answered within WatchGrace, and may be made again: the task was open then, or the
//     answer was lost;
//   - a call that was told of it reads its result now;
//   - it is not known to be durable.
//
// What nobody needs is forgotten past Config.Retention, or before that to keep within MaxRetained
// and MaxRetainedBytes. What watchers need is kept past all of these; then it is submissions and
// grants of its job that wait, see [Scheduler.behind] and [Scheduler.hold].

// noFloor is the floor of a job that nobody watches.
const noFloor = uint64(math.MaxUint64)

// follower is a watcher of a job, as far as it is known to be there.
type follower struct {
	id  string
	job *job
	// The first end that it has not confirmed.
	needs uint64
	// Calls of it that wait for an answer.
	waiting int
	// When it is taken for gone; nil while a call of it waits.
	gone *timer
}

// awaitedEnd is an end that was told to calls that had waited for it.
type awaitedEnd struct {
	number uint64
	until  Time
}

// follow notes that a watcher of a job is there. Of a new one, needs is the first end that it has
// yet to be told of. It returns nil if there is no room for one more watcher.
func (c *Scheduler) follow(j *job, id string, needs uint64) *follower {
	f := j.followers[id]
	if f == nil {
		if !c.mayWatch(j) {
			return nil
		}
		f = &follower{id: id, job: j, needs: needs}
		if j.followers == nil {
			j.followers = make(map[string]*follower)
		}
		j.followers[id] = f
		c.charge(j.owner, usage{watchers: 1})
		c.lowerFloor(j, needs)
	}
	c.hearFollower(f)
	return f
}

// hearFollower gives a watcher its time anew.
func (c *Scheduler) hearFollower(f *follower) {
	if f.waiting > 0 {
		return
	}
	at := c.now.Add(c.cfg.WatchGrace)
	if f.gone == nil {
		f.gone = c.timers.add(&timer{at: at, kind: timerFollower, follower: f})
	} else {
		c.timers.reset(f.gone, at)
	}
}

// followerWaits notes that a call of a watcher waits, which confirms what ended before needs.
func (c *Scheduler) followerWaits(f *follower, needs uint64) {
	f.waiting++
	c.timers.cancel(f.gone)
	f.gone = nil
	old := f.needs
	f.needs = needs
	if needs < old {
		c.lowerFloor(f.job, needs)
	} else {
		c.raiseFloor(f.job, old)
	}
}

// confirmed notes that a watcher has all that ended before a place, besides what it has confirmed by
// its calls. A place that is past all ends is of another history, and says nothing.
func (c *Scheduler) confirmed(f *follower, before uint64) {
	if old := f.needs; before > old && before <= f.job.ends() {
		f.needs = before
		c.raiseFloor(f.job, old)
	}
}

// followerAnswered notes that a call of a watcher waits no longer.
func (c *Scheduler) followerAnswered(f *follower) {
	if f.waiting--; f.waiting == 0 {
		c.hearFollower(f)
	}
}

// loseFollower takes a watcher for gone.
func (c *Scheduler) loseFollower(f *follower) {
	delete(f.job.followers, f.id)
	c.charge(f.job.owner, usage{watchers: -1})
	c.raiseFloor(f.job, f.needs)
	c.dropJob(f.job)
}

func (c *Scheduler) lowerFloor(j *job, needs uint64) {
	if needs < j.floor {
		j.floor = needs
		c.place(j)
	}
}

// raiseFloor follows a watcher that has moved on from old, or has gone. Only if it was the last one
// there the others must be looked at.
func (c *Scheduler) raiseFloor(j *job, old uint64) {
	if old > j.floor {
		return
	}
	j.floor = noFloor
	for _, f := range j.followers { // order-free: a minimum
		j.floor = min(j.floor, f.needs)
	}
	c.place(j)
}

// ends returns the number that the next end of the job gets.
func (j *job) ends() uint64 { return j.doneBase + uint64(len(j.done)) }

// awaited notes that the last end of a job is told to calls that waited for it.
func (c *Scheduler) awaited(j *job) {
	j.awaited = append(j.awaited, awaitedEnd{number: j.ends() - 1, until: c.now.Add(c.cfg.WatchGrace)})
	if j.awaitedTimer == nil {
		j.awaitedTimer = c.timers.add(&timer{at: j.awaited[0].until, kind: timerAwaited, job: j})
		c.awaitedJobs[j] = true
	}
}

// awaitedPast lets go of the ends whose callers have had their time to ask again.
func (c *Scheduler) awaitedPast(j *job) {
	j.awaitedTimer = nil
	for len(j.awaited) > 0 && j.awaited[0].until <= c.now {
		j.awaited = j.awaited[1:]
	}
	if len(j.awaited) > 0 {
		j.awaitedTimer = c.timers.add(&timer{at: j.awaited[0].until, kind: timerAwaited, job: j})
	} else {
		j.awaited = nil
		delete(c.awaitedJobs, j)
	}
	c.place(j)
}

// askedFor notes that a call is answered that asked how a task ends. If it has not, the call is
// likely to be made again.
func (c *Scheduler) askedFor(t *task) {
	if !t.status.Terminal() {
		c.asked[t] = c.now.Add(c.cfg.WatchGrace)
	}
}

// read keeps tasks until Forsake says that the caller has read what they left in the store.
func (c *Scheduler) read(call CallID, tasks ...*task) {
	kept := make([]*task, 0, len(tasks))
	for _, t := range tasks {
		if t.status.Terminal() && t.next < math.MaxUint16 {
			t.next++
			kept = append(kept, t)
			if len(t.job.done) > 0 && t.job.done[0] == t {
				c.place(t.job)
			}
		}
	}
	if len(kept) > 0 {
		c.reading[call] = kept
	}
}

func (c *Scheduler) haveRead(call CallID) {
	for _, t := range c.reading[call] {
		c.unread(t)
	}
	delete(c.reading, call)
}

// unread notes that one less keeps an ended task.
func (c *Scheduler) unread(t *task) {
	t.next--
	switch d := c.dependants[t]; {
	case d != nil && d.at > 0:
		if d.open == 0 && !d.moving {
			c.needNoMore(t, d)
		}
	case len(t.job.done) > 0 && t.job.done[0] == t:
		c.place(t.job)
	}
}

// place puts a job among those whose oldest end nobody needs, or takes it out.
func (c *Scheduler) place(j *job) {
	free := len(j.done) > 0 && j.doneBase < j.floor &&
		(len(j.awaited) == 0 || j.doneBase < j.awaited[0].number) && j.done[0].next == 0 && j.done[0].image == 0
	switch in := j.freeAt > 0; {
	case free && in:
		if f := &c.free[j.freeAt-1]; f.num != j.done[0].num {
			*f = oldestEnd(j)
			heap.Fix(&c.free, j.freeAt-1)
		}
	case free:
		heap.Push(&c.free, j)
	case in:
		heap.Remove(&c.free, j.freeAt-1)
	}
}

// forgetOld drops ended tasks that nobody needs past their retention, and the oldest while there
// are too many. After a restart nobody has had the time to say what is needed.
func (c *Scheduler) forgetOld() {
	if c.now < c.quietUntil {
		return
	}
	for {
		many := c.tooMany()
		if len(c.free) == 0 {
			if c.retainedBytes > c.cfg.MaxRetainedBytes && c.dropAwaited() {
				continue
			}
			return
		}
		t := c.free[0].job.done[0]
		expired := c.expiry(t) <= c.now
		if !expired && !many {
			return
		}
		if !expired {
			c.stats.ForgottenTooEarly++
		}
		c.forget(t)
	}
}

// dropAwaited gives up what is kept for calls that may be made again, for want of room. It says
// whether that freed any.
func (c *Scheduler) dropAwaited() bool {
	freed := false
	for j := range c.awaitedJobs { // order-free: each is let go of
		c.timers.cancel(j.awaitedTimer)
		j.awaited, j.awaitedTimer = nil, nil
		c.place(j)
		freed = freed || j.freeAt > 0
	}
	clear(c.awaitedJobs)
	return freed
}

func (c *Scheduler) tooMany() bool {
	return c.retained() > c.cfg.MaxRetained || c.retainedBytes > c.cfg.MaxRetainedBytes
}

// retained returns how many ended tasks are known, but for those that are kept for who needs them alone.
func (c *Scheduler) retained() int {
	return c.counts[Completed] + c.counts[Failed] + c.counts[Cancelled] - c.outlived
}

// nextForget returns when something is due to be forgotten.
func (c *Scheduler) nextForget() Time {
	switch {
	case len(c.free) == 0:
		return Never
	case c.now < c.quietUntil && c.tooMany():
		return c.quietUntil
	default:
		return max(c.expiry(c.free[0].job.done[0]), c.quietUntil)
	}
}

// freeJobs is a heap of the jobs whose oldest end nobody needs, by when that was.
type freeJobs []freeJob

// freeJob is a job with its oldest end: when, and of which task.
type freeJob struct {
	job   *job
	since Time
	num   TaskNum
}

func oldestEnd(j *job) freeJob { return freeJob{j, j.done[0].since, j.done[0].num} }

func (h *freeJobs) Len() int { return len(*h) }

func (h *freeJobs) Less(i, k int) bool {
	a, b := &(*h)[i], &(*h)[k]
	return a.since < b.since || a.since == b.since && a.num < b.num
}

func (h *freeJobs) Swap(i, k int) {
	js := *h
	js[i], js[k] = js[k], js[i]
	js[i].job.freeAt, js[k].job.freeAt = i+1, k+1
}

// Push is for container/heap.
func (h *freeJobs) Push(x any) {
	j := x.(*job) //nolint:errcheck // Only jobs are pushed.
	*h = append(*h, oldestEnd(j))
	j.freeAt = len(*h)
}

// Pop is for container/heap.
func (h *freeJobs) Pop() any {
	last := len(*h) - 1
	j := (*h)[last].job
	(*h)[last] = freeJob{}
	*h = (*h)[:last]
	j.freeAt = 0
	return j
}

// behind says whether a submission must wait until watchers have taken what ended: all that is kept
// past the bound on bytes is needed, and much of it is its job's. More of it is kept, see keepsMuch,
// until nothing of the job is granted. The job is nil if it is not known, and o owns it or will.
func (c *Scheduler) behind(j *job, o *owner) bool {
	const share = 8
	bound, own := c.cfg.MaxRetainedBytes, int64(0)
	if j != nil {
		own = j.doneBytes
	}
	return c.keepsMuch(o, own, 0) || c.retainedBytes > bound && own > bound/share
}

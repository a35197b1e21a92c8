package core

import (
	"cmp"
	"math"
	"slices"

	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

func (e *Submit) apply(c *Scheduler) {
	if j := c.jobs[e.Job]; !j.admits(e.Owner) {
		c.notOwner(e.Call)
		return
	}
	x, err := c.tiesOf(e)
	if err != nil {
		c.stats.Refused += uint64(len(e.Tasks))
		// Not settled: what it is for may not be durable yet.
		c.out.Replies = append(c.out.Replies, Reply{Call: e.Call, Err: err})
		return
	}
	r := SubmitReply{Results: make([]SubmitResult, len(e.Tasks))}
	if j := c.jobs[e.Job]; j != nil && j.followers[e.Watcher] != nil {
		c.confirmed(j.followers[e.Watcher], e.Confirmed) // Before its job is asked to wait for that.
	}
	c.out.Records = slices.Grow(c.out.Records, len(e.Tasks))
	o := offering{Submit: e, ties: x}
	for i := 0; i < len(e.Tasks); {
		n := 1
		if g := e.Tasks[i].Gang; g != nil {
			n = g.Size
			o.takeGang(c, e.Tasks[i:i+n], r.Results[i:i+n])
		} else {
			r.Results[i] = o.take(c, &e.Tasks[i])
		}
		for k := i; k < i+n; k++ {
			switch v := r.Results[k].Verdict; {
			case r.Results[k].Task == 0:
				c.stats.Refused++
				o.refuse(&e.Tasks[k], v)
				if v.retries() {
					r.RetryAfter = c.cfg.RetryHint
				}
			case len(r.Results) == 1: // Offered alone, it is shown.
				r.View = c.view(c.find(cmp.Or(r.Results[k].ID, e.Tasks[k].ID)))
			}
		}
		i += n
	}
	var f *follower
	if j := c.jobs[e.Job]; j != nil && e.Watcher != "" {
		r.Cursor = j.ends()
		if f = c.follow(j, e.Watcher, r.Cursor); f != nil { // Else it goes without being waited for.
			r.Cursor = f.needs
		}
	}
	if !c.awaitSubmitted(e, f, &r) {
		c.reply(e.Call, r)
	}
}

// offering is how far a submission has come.
type offering struct {
	*Submit

	// What the job is to have besides once it has its first task; nil: nothing, or it has that.
	ties *ties
	// It was looked whether the job has failed, or one above it; and that. No submission changes it.
	looked bool
	failed *job
	// Mailboxes for which a call was refused: what its caller offers after it must not overtake it.
	behind map[mailbox]bool
	// The gang that the next one is of, or nil.
	gang *gang
	// The last shape, as it was offered and as it is known.
	offered *Shape
	known   *shape
}

// take takes a task in, if it may. The result names the task that is known then, or none if it is refused.
func (o *offering) take(c *Scheduler, n *NewTask) SubmitResult {
	t, free := c.byID.find(&c.log, n.ID)
	switch {
	case t != nil && t.job.id != o.Job:
		return SubmitResult{Task: t.num, Verdict: SubmitOtherJob}
	case t != nil:
		return SubmitResult{Task: t.num, Verdict: SubmitExisting}
	}
	switch other := c.named(o.Submit, n); {
	case other == nil:
	case other.cancelRequested() && n.Unique == nil:
		return SubmitResult{Verdict: SubmitLeaving, ID: c.id(other)}
	default:
		return SubmitResult{Task: other.num, Verdict: SubmitNamed, ID: c.id(other)}
	}
	if f := o.jobFailed(c); f != nil {
		return SubmitResult{Verdict: SubmitJobFailed, ID: f.id}
	}
	v := c.room(o.Submit, usage{}, n.size()+o.optionBytes())
	if len(n.Limits) > 0 && v == SubmitCreated && len(c.buckets)+c.newBuckets(c.ownerToBe(c.jobs[o.Job], o.By).name, n.Limits) > c.cfg.MaxLimits {
		v = SubmitTooManyLimits
	}
	if n.Schedule != nil && v == SubmitCreated && !c.mayHaveSchedule(o.Submit) {
		v = SubmitTooManySchedules
	}
	if v == SubmitCreated && n.ActorCall != nil && o.behind[n.mailbox()] {
		v = SubmitFull
	}
	if v != SubmitCreated {
		return SubmitResult{Verdict: v}
	}
	var a *actor
	if n.ActorCall != nil {
		if a, v = c.findActor(o.Submit, n.ActorCall); v != SubmitCreated {
			return SubmitResult{Verdict: v}
		}
	}
	needs, v, name := c.findNeeds(o.Submit, n)
	if v != SubmitCreated {
		return SubmitResult{Verdict: v, Name: name}
	}
	sh := o.known
	if n.Shape == o.offered && sh != nil {
		sh.refs++
	} else if sh = c.intern(n.Shape); c.classFor(sh, o.Submit) == nil {
		c.release(sh)
		return SubmitResult{Verdict: SubmitTooManyClasses}
	}
	o.offered, o.known = n.Shape, sh
	t = c.admit(o, n, sh, needs, a, free)
	return SubmitResult{Task: t.num, Verdict: SubmitCreated}
}

// jobFailed returns the job that has failed of that of the submission and those above it, or nil.
func (o *offering) jobFailed(c *Scheduler) *job {
	if !o.looked {
		o.looked, o.failed = true, c.jobs[o.Job].failedAbove()
	}
	return o.failed
}

// optionBytes is what the next task of the submission brings along besides itself.
func (o *offering) optionBytes() int {
	if o.ties == nil {
		return 0
	}
	return int(o.ties.bytes)
}

// refuse notes that a task was refused, which may be offered again.
func (o *offering) refuse(n *NewTask, v SubmitVerdict) {
	if n.ActorCall == nil || !v.retries() && v != SubmitTooManyClasses {
		return
	}
	if o.behind == nil {
		o.behind = make(map[mailbox]bool)
	}
	o.behind[n.mailbox()] = true
}

// awaitSubmitted has a submission wait for the end of the one task that it offers, and reports false
// if that is not to be, or has been.
func (c *Scheduler) awaitSubmitted(e *Submit, f *follower, r *SubmitReply) bool {
	if e.Until <= c.now || len(e.Tasks) != 1 || r.Results[0].Verdict > SubmitExisting {
		return false
	}
	t := c.find(e.Tasks[0].ID)
	if t.status.Terminal() {
		if e.Read {
			c.read(e.Call, t)
		}
		return false
	}
	w := c.park(&wait{call: e.Call, kind: waitAwait, task: t, until: e.Until, read: e.Read, follower: f, submitted: r})
	if f != nil {
		c.followerWaits(f, f.needs)
	}
	c.addAwaiter(t, w)
	return true
}

// answerSubmitted tells how the task stands that a submission has waited for. end is the cursor after
// its end, or 0.
func (c *Scheduler) answerSubmitted(w *wait, v View, end uint64, settled bool) {
	r := *w.submitted
	r.View, r.End = v, end
	if w.follower != nil {
		r.Cursor = w.follower.needs
	}
	c.out.Replies = append(c.out.Replies, Reply{Call: w.call, Body: r, Settled: settled})
}

// admit takes a task in, whose id is not known, and which calls an actor or none.
func (c *Scheduler) admit(o *offering, n *NewTask, sh *shape, needs *dependencies, a *actor, free vacancy) *task {
	e, t := o.Submit, c.log.add(n.ID)
	t.kin, t.submitted = c.kinOf(c.job(e.Job), sh), c.now
	if e.At > 0 {
		t.submitted = min(e.At, c.now)
	}
	t.size = clampSize(n.size())
	c.touch(t)
	c.setStatus(t, Pending)
	c.byID.add(free, t)
	c.own(t.job, e.By)
	if o.ties != nil {
		c.equip(t.job, o.ties)
		o.ties = nil
	}
	t.job.tasks++
	if !c.cfg.Commits {
		t.job.submittedTo(t)
	}
	c.opened(t)
	c.stats.Submitted++
	c.need(t, needs)
	c.unify(t, n.Unique)
	c.delayUntil(t, n.NotBefore)
	switch {
	case o.gang != nil:
		c.enrol(t, o.gang)
	case n.Schedule != nil:
		c.scheduled(t, n.Schedule, slices.Clone(n.Limits), n.Spec, ScheduleState{Through: t.submitted})
	case len(n.Limits) > 0:
		c.limit(t, n.Limits)
	case a != nil:
		c.address(t, a, n.ActorCall, true)
	case n.Actor != nil:
		c.born(t, n.Actor, n.ID, false)
	}
	c.out.Records = append(c.out.Records, Record{Kind: RecordSpec, Task: t.num, Job: e.Job, Data: n.Spec})
	c.queue(t, false)
	return t
}

// clampSize is a record's size as tasks count it. Both that a task may have are added, without
// overflow.
func clampSize(n int) uint32 { return uint32(min(n, math.MaxUint32/2)) } //nolint:gosec // Bounded by min.

// size returns the bytes that a new task counts.
func (n *NewTask) size() int {
	return len(n.Spec) + needBytes*(len(n.NeedsTasks)+len(n.NeedsObjects))
}

// queue makes a pending task ready, under its scheduling timeout until it first starts, unless it needs
// tasks that have not ended, or its time is yet to come.
func (c *Scheduler) queue(t *task, front bool) {
	if t.shape.Role == Schedule {
		c.awaitTime(t)
		return
	}
	if c.blocked(t) {
		c.block(t)
		return
	}
	if at := c.notBefore[t]; at > c.now {
		c.delay(t, at)
		return
	}
	c.line(t, front)
	if d := t.shape.SchedulingTimeout; d > 0 && !t.started {
		c.arm(t, c.startBy(t))
	}
}

// line has a pending task wait for a worker.
func (c *Scheduler) line(t *task, front bool) {
	if t.shape.Role == ActorCall {
		c.post(t)
		return
	}
	c.enlist(t, front, nil)
}

// startBy is when a task's scheduling timeout strikes, which it has. Time in which it could not be
// offered does not count.
func (c *Scheduler) startBy(t *task) Time {
	from := c.readyFrom(t)
	return from.Add(t.shape.SchedulingTimeout).Add(c.gaps.since(from))
}

// expiry is when an ended task's retention is over.
func (c *Scheduler) expiry(t *task) Time {
	return t.since.Add(c.cfg.Retention).Add(c.gaps.since(t.since))
}

func (c *Scheduler) job(id string) *job {
	j := c.jobs[id]
	if j == nil {
		j = &job{id: id, floor: noFloor, owner: c.ownerOf("")}
		j.owner.known++
		c.jobs[id] = j
	}
	return j
}

// dropJob forgets a job that has nothing left.
func (c *Scheduler) dropJob(j *job) {
	if j.dropped || j.knownOtherwise() || c.keepsObjects(j) {
		return
	}
	delete(c.jobs, j.id)
	j.dropped = true
	c.untie(j)
	j.owner.known--
	c.dropOwner(j.owner)
	if j.num != 0 {
		c.changedJobs = append(c.changedJobs, j)
	}
}

// finish ends a task for good.
func (c *Scheduler) finish(t *task, status Status, reason FailureReason, result []byte) {
	c.touchEnd(t)
	g := c.quit(t)
	if t.status == Pending && t.pending == Ready {
		c.removeReady(t)
	}
	t.job.here(t)
	c.disarm(t)
	if t.run != nil {
		t.run.lease = nil
	}
	c.setStatus(t, status)
	t.pending, t.reason, t.since = 0, reason, c.now
	c.closed(t)
	t.size += clampSize(len(result))
	c.keep(t.job.owner, int64(t.size))
	t.job.done = append(t.job.done, t)
	t.job.doneBytes += int64(t.size)
	if t.failedByItself() {
		c.countFailed(t.job)
	}
	if c.awaiters[t].mayAskAgain() || c.asked[t] > c.now {
		c.awaited(t.job)
	}
	delete(c.asked, t)
	c.place(t.job)
	c.markJob(t.job)
	t.job.news = true
	v := c.view(t)
	record := Record{Kind: RecordEnd, Task: t.num, Job: t.job.id, Data: result, View: c.out.keepView(&v)}
	c.endSeq++
	if c.cfg.Durable {
		s := c.state(t)
		s.EndSeq, s.ResultBytes = c.endSeq, clampSize(len(result))
		record.State = c.out.keepState(&s)
	}
	c.out.Records = append(c.out.Records, record)
	c.wakeAwaiters(t, v, false)
	c.needless(t)
	c.unlimit(t)
	delete(c.notBefore, t)
	if d := c.dependants[t]; d != nil {
		c.startMoving(t, d)
	}
	if g != nil {
		c.hasEnded(g, t)
	}
	switch t.shape.Role {
	case Life:
		c.die(t, result)
	case Schedule:
		c.unscheduled(t)
	}
}

// rememberJobs has it written whose a job is, what options it has and how it did, and how many of its ended tasks are
// forgotten, without which a cursor would mean nothing.
func (c *Scheduler) rememberJobs() {
	for i, j := range c.changedJobs {
		if i > 0 && c.changedJobs[i-1] == j {
			continue
		}
		r := Record{Kind: RecordForgetJob, JobNum: j.num, Lazy: true}
		if !j.dropped {
			r = Record{
				Kind: RecordJob, Job: j.id, JobNum: j.num, DoneBase: j.doneBase, Owner: j.owner.name,
				Details: j.details(), Lazy: true,
			}
		}
		c.out.Records = append(c.out.Records, r)
	}
	c.changedJobs = reuse.Emptied(c.changedJobs)
}

// changedJob has the job's record written at the end of the step.
func (c *Scheduler) changedJob(j *job) {
	if !c.cfg.Durable {
		return
	}
	if j.num == 0 {
		c.lastJob++
		j.num = c.lastJob
	}
	c.changedJobs = append(c.changedJobs, j)
}

// forget has a job forget its oldest end. If open tasks need that it is kept for these.
func (c *Scheduler) forget(t *task) {
	c.keep(t.job.owner, -int64(t.size))
	c.heldToSee = len(c.held)
	// Tasks of a job are forgotten in the order in which they ended.
	j := t.job
	j.done[0] = nil
	j.done = j.done[1:]
	j.doneBase++
	if t.failedByItself() {
		j.failedBase++
	}
	j.doneBytes -= int64(t.size)
	c.place(j)
	c.changedJob(j)
	if d := c.dependants[t]; d != nil {
		c.outlive(t, d)
		return
	}
	c.forgetWhole(t)
}

// forgetWhole forgets a task that nobody needs.
func (c *Scheduler) forgetWhole(t *task) {
	c.stats.Forgotten++
	c.counts[t.status]--
	c.byID.remove(&c.log, t)
	c.log.remove(t)
	t.run = nil
	delete(c.causes, t)
	c.ununify(t)
	if t.shape.Role != Plain {
		c.forgetActor(t)
	}
	t.job.tasks--
	c.dropJob(t.job)
	c.part(t.kin)
	c.out.Records = append(c.out.Records, Record{Kind: RecordForget, Task: t.num, Lazy: true})
}

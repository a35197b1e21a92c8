package core

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
)

// Restored is a task as its records tell it. Its strings and Shape are kept.
type Restored struct {
	Num     TaskNum
	ID, Job string
	Shape   *Shape
	// The bytes of its spec, and what that names.
	SpecBytes    int
	NeedsTasks   []string
	NeedsObjects []ObjectID
	NotBefore    Time
	Limits       []Limit
	Actor        *NewActor
	ActorCall    *NewCall
	Schedule     *NewSchedule
	Unique       *Unique
	Gang         *Gang
	// Of a schedule, its spec, which is kept.
	Spec      []byte
	Submitted Time
	State     State
}

// RestoredJob is a job that belongs to an Owner, or has Details, or of which some ended tasks are forgotten: as many as
// DoneBase.
type RestoredJob struct {
	Num      uint64
	ID       string
	DoneBase uint64
	Owner    string
	Details  *JobDetails
}

// Restore takes in what an earlier scheduler had recorded, before the first Step. tasks come in the
// order of their numbers, each of them good until the next; an error that it yields is returned,
// and ErrBadRecord for a record that makes no sense: after either the scheduler is of no use.
//
// Time goes on from the newest instant that the records tell of, and never falls: what has passed
// since by the clock that now is read from is a [Gap], and where that clock was set back,
// [Scheduler.Now] is ahead of it. Tasks that may be at a worker are RECOVERING for one session TTL
// from the first Step, in which workers can register and present them. Next asks for that Step at
// once. All others go on where they were. Bounds on tasks, classes and jobs do not refuse what was
// accepted before.
func (c *Scheduler) Restore(now Time, jobs []RestoredJob, tasks iter.Seq2[*Restored, error]) error {
	c.now, c.restored, c.restoring = now, true, true
	defer func() { c.restoring = false }()
	for i := range jobs {
		j := c.job(jobs[i].ID)
		if jobs[i].Num == 0 || jobs[i].DoneBase > math.MaxInt64 {
			return fmt.Errorf("%w: job %q, number %d, without its first %d", ErrBadRecord, j.id, jobs[i].Num, jobs[i].DoneBase)
		}
		if j.num != 0 {
			return fmt.Errorf("%w: job %q has two, %d and %d", ErrBadRecord, j.id, j.num, jobs[i].Num)
		}
		j.num, j.doneBase = jobs[i].Num, jobs[i].DoneBase
		c.give(j, jobs[i].Owner)
		if err := c.restoreDetails(j, jobs[i].Details); err != nil {
			return err
		}
		c.lastJob = max(c.lastJob, j.num)
	}
	var ended []endedTask
	var recovering, outlived []*task
	newest := Time(0) // The last instant of which there is a record.
	for r, err := range tasks {
		if err != nil {
			return err
		}
		t, err := c.restore(r)
		if err != nil {
			return fmt.Errorf("%w: task %q, number %d: %w", ErrBadRecord, r.ID, r.Num, err)
		}
		newest = max(newest, r.Submitted, r.State.LeasedAt, r.State.Ended)
		if r.State.Schedule != nil {
			newest = max(newest, r.State.Schedule.Through)
		}
		switch {
		case r.State.Outlived:
			outlived = append(outlived, t)
		case t.status.Terminal():
			ended = append(ended, endedTask{t, r.State.EndSeq})
			c.endSeq = max(c.endSeq, r.State.EndSeq)
		}
		if t.pending == Recovering {
			recovering = append(recovering, t)
		}
	}
	if err := c.restoreTree(jobs); err != nil {
		return err
	}
	c.resume(newest)
	c.goOn(now)
	// Last first, because each that nobody presents goes to the front of its queue.
	begun := make(map[string]int) // Attempts that may have started, by worker.
	for _, t := range recovering {
		c.recovering[t.run.workerID] = append(c.recovering[t.run.workerID], t)
		if !t.run.ahead {
			begun[t.run.workerID]++
		}
	}
	for _, t := range recovering {
		t.run.beside = begun[t.run.workerID] > 1
	}
	for _, t := range slices.Backward(recovering) {
		c.arm(t, c.now.Add(c.cfg.SessionTTL))
	}
	slices.SortFunc(ended, func(a, b endedTask) int { return cmp.Compare(a.seq, b.seq) })
	last := Time(0)
	for _, e := range ended {
		e.task.since = max(min(e.task.since, c.now), last)
		last = e.task.since
		j := e.task.job
		j.done = append(j.done, e.task)
		j.doneBytes += int64(e.task.size)
		if e.task.failedByItself() {
			j.failed++
		}
		c.place(j)
	}
	for _, t := range outlived {
		c.restoreOutlived(t)
	}
	c.restoring = false
	c.restoreLimits()
	c.formRestored()
	c.restoreFailed(jobs)
	for i := range jobs {
		c.dropJob(c.jobs[jobs[i].ID])
	}
	return nil
}

// restoreNeeds has an open task need what its spec names.
func (c *Scheduler) restoreNeeds(t *task, r *Restored) error {
	if len(r.NeedsTasks)+len(r.NeedsObjects) == 0 {
		return nil
	}
	x := &dependencies{}
	for _, id := range r.NeedsTasks {
		other := c.find(id)
		if other == nil || other == t {
			return fmt.Errorf("it needs task %q, which is not there", id)
		}
		x.tasks = append(x.tasks, other)
	}
	c.need(t, x)
	if len(r.NeedsObjects) > 0 {
		c.unlinked = append(c.unlinked, unlinkedNeeds{t, slices.Clone(r.NeedsObjects)})
	}
	return nil
}

// restoreOutlived keeps a task for those who need it. If there are none any longer it is forgotten as if the
// last one had just ended.
func (c *Scheduler) restoreOutlived(t *task) {
	d := c.dependants[t]
	if d == nil {
		d = &dependants{moving: true}
		c.dependants[t] = d
		c.moves.Push(t)
	}
	t.since = min(t.since, c.now)
	t.job.outlived = append(t.job.outlived, t)
	d.at = len(t.job.outlived)
	c.countOutlived(t, 1)
}

// goOn has what was restored at now wait for what is left of its time. A backoff may be longer than
// it was to be, and is no shorter.
func (c *Scheduler) goOn(now Time) {
	if c.now != now { // It was set back.
		for t := range c.log.all() {
			t.submitted = min(t.submitted, c.now)
			if t.pending == Ready {
				t.since = c.now
			}
		}
		for i := range c.ages.again { // They are among these.
			c.ages.again[i].since = c.now
		}
	}
	for _, t := range c.timers.heap {
		switch p := t.task.pending; {
		case p.timed():
			t.at = c.startBy(t.task)
			continue
		case p == Delayed, p == Scheduled:
			t.task.since = min(t.task.since, c.now)
			continue
		}
		whole := t.at.Sub(t.task.since)
		t.task.since = min(t.task.since, c.now)
		t.at = min(t.at.Add(c.gaps.since(t.task.since)), c.now.Add(whole))
	}
	c.timers.order()
}

type endedTask struct {
	task *task
	seq  uint64
}

func (c *Scheduler) restore(r *Restored) (*task, error) {
	s := &r.State
	other, free := c.byID.find(&c.log, r.ID)
	switch {
	case r.Num <= c.log.last:
		return nil, fmt.Errorf("it follows number %d", c.log.last)
	case other != nil:
		return nil, fmt.Errorf("its id is that of number %d, too", other.num)
	case s.Status != 0 && s.Status != Pending && !s.Status.Terminal():
		return nil, fmt.Errorf("its status is %v", s.Status)
	case (s.Status == Failed) != (s.Reason != 0) || s.Reason >= failureReasonCount,
		(s.Reason == Application || s.Reason == Timeout) && s.Failures == 0:
		return nil, fmt.Errorf("its status is %v and its reason %v", s.Status, s.Reason)
	case s.Leased && s.Attempts == 0:
		return nil, fmt.Errorf("it is leased without an attempt")
	case uint64(s.Failures)+uint64(s.Losses) > uint64(s.Attempts),
		uint64(s.Failures) > uint64(r.Shape.MaxRetries)+1, uint64(s.Losses) > uint64(r.Shape.MaxWorkerLosses)+1:
		return nil, fmt.Errorf("it has %d failures and %d losses in %d attempts", s.Failures, s.Losses, s.Attempts)
	case s.Outlived && !s.Status.Terminal():
		return nil, fmt.Errorf("it is %v and kept for others", s.Status)
	case (s.Reason == DependencyFailed) != (s.Cause != ""):
		return nil, fmt.Errorf("its reason is %v and its cause %q", s.Reason, s.Cause)
	case (r.Gang != nil) != (r.Shape.Gang > 0):
		return nil, fmt.Errorf("its gang and its shape, which has gangs of %d, do not go together", r.Shape.Gang)
	case s.InCompany > s.Losses:
		return nil, fmt.Errorf("%d of its %d losses were in company", s.InCompany, s.Losses)
	}
	t := c.log.addAt(r.Num, r.ID)
	t.kin = c.kinOf(c.job(r.Job), c.intern(r.Shape))
	t.submitted = r.Submitted
	named := len(r.NeedsTasks) + len(r.NeedsObjects)
	t.size = clampSize(r.SpecBytes + needBytes*named)
	c.lastRestored = t.num
	t.started, t.reason = s.Started, s.Reason
	if s.Attempts > 0 {
		t.run = &run{
			id: r.ID, attempts: s.Attempts, failures: s.Failures, losses: s.Losses, inCompany: s.InCompany, deliveries: s.Deliveries,
			token: s.Token, lastToken: s.LastToken, workerID: s.WorkerID, leasedAt: s.LeasedAt,
		}
		c.log.chunkOf(t).leased = true
	}
	if s.CancelRequested || s.Ahead || s.CancelsDependants {
		t.ran().cancelRequested, t.run.ahead, t.run.cancelsDependants = s.CancelRequested, s.Ahead, s.CancelsDependants
	}
	if s.Reason == DependencyFailed {
		c.causes[t] = s.Cause
	}
	c.byID.add(free, t)
	t.job.tasks++
	t.job.submittedTo(t)
	c.stats.Restored++
	c.setStatus(t, Pending)
	c.unify(t, r.Unique)
	if err := c.restoreRole(t, r); err != nil {
		return nil, err
	}
	if s.Status.Terminal() {
		c.counts[Pending]--
		c.counts[s.Status]++
		t.status, t.since = s.Status, s.Ended
		if s.Outlived {
			t.size = s.ResultBytes
			return t, nil
		}
		t.size += clampSize(int(s.ResultBytes))
		c.keep(t.job.owner, int64(t.size))
		return t, nil
	}
	if err := c.restoreNeeds(t, r); err != nil {
		return nil, err
	}
	c.delayUntil(t, r.NotBefore)
	c.restoreGang(t, r.Gang)
	if r.Schedule == nil {
		c.limit(t, r.Limits)
	}
	if t.lastAlone() {
		c.shapeAlone(t)
	}
	c.classFor(t.shape, nil)
	c.opened(t)
	t.job.away(t)
	switch {
	case s.Leased:
		t.pending = Recovering // Restore sets its timer.
		c.retake(t)
	case s.BackoffUntil > 0:
		t.pending, t.since = Backoff, max(s.Ended, s.LeasedAt)
		c.arm(t, s.BackoffUntil) // See goOn.
	default:
		c.queue(t, false)
	}
	return t, nil
}

// restoreRole has a life be an actor's, and a call one of an actor's callers.
func (c *Scheduler) restoreRole(t *task, r *Restored) error {
	if (t.shape.Role == Life) != (r.Actor != nil) || (t.shape.Role == ActorCall) != (r.ActorCall != nil) || (t.shape.Role == Schedule) != (r.Schedule != nil) {
		return fmt.Errorf("its role is %d", t.shape.Role)
	}
	open := !r.State.Status.Terminal()
	switch {
	case r.Actor != nil:
		if a := c.actorByName[nameKey{t.job.owner.name, r.Actor.Name}]; a != nil && open {
			return fmt.Errorf("actor %q has its name, too, %q", a.id, a.name)
		}
		c.born(t, r.Actor, r.ID, !open)
	case r.Schedule != nil && open:
		return c.restoreSchedule(t, r)
	case r.ActorCall != nil:
		life := c.find(r.ActorCall.Actor)
		a := c.actors[life]
		if a == nil && open {
			return fmt.Errorf("it calls actor %q, which is not there", r.ActorCall.Actor)
		}
		if a != nil { // Else it is forgotten before its calls.
			c.address(t, a, r.ActorCall, open)
		}
	}
	return nil
}

// restoreSchedule has an open task be a schedule again.
func (c *Scheduler) restoreSchedule(t *task, r *Restored) error {
	if s := c.scheduleByName[nameKey{t.job.owner.name, r.Schedule.Name}]; s != nil {
		return fmt.Errorf("schedule %q has its name, too, %q", c.id(s.task), s.Name)
	}
	if r.State.Attempts > 0 {
		return fmt.Errorf("it is a schedule with %d attempts", r.State.Attempts)
	}
	came := ScheduleState{Through: r.Submitted}
	if r.State.Schedule != nil {
		came = *r.State.Schedule
	}
	c.scheduled(t, r.Schedule, slices.Clone(r.Limits), r.Spec, came)
	return nil
}

// Held is an attempt that a worker presents when it registers.
type Held struct {
	Task    string
	Attempt uint32
	Token   Token
	Phase   HeldPhase
}

// HeldPhase is how far the worker is with it.
type HeldPhase uint8

// The phases of a held attempt.
const (
	HeldQueued HeldPhase = iota + 1
	HeldRunning
	HeldFinished
)

// adopt gives a worker back an attempt of an earlier incarnation, unless something newer holds its
// task.
func (c *Scheduler) adopt(s *session, h *Held) bool {
	t := c.find(h.Task)
	earlier := h.Token < firstToken(c.cfg.Incarnation)
	if t == nil || t.num > c.lastRestored || t.status != Pending || t.shape.Role == Schedule || !earlier || c.leases[h.Token] != nil ||
		t.shape.Gang > 0 && t.pending != Recovering {
		return false
	}
	var newest run
	if t.run != nil {
		newest = *t.run
	}
	// A newer one than any known is of a lease that was lost by a store with relaxed durability.
	unknown := h.Token > newest.token && h.Attempt > newest.attempts
	if !unknown && (h.Token != newest.token || h.Attempt != newest.attempts || t.pending != Recovering) {
		return false
	}
	if t.shape.Role == ActorCall {
		a := c.calls[t].caller.actor
		if l := a.life.lease(); l == nil || l.session != s || a.busy() {
			return false
		}
	} else if a := c.actors[t]; a != nil && len(a.hand) > 0 {
		return false // These are lost yet.
	}
	cl := t.shape.class
	if !s.canEverRun(cl) {
		return false
	}
	if t.pending == Ready {
		c.removeReady(t)
	}
	c.disarm(t)
	c.retake(t)
	t.pending = 0
	c.setStatus(t, Leased)
	r := t.ran()
	r.id = h.Task
	l := &lease{id: r.id, token: h.Token, attempt: h.Attempt, task: t, session: s, grantedAt: c.now, alone: t.shape.alone}
	if l.ahead = h.Phase == HeldQueued && r.ahead; unknown {
		l.ahead = h.Phase == HeldQueued && len(cl.resources) == 0 && !l.alone && t.shape.Role != ActorCall
	}
	if t.shape.Role == ActorCall {
		l.handedTo(c.calls[t].caller.actor)
	}
	r.attempts, r.token, r.lease = h.Attempt, h.Token, l
	r.workerID, r.leasedAt = s.workerID, c.now
	c.log.chunkOf(t).leased = true
	c.leases[l.token] = l
	s.hold(l)
	c.stats.Adopted++
	if h.Phase == HeldRunning {
		t.started = true // Here, so that it is remembered only once.
		c.running(l)
	}
	if t.cancelRequested() {
		c.stopCancelled(l)
	}
	if g := c.gangs[t]; g != nil && g.broken {
		c.recall(l)
	}
	c.remember(t, true)
	return true
}

// missed ends the wait for tasks that the worker was granted before a restart and does not present.
func (c *Scheduler) missed(e *Register) {
	tasks := c.recovering[e.WorkerID]
	delete(c.recovering, e.WorkerID)
	presented := make(map[string]bool, len(e.Held))
	for i := range e.Held {
		presented[e.Held[i].Task] = true
	}
	// Last first, because each goes to the front of its queue.
	for _, t := range slices.Backward(tasks) {
		if t.pending != Recovering || presented[c.id(t)] {
			continue
		}
		c.disarm(t)
		c.unclaimed(t, e.Fresh)
	}
}

// unclaimed ends the wait for the worker that may hold a task: nobody presented it. With died, the
// worker that was granted it is no more, and may have run it; else it never got it.
func (c *Scheduler) unclaimed(t *task, died bool) {
	c.stats.LeasesExpired++
	if t.run.ahead || !died {
		c.undelivered(t)
	} else {
		c.workerLost(t, 0, t.run.beside)
	}
}

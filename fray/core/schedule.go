package core

import (
	"cmp"
	"time"

	"github.com/frayrpc/fray/fray/core/internal/enum"
	"github.com/frayrpc/fray/fray/core/share"
)

// A schedule is a task that is never granted. It is Scheduled until it is cancelled, and at its times it creates
// tasks, its runs. The id of a run is of the schedule and the time, so that no time is run twice; and how far the
// schedule has come is written along with the run, so that none is lost.
//
// Times that pass while the scheduler is away are looked at once it is back, some in each step. So are those for
// whose run there was no room.

const (
	// maxTimes is how many times of schedules are looked at in one step.
	maxTimes = 1024
	// OnTime is how late a run is that is on time.
	OnTime = time.Minute
)

// CatchUp says which times of a schedule are run that have passed before they could be.
type CatchUp uint8

// What each of them is, the wire says.
const (
	CatchUpLast CatchUp = iota + 1
	CatchUpAll
	CatchUpNone
	catchUpCount
)

var catchUpNames = [catchUpCount]string{"UNSPECIFIED", "LAST", "ALL", "NONE"}

func (u CatchUp) String() string { return enum.Name(catchUpNames[:], u) }

// NewSchedule is what a schedule has besides.
type NewSchedule struct {
	// Its name among those of its owner's schedules that are open.
	Name string
	// What tells its times, as Config.Following takes it.
	Times string
	// 0 means CatchUpLast.
	CatchUp CatchUp
	// A time is run also while the last run is open. Else it is missed.
	Overlaps bool
}

// ScheduleState is how far a schedule has come.
type ScheduleState struct {
	// Each of its times up to here was run or missed; and the last that was run, 0: none.
	Through, LastRun Time
	Runs, Missed     uint64
}

// schedule is one that is open.
type schedule struct {
	NewSchedule
	ScheduleState

	task   *task
	shape  Shape // of its runs
	spec   []byte
	limits []Limit
	next   Time // the first after Through
	due    bool // it is in Scheduler.due
}

// scheduled has an open task be a schedule.
func (c *Scheduler) scheduled(t *task, n *NewSchedule, limits []Limit, spec []byte, state ScheduleState) {
	s := &schedule{NewSchedule: *n, ScheduleState: state, task: t, shape: t.shape.Shape, spec: spec, limits: limits}
	s.shape.Role, s.CatchUp = Plain, cmp.Or(n.CatchUp, CatchUpLast)
	s.next = c.following(s.Times, s.Through)
	c.schedules[t] = s
	c.scheduleByName[s.key()] = s
	t.job.schedules++
	c.charge(t.job.owner, usage{schedules: 1})
}

// unscheduled forgets what a task was as a schedule, which has ended.
func (c *Scheduler) unscheduled(t *task) {
	s := c.schedules[t]
	delete(c.schedules, t)
	delete(c.scheduleByName, s.key())
	t.job.schedules--
	c.charge(t.job.owner, usage{schedules: -1})
}

func (s *schedule) key() nameKey { return nameKey{s.task.job.owner.name, s.Name} }

// following returns the first time after an instant.
func (c *Scheduler) following(times string, after Time) Time {
	if c.cfg.Following == nil {
		return Never
	}
	return c.cfg.Following(times, after)
}

// mayHaveSchedule says whether who submits may have one more.
func (c *Scheduler) mayHaveSchedule(e *Submit) bool {
	return share.Fits(int64(c.cfg.MaxSchedules), c.all.schedules, c.ownerToBe(c.jobs[e.Job], e.By).schedules, 1)
}

// awaitTime has a schedule wait for its next time.
func (c *Scheduler) awaitTime(t *task) {
	c.waitAside(t, Scheduled)
	if s := c.schedules[t]; s.next < Never {
		c.arm(t, s.next)
	}
}

// comeDue notes that a time of a schedule has come, or that there may be room again for its run.
func (c *Scheduler) comeDue(t *task) {
	s := c.schedules[t]
	s.due = true
	c.due.Push(s)
}

// runDue sees to the times that have come, maxTimes of them at most.
func (c *Scheduler) runDue() {
	for left := maxTimes; c.due.Len() > 0; c.due.Drop(1) {
		s := *c.due.At(0)
		if c.schedules[s.task] == s { // Else it has been cancelled.
			var more bool
			if left, more = c.runTimes(s, left); more {
				return
			}
		}
		s.due = false
	}
}

// runTimes sees to the times of one schedule that have come, and returns how many may be looked at after that, and
// whether it has more.
func (c *Scheduler) runTimes(s *schedule, left int) (int, bool) {
	c.touch(s.task)
	before, full := s.ScheduleState, false
	for ; left > 0 && s.next <= c.now && !full; left-- {
		c.looks++
		full = !c.runTime(s)
	}
	if s.ScheduleState != before {
		c.remember(s.task, false)
	}
	switch {
	case full:
		c.arm(s.task, c.now.Add(c.cfg.RetryHint))
	case s.next <= c.now:
		return 0, true
	case s.next < Never:
		c.arm(s.task, s.next)
	}
	return left, false
}

// runTime runs the next time of a schedule, or passes over it. It reports false if there is no room for the run.
func (c *Scheduler) runTime(s *schedule) bool {
	at, following := s.next, c.following(s.Times, s.next)
	if c.misses(s, at, following) {
		s.Missed++
	} else {
		if !c.createRun(s, at) {
			return false
		}
		s.Runs, s.LastRun = s.Runs+1, at
	}
	s.Through, s.next = at, following
	return true
}

// misses says whether a time of a schedule that has come is not to be run.
func (c *Scheduler) misses(s *schedule, at, following Time) bool {
	switch {
	case s.CatchUp == CatchUpLast && following <= c.now, s.CatchUp == CatchUpNone && c.now.Sub(at) > OnTime:
		return true
	case s.Overlaps || s.LastRun == 0:
		return false
	default:
		last := c.find(c.runID(s, s.LastRun))
		return last != nil && !last.status.Terminal()
	}
}

// createRun submits the run of a time, and reports false if there is no room for it.
func (c *Scheduler) createRun(s *schedule, at Time) bool {
	n := NewTask{ID: c.runID(s, at), Shape: &s.shape, Limits: s.limits, Spec: s.spec}
	if c.cfg.Run != nil {
		n.Spec = c.cfg.Run(s.spec, n.ID, at, c.now)
	}
	o := offering{Submit: &Submit{Job: s.task.job.id, By: s.task.job.owner.name}}
	r := o.take(c, &n)
	switch r.Verdict {
	case SubmitCreated, SubmitExisting, SubmitOtherJob: // Somebody may have taken the id.
		return true
	default:
		return false
	}
}

// runID is the id of the run of a time.
func (c *Scheduler) runID(s *schedule, at Time) string {
	return c.id(s.task) + "/" + time.Unix(0, int64(at)).UTC().Format(runTimeFormat)
}

// The format of the times in the ids of runs, which are in UTC.
const runTimeFormat = "2006-01-02T15:04:05Z"

// ScheduleView is a schedule as it stands. It shares no memory with the scheduler.
type ScheduleView struct {
	NewSchedule
	ScheduleState

	Num           TaskNum
	ID            string
	Function, Job string
	// Never: there is none.
	Next Time
	// The id of its last run; empty: none.
	LastID string
}

func (c *Scheduler) scheduleView(s *schedule) ScheduleView {
	t := s.task
	v := ScheduleView{
		NewSchedule: s.NewSchedule, ScheduleState: s.ScheduleState, Num: t.num, ID: c.id(t), Function: t.shape.Function, Job: t.job.id, Next: s.next,
	}
	if s.LastRun > 0 {
		v.LastID = c.runID(s, s.LastRun)
	}
	return v
}

// ListSchedules asks for schedules with a greater number than After that are open, Max of them at most, or for the
// one that has a Name. Replied with SchedulesReply.
type ListSchedules struct {
	Call  CallID
	After TaskNum
	Max   int
	Name  string
	// As in Get, and whose name it is.
	Owner, By string
}

// SchedulesReply answers ListSchedules, in the order of their numbers.
type SchedulesReply struct {
	Schedules []ScheduleView
	// There are more.
	More bool
}

func (e *ListSchedules) apply(c *Scheduler) {
	var r SchedulesReply
	if e.Name != "" {
		if s := c.scheduleByName[nameKey{e.By, e.Name}]; s != nil && s.task.job.admits(e.Owner) {
			r.Schedules = append(r.Schedules, c.scheduleView(s))
		}
		c.reply(e.Call, r)
		return
	}
	var page []*schedule
	page, r.More = pageOf(c, c.schedules, e.After, e.Max, e.Owner)
	for _, s := range page {
		r.Schedules = append(r.Schedules, c.scheduleView(s))
	}
	c.reply(e.Call, r)
}

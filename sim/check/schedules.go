package check

import (
	"fmt"
	"slices"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// schedulesKept holds the controller to run each schedule at its times. Of the runs that workers are granted and clients are shown:
//
//   - the id is that of the schedule and one of its times, as they are written; those of @every are the same distance apart;
//   - none is granted or created before its time, nor created after the schedule has ended; where the controller's clock is not set,
//     none is of a time after the answer that the schedule is cancelled;
//   - none of a schedule that catches up with the last is created when the next time had come, and none of one that catches up with
//     none when its time was onTime ago; none is created before that of an earlier time, and of a schedule without overlaps none
//     before that has ended.
//
// And of a schedule with overlaps, once its job was listed after its end, there is
//
//   - if it catches up with all: a run of each time from its creation to the last that has one;
//   - a run of each time at which it was there, and that came while it was calm.
//
// When runs were created and had ended is the controller's word. The last claim is not judged where the controller's clock may be set
// or be late, or where there may be no room. What was before the crash of a controller that keeps nothing is not judged at all. That
// runs end is for liveness to judge. It is vacuous where there are no schedules.
type schedulesKept struct {
	oracle

	cfg       *Config
	calm      *calm
	clock     historyClock
	schedules map[string]*keptSchedule
	submitted map[string]bool // tasks whose ids begin like those of runs
	floor     uint64          // what was asked before this is of no use
	nextLook  time.Duration   // when a time may have to be judged
}

type keptSchedule struct {
	id     string
	spec   *ScheduleSpec
	times  *timetable
	offer  *Event             // the first
	ack    *Event             // the first
	cancel *Event             // the first call that may have ended it
	over   *Event             // the first answer that says that it has ended
	end    *Event             // view of its end
	list   *Event             // of its job, after that
	runs   map[int64]*keptRun // by their times, in seconds of Unix time
	one    time.Time          // one of its times, or where these are counted from; zero: none is known
	// Times that came while it was calm, and the next one that may.
	owed []time.Time
	next time.Time
}

type keptRun struct {
	shown   *Event // the first
	created *Event // view that tells when
	ended   *Event
}

const (
	// onTime is how late a run is that is late.
	onTime = time.Minute
	// runWithin is how long it may take, without faults, until a time that has come is run.
	runWithin = 5 * time.Second
	// maxOwed is how many times of a schedule are remembered.
	maxOwed = 10_000
	// maxGaps is how many times are looked at between two runs.
	maxGaps = 100_000
)

func newSchedulesKept(cfg *Config, c *calm) *schedulesKept {
	return &schedulesKept{
		oracle: oracle{"schedules-kept", "A schedule is run once at each of its times, and at no others, as it says that it catches up."},
		cfg:    cfg, calm: c, clock: historyClock{wall: cfg.Wall}, schedules: make(map[string]*keptSchedule), submitted: make(map[string]bool),
	}
}

// Observe implements Oracle.
func (o *schedulesKept) Observe(e *Event, j *Judge) {
	o.clock.observe(e)
	if e.Kind == SubmitCall && e.Spec.Schedule != nil && o.schedules[e.Task] == nil {
		o.schedules[e.Task] = &keptSchedule{
			id: e.Task, spec: e.Spec.Schedule, times: newTimetable(e.Spec.Schedule), offer: e, runs: make(map[int64]*keptRun),
		}
	}
	if len(o.schedules) == 0 || e.Kind.Reply() && e.Invoked < o.floor {
		return
	}
	o.look(e.At)
	switch e.Kind {
	case ControllerCrash:
		if o.cfg.AllowLossAfterRestart {
			clear(o.schedules)
			o.floor = e.Seq
		}
	case SubmitCall:
		if _, _, is := runOf(e.Task); !is {
			o.submitted[e.Task] = true
		}
	case SubmitReply:
		if s := o.schedules[e.Task]; s != nil && s.ack == nil && e.Answer.acknowledges() {
			s.ack = e
			o.await(s, e.At)
		}
	case CancelCall:
		for _, id := range sortedKeys(o.schedules) {
			if s := o.schedules[id]; s.cancel == nil && (e.Task == id || e.Task == "" && e.Job == s.offer.Job) {
				s.cancel = e
			}
		}
	case CancelReply:
		if s := o.schedules[e.Task]; s != nil && s.over == nil && (e.Answer == Cancelled || e.Answer == AlreadyTerminal) {
			s.over = e
		}
	case ReadReply:
		if e.View == nil {
			break
		}
		if s := o.schedules[e.Task]; s == nil {
			o.shown(e, j)
		} else if e.View.Terminal() && s.end == nil {
			s.end = e
		}
	case GrantReply:
		o.shown(e, j)
	case ListEnd:
		o.listed(e)
	default:
	}
}

// await has the next time of a schedule be looked at that comes after a time of the history, if it is known.
func (o *schedulesKept) await(s *keptSchedule, from time.Duration) {
	began, known := o.clock.at(from)
	if !known || o.cfg.Sleeps || s.times == nil || s.ack == nil {
		return
	}
	if s.one.IsZero() { // If it was created in one second for certain, its times are counted from there.
		if offered, _ := o.clock.at(s.offer.At); s.times.every > 0 && offered.Truncate(time.Second).Equal(began.Truncate(time.Second)) {
			s.one = offered.Truncate(time.Second)
		}
	}
	if o.cfg.MayFill || s.times.every > 0 && s.one.IsZero() {
		return
	}
	s.next, _ = s.times.after(began, s.one)
	o.nextLook = 0
}

// look takes note of times that came while it was calm, so long ago that they must have been run.
func (o *schedulesKept) look(now time.Duration) {
	if now < o.nextLook {
		return
	}
	o.nextLook = 1<<63 - 1
	for _, s := range o.schedules { // order-free: each for itself
		for s.cancel == nil && !s.next.IsZero() {
			from, _ := o.clock.since(s.next)
			if by := from + o.calm.slack(runWithin); by >= now {
				o.nextLook = min(o.nextLook, by)
				break
			}
			if s.spec.Overlaps && len(s.owed) < maxOwed && o.calm.between(from, now) {
				s.owed = append(s.owed, s.next)
			}
			s.next, _ = s.times.after(s.next, s.next)
		}
	}
}

// shown judges a task that may be a run.
func (o *schedulesKept) shown(e *Event, j *Judge) {
	id, at, ok := runOf(e.Task)
	s := o.schedules[id]
	if s == nil || o.submitted[e.Task] {
		return
	}
	j.Check()
	if !ok {
		j.Violated(e.Task, "is there as a run of schedule "+id+", and is not called as its runs are", s.offer, e)
		return
	}
	r := s.runs[at.Unix()]
	if r == nil {
		r = &keptRun{shown: e}
		s.runs[at.Unix()] = r
		o.first(s, at, e, j)
	}
	if now, known := o.clock.at(e.At); known && now.Before(at) {
		j.Violated(e.Task, fmt.Sprintf("is there %v before its time", at.Sub(now)), e)
	}
	if e.Kind != ReadReply {
		return
	}
	if r.created == nil {
		r.created = e
		s.creation(at, e, j)
	}
	if e.View.Terminal() && r.ended == nil {
		r.ended = e
	}
}

// first judges a run that is shown for the first time.
func (o *schedulesKept) first(s *keptSchedule, at time.Time, e *Event, j *Judge) {
	if s.one.IsZero() {
		s.one = at
		o.await(s, e.At)
	}
	if s.times != nil && !s.times.has(at, s.one) {
		j.Violated(e.Task, fmt.Sprintf("is a run at %v of schedule %s, whose times are %s from %v on", at, s.id, s.spec.Cron, s.one), s.offer, s.ack, e)
	}
	if s.over == nil || o.cfg.mayForget(e.At-s.over.At) { // It may have been created again.
		return
	}
	if ended, known := o.clock.at(s.over.At); known && at.After(ended) {
		j.Violated(e.Task, fmt.Sprintf("is run at %v, and its schedule had been cancelled at %v", at, ended), s.over, e)
	}
}

// creation judges when the controller says that it has created a run.
func (s *keptSchedule) creation(at time.Time, e *Event, j *Judge) {
	created := time.UnixMilli(e.Submitted)
	late := created.Sub(at)
	switch {
	case e.Submitted == 0:
	case late < 0:
		j.Violated(e.Task, fmt.Sprintf("was created %v before its time", -late), e)
	case s.spec.CatchUp == frayv1.CatchUp_CATCH_UP_NONE && late > onTime:
		j.Violated(e.Task, fmt.Sprintf("was created %v after its time, and its schedule catches up with none", late), s.offer, e)
	case s.spec.CatchUp == frayv1.CatchUp_CATCH_UP_LAST && s.times != nil:
		if next, some := s.times.after(at, at); some && !next.After(created) {
			j.Violated(e.Task, fmt.Sprintf("was created at %v, when another time had come, %v, and its schedule catches up with the last", created.UTC(), next), s.offer, e)
		}
	}
}

// listed notes lists on which all runs of a schedule are.
func (o *schedulesKept) listed(e *Event) {
	if len(e.Statuses) > 0 || o.cfg.mayForget(e.At) {
		return
	}
	for _, s := range o.schedules { // order-free: each for itself
		if s.list == nil && s.end != nil && e.follows(s.end.Seq) && (e.Job == "" || e.Job == s.offer.Job) {
			s.list = e
		}
	}
}

// Finish implements Oracle.
func (o *schedulesKept) Finish(_ time.Duration, j *Judge) {
	for _, id := range sortedKeys(o.schedules) {
		s := o.schedules[id]
		runs := make([]time.Time, 0, len(s.runs))
		for at := range s.runs { // order-free: sorted below
			runs = append(runs, time.Unix(at, 0).UTC())
		}
		slices.SortFunc(runs, time.Time.Compare)
		s.inTurn(runs, j)
		if s.list != nil && s.spec.Overlaps && s.times != nil {
			o.complete(s, runs, j)
		}
	}
}

// inTurn judges when runs were created by when others ended, and by when the schedule did.
func (s *keptSchedule) inTurn(runs []time.Time, j *Judge) {
	var before *keptRun
	for _, at := range runs {
		r := s.runs[at.Unix()]
		if r.created == nil || r.created.Submitted == 0 {
			continue
		}
		j.Check()
		if s.end != nil && s.end.Ended > 0 && r.created.Submitted > s.end.Ended {
			j.Violated(r.created.Task, fmt.Sprintf("was created %v after its schedule had ended", time.Duration(r.created.Submitted-s.end.Ended)*time.Millisecond), s.end, r.created)
		}
		if before != nil && before.created.Submitted > r.created.Submitted {
			j.Violated(before.created.Task, fmt.Sprintf("was created %v after that of a later time", time.Duration(before.created.Submitted-r.created.Submitted)*time.Millisecond), r.created, before.created)
		}
		if !s.spec.Overlaps && before != nil && before.ended != nil && before.ended.Ended > r.created.Submitted {
			j.Violated(r.created.Task, fmt.Sprintf("was created when the run before it was open, which ended %v later, and its schedule has no overlaps",
				time.Duration(before.ended.Ended-r.created.Submitted)*time.Millisecond), before.ended, r.created)
		}
		before = r
	}
}

// complete looks for times that should have been run.
func (o *schedulesKept) complete(s *keptSchedule, runs []time.Time, j *Judge) {
	for _, at := range s.owed {
		j.Check()
		if s.runs[at.Unix()] == nil {
			j.Violated(s.id, fmt.Sprintf("was not run at %v, which came when nothing was faulty", at), s.ack, s.end, s.list)
			return // The others are the same mistake.
		}
	}
	if s.spec.CatchUp != frayv1.CatchUp_CATCH_UP_ALL || len(runs) == 0 {
		return
	}
	last := runs[len(runs)-1]
	at, some := runs[0], true
	// With a clock that is not set, what comes after the acknowledgement comes after the creation.
	if since, known := o.clock.at(o.since(s)); known && !o.cfg.Sleeps {
		at, some = s.times.after(since, runs[0])
	}
	for range maxGaps {
		if !some || !at.Before(last) {
			return
		}
		j.Check()
		if s.runs[at.Unix()] == nil {
			j.Violated(s.id, fmt.Sprintf("was not run at %v, and was run later, at %v; it catches up with all", at, last), s.ack, s.runs[last.Unix()].shown, s.list)
			return
		}
		at, some = s.times.after(at, at)
	}
}

// since is when a schedule was there, at the latest.
func (o *schedulesKept) since(s *keptSchedule) time.Duration {
	if s.ack != nil {
		return s.ack.At
	}
	return s.end.At
}

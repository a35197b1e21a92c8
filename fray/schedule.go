package fray

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
)

// Schedule names a schedule, which submits a task at each of its times, see [Task.Schedule]. It is a small value; who uses it
// asks the job context of the context it is used with.
type Schedule struct{ id, name string }

// ScheduleInfo is a schedule as it stands at the controller.
type ScheduleInfo struct {
	Schedule

	// Function and JobID are those of its runs.
	Function string
	JobID    string
	// Cron, TimeZone, CatchUp and Overlaps are as it was created with. TimeZone is empty if its times are in UTC; CatchUp is
	// negative if it is one that this release does not know.
	Cron     string
	TimeZone string
	CatchUp  CatchUp
	Overlaps bool
	// Next is its next time; zero: there is none.
	Next time.Time
	// LastRunID is the task of the last time that was run, for [Attach], and LastRun is that time. Empty and zero: none was.
	LastRunID string
	LastRun   time.Time
	// Runs counts the times that were run, Missed those that have passed and were not.
	Runs   uint64
	Missed uint64
}

// Schedule has the controller of ctx's job context submit the task with an input at the times that a cron line tells, until
// the schedule is deleted. It returns once that is kept; the client is needed no longer.
//
// The line has five fields as in crontab(5): minute, hour, day of month, month and day of week, such as "0 3 * * mon-fri".
// Where both days are given, either will do. It may be a macro such as "@daily", or "@every 90s", from a second on. Its times
// are in UTC, or see [WithTimeZone]. A time that clocks skip as they are set ahead comes within the hour after that; one that
// they show twice comes once, unless the line takes any hour. A line that never comes is refused.
//
// The name, of 1 to 128 letters, digits and ._:/-, the first a letter or a digit, is the schedule's among those of the same owner,
// whichever jobs they are of. If there is a schedule under it with the same line, input and options, that is returned, so that a
// program may create its schedules each time it starts; its runs go on being those of the job that it was created in. If there is
// another, the error is [ErrAlreadyExists]: delete it first.
//
// A run is a task of the job, with the id of the schedule, a slash and its time in UTC, such as
// 01M84R5VN6Z4MTD6CR6ZHFNQ1N/2026-11-30T03:00:00Z. It finds that in [InTask]. There is one run for each time, or none: a
// time that comes while the last run has not ended is missed, unless there is [WithOverlap], and of those that have passed while
// the controller was away [WithCatchUp] says which are run. Where the controller's queue is full, a run comes later. The results of
// runs are kept as those of other tasks.
//
// A schedule needs nothing: an input with a [Future] or a [Ref] is an error, and it may have 64 KiB at most. It is a task that
// waits, by its id, and ends with its job, see [JobContext.Cancel]. Schedule blocks while the controller is away or has no
// room for another one, for as long as ctx lives: there are 1,000 for one owner. On the sync and threadpool backends the error is
// [ErrNoSchedules].
func (t *Task[In, Out]) Schedule(ctx context.Context, name, cron string, in In, opts ...ScheduleOption) (*Schedule, error) {
	id, err := t.schedule(ctx, name, cron, in, opts)
	if err != nil {
		return nil, fmt.Errorf("schedule %s as %.140q: %w", t.name, name, err)
	}
	return &Schedule{id: id, name: name}, nil
}

func (t *Task[In, Out]) schedule(ctx context.Context, name, cron string, in In, opts []ScheduleOption) (id string, err error) {
	jc, err := FromContext(ctx)
	if err != nil {
		return "", err
	}
	keeper, err := jc.scheduleKeeper()
	if err != nil {
		return "", err
	}
	config, err := configureSchedule(&t.config, opts)
	if err != nil {
		return "", err
	}
	if err := checkID("schedule name", name); err != nil {
		return "", err
	}
	c := &call{id: config.call.taskID, function: t, config: &config.call, jc: jc}
	if c.id == "" {
		c.id = newID(jc.rand)
	}
	if c.input, err = t.input.encode(in, needless{}); err != nil {
		return "", &UndecodableError{Function: t.name, What: "input", Encoding: t.input.encoding, Err: err}
	}
	if n := len(c.input.Data); n > limit.SchedulePayload {
		return "", fmt.Errorf("input of %d bytes is larger than %d, which is what a schedule may have: have its runs read it from elsewhere", n, limit.SchedulePayload)
	}
	spec := c.newSpec()
	spec.Schedule = &frayv1.ScheduleSpec{Name: name, Cron: cron, TimeZone: config.zone, CatchUp: catchUps[config.catchUp].wire, Overlaps: config.overlaps}
	if id, err = keeper.createSchedule(ctx, spec); err != nil {
		return "", jc.because(nil, err)
	}
	return id, nil
}

// needless is shown what the input of a schedule has that it would need. It refuses all of it.
type needless struct{}

func (needless) meetFuture(f *call) error {
	return fmt.Errorf("the future of task %s: a schedule needs no tasks: get its value and pass that", f.id)
}

func (needless) meetRef(id string) error {
	return fmt.Errorf("the ref to object %.12s: a schedule needs no objects, which may be gone when its time comes: pass the value, or have its runs read it from elsewhere", id)
}

func (needless) again() bool   { return false }
func (needless) ordered() bool { return false }

// scheduleKeeper is a backend that has schedules: one with a controller.
type scheduleKeeper interface {
	// createSchedule submits a schedule, and returns its id, or that of one which is there under its name.
	createSchedule(ctx context.Context, spec *frayv1.TaskSpec) (id string, err error)
	listSchedules(ctx context.Context, req *frayv1.ListSchedulesRequest) (*frayv1.ListSchedulesResponse, error)
	// deleteSchedule asks for a schedule to end. ErrUnknownSchedule: there is none.
	deleteSchedule(ctx context.Context, id string) error
}

func (jc *JobContext) scheduleKeeper() (scheduleKeeper, error) {
	k, ok := jc.backend.(scheduleKeeper)
	if !ok {
		return nil, fmt.Errorf("%w; this job context is of kind %s", ErrNoSchedules, jc.kind)
	}
	return k, nil
}

// FindSchedule returns the schedule of a name, of those of the caller that have not ended. The error is [ErrUnknownSchedule] if there
// is none, and [ErrNoSchedules] on a backend without a controller.
func FindSchedule(ctx context.Context, name string) (ScheduleInfo, error) {
	info, err := findSchedule(ctx, name)
	if err != nil {
		return ScheduleInfo{}, fmt.Errorf("find schedule %.140q: %w", name, err)
	}
	return info, nil
}

func findSchedule(ctx context.Context, name string) (ScheduleInfo, error) {
	jc, err := FromContext(ctx)
	if err != nil {
		return ScheduleInfo{}, err
	}
	keeper, err := jc.scheduleKeeper()
	if err != nil {
		return ScheduleInfo{}, err
	}
	if err := checkID("schedule name", name); err != nil {
		return ScheduleInfo{}, err
	}
	res, err := keeper.listSchedules(ctx, &frayv1.ListSchedulesRequest{Name: name})
	if err != nil {
		return ScheduleInfo{}, jc.because(nil, err)
	}
	for _, s := range res.GetSchedules() {
		if s.GetName() == name {
			return scheduleInfo(s), nil
		}
	}
	return ScheduleInfo{}, ErrUnknownSchedule
}

// schedulePage is how many schedules one call lists.
const schedulePage = 1000

// Schedules ranges over the schedules that have not ended, oldest first, of all jobs that the caller may read. It asks the controller as it
// goes. An error ends it: [ErrNoSchedules] on a backend without a controller.
func (jc *JobContext) Schedules(ctx context.Context) iter.Seq2[ScheduleInfo, error] {
	return func(yield func(ScheduleInfo, error) bool) {
		fail := func(err error) { yield(ScheduleInfo{}, fmt.Errorf("list schedules: %w", err)) }
		keeper, err := jc.scheduleKeeper()
		if err != nil {
			fail(err)
			return
		}
		req := &frayv1.ListSchedulesRequest{PageSize: schedulePage}
		for {
			res, err := keeper.listSchedules(ctx, req)
			if err != nil {
				fail(jc.because(nil, err))
				return
			}
			for _, s := range res.GetSchedules() {
				if !yield(scheduleInfo(s), nil) {
					return
				}
			}
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				return
			}
		}
	}
}

func scheduleInfo(s *frayv1.Schedule) ScheduleInfo {
	return ScheduleInfo{
		Schedule: Schedule{id: s.GetScheduleId(), name: s.GetName()}, Function: s.GetFunction(), JobID: s.GetJobId(),
		Cron: s.GetCron(), TimeZone: s.GetTimeZone(), CatchUp: catchUpOf(s.GetCatchUp()), Overlaps: s.GetOverlaps(),
		Next: instant(s.GetNextUnixMs()), LastRunID: s.GetLastRunId(), LastRun: instant(s.GetLastRunUnixMs()),
		Runs: s.GetRunCount(), Missed: s.GetMissedCount(),
	}
}

// instant is a time that the wire has, in UTC; 0: none.
func instant(unixMilli int64) time.Time {
	if unixMilli == 0 {
		return time.Time{}
	}
	return time.UnixMilli(unixMilli).UTC()
}

// ID returns the id of the schedule: that of the task that it is.
func (s Schedule) ID() string { return s.id }

// Name returns the name of the schedule.
func (s Schedule) Name() string { return s.name }

// String names the schedule.
func (s Schedule) String() string { return fmt.Sprintf("schedule %s (%s)", s.name, s.id) }

// Delete ends the schedule: nothing is submitted at its times from then on, and its name is free. Runs of it go on. Delete returns nil
// if it has ended, and [ErrUnknownSchedule] if it is not known, or no longer.
func (s Schedule) Delete(ctx context.Context) error {
	if err := s.delete(ctx); err != nil {
		return fmt.Errorf("delete %s: %w", s, err)
	}
	return nil
}

func (s Schedule) delete(ctx context.Context) error {
	jc, err := FromContext(ctx)
	if err != nil {
		return err
	}
	keeper, err := jc.scheduleKeeper()
	if err != nil {
		return err
	}
	if s.id == "" {
		return errors.New("the schedule is empty: it is none that was created or found")
	}
	if err := keeper.deleteSchedule(ctx, s.id); err != nil {
		return jc.because(nil, err)
	}
	return nil
}

package corewire

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/core"
	storev1 "github.com/frayrpc/fray/gen/fray/store/v1"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/crontab"
)

// Schedule returns what a checked spec says of the schedule that it is; nil: it is none.
func Schedule(s *frayv1.TaskSpec) *core.NewSchedule {
	x := s.GetSchedule()
	if x == nil {
		return nil
	}
	return &core.NewSchedule{
		Name: x.GetName(), Times: times(x.GetCron(), x.GetTimeZone()), CatchUp: core.CatchUp(x.GetCatchUp()), //nolint:gosec // Known ones.
		Overlaps: x.GetOverlaps(),
	}
}

// ScheduleMessage returns a schedule's view as a message.
func ScheduleMessage(v *core.ScheduleView) *frayv1.Schedule {
	line, zone := lineAndZone(v.Times)
	m := &frayv1.Schedule{
		ScheduleId: v.ID, Name: v.Name, Function: v.Function, JobId: v.Job, Cron: line, TimeZone: zone, CatchUp: frayv1.CatchUp(v.CatchUp), Overlaps: v.Overlaps,
		LastRunId: v.LastID, LastRunUnixMs: v.LastRun.UnixMilli(), RunCount: v.Runs, MissedCount: v.Missed,
	}
	if v.Next < core.Never {
		m.NextUnixMs = v.Next.UnixMilli()
	}
	return m
}

const zoneMark = " in "

// times is how the core knows the times of a schedule, which it also shows.
func times(line, zone string) string {
	if zone == "" {
		return line
	}
	return line + zoneMark + zone
}

func lineAndZone(times string) (line, zone string) {
	line, zone, _ = strings.Cut(times, zoneMark)
	return line, zone
}

// maxTimetables is how many Timetables keep that they have read.
const maxTimetables = 4096

// Timetables tell the times of schedules. They are for one goroutine.
type Timetables struct{ read map[string]*crontab.Times }

// Following is for [core.Config].
func (x *Timetables) Following(times string, after core.Time) core.Time {
	t := x.read[times]
	if t == nil {
		var err error
		if t, err = crontab.Parse(lineAndZone(times)); err != nil {
			return core.Never
		}
		if x.read == nil || len(x.read) >= maxTimetables {
			x.read = make(map[string]*crontab.Times)
		}
		x.read[times] = t
	}
	next, ok := t.After(time.Unix(0, int64(after)))
	if !ok {
		return core.Never
	}
	return core.Time(next.UnixNano())
}

// Run is for [core.Config]: the record of a schedule's run.
func Run(schedule []byte, id string, at, now core.Time) []byte {
	r := &storev1.TaskRecord{}
	if proto.Unmarshal(schedule, r) != nil {
		return nil
	}
	r.SubmittedUnixNs = int64(now)
	r.Spec.TaskId, r.Spec.Schedule, r.Spec.NotBeforeUnixMs = id, nil, at.UnixMilli()
	record, err := proto.Marshal(r)
	if err != nil {
		return nil
	}
	return record
}

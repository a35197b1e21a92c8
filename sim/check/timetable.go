package check

import (
	"strings"
	"time"

	"github.com/frayrpc/fray/internal/crontab"
)

// A timetable tells the times of a schedule.
type timetable struct {
	// Above 0: each time is so long after the one before, and the first depends on when the schedule was created.
	every time.Duration
	times *crontab.Times
}

// newTimetable returns that of a schedule, or nil if there is no telling.
func newTimetable(s *ScheduleSpec) *timetable {
	if text, is := strings.CutPrefix(s.Cron, "@every "); is {
		every, err := time.ParseDuration(text)
		if err != nil || every < time.Second || every%time.Second != 0 {
			return nil
		}
		return &timetable{every: every}
	}
	times, err := crontab.Parse(s.Cron, s.Zone)
	if err != nil {
		return nil
	}
	return &timetable{times: times}
}

// has says whether an instant is one of the times, where another is one.
func (t *timetable) has(at, other time.Time) bool {
	if t.every > 0 {
		return at.Sub(other)%t.every == 0
	}
	next, some := t.times.After(at.Add(-time.Second))
	return some && next.Equal(at)
}

// after returns the first time after an instant, where another instant is a time, and whether there is one.
func (t *timetable) after(at, other time.Time) (time.Time, bool) {
	if t.every == 0 {
		return t.times.After(at)
	}
	next := other.Add(at.Sub(other).Truncate(t.every))
	for !next.After(at) {
		next = next.Add(t.every)
	}
	return next, true
}

package check_test

import (
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/sim/check"
)

// timesOf is the specification of a schedule.
type timesOf struct {
	cron     string
	catchUp  frayv1.CatchUp
	overlaps bool
}

func (x timesOf) spec() *frayv1.TaskSpec {
	return &frayv1.TaskSpec{TaskId: "s", Function: "f", Schedule: &frayv1.ScheduleSpec{Name: "s", Cron: x.cron, CatchUp: x.catchUp, Overlaps: x.overlaps}}
}

// runSpec is that of its run.
func (x timesOf) runSpec(at time.Duration) edit {
	return func(e *check.Event) {
		t := x.spec()
		t.Schedule, t.NotBeforeUnixMs = nil, begin.Add(at).UnixMilli()
		e.Spec = check.NewSpec(t)
	}
}

func runID(at time.Duration) string { return "s/" + begin.Add(at).UTC().Format("2006-01-02T15:04:05Z") }

// planned has a schedule created, and then ended, by which all of its runs have ended.
func planned(x timesOf, then func(s *script, x timesOf)) func(*script) {
	return func(s *script) {
		s.slots = 16
		s.register("w")
		s.submit("s", func(e *check.Event) { e.Spec = check.NewSpec(x.spec()) })
		then(s, x)
		if !s.planned {
			s.endSchedule()
		}
	}
}

// endSchedule has the schedule cancelled, and its job listed.
func (s *script) endSchedule() {
	s.planned = true
	s.cancel("s", check.Cancelled)
	s.view("s", cancelled, 0, s.stamped(0, s.now))
	e := s.begin().reply(check.ListEnd)
	e.Job = "j"
	e.List = append([]string{"s"}, s.listed...)
	s.Add(e)
}

// stamped tells when a task was created and ended.
func (*script) stamped(created, ended time.Duration) edit {
	return func(e *check.Event) {
		e.Submitted, e.Ended = begin.Add(created).UnixMilli(), begin.Add(ended).UnixMilli()
	}
}

// runs has a run of the schedule be granted and end at once, which was created when its time had been for so long.
func (s *script) runs(x timesOf, at, late time.Duration) { s.runsAs(x, runID(at), at, late) }

func (s *script) runsAs(x timesOf, id string, at, late time.Duration) {
	s.now = max(s.now, at+late)
	s.grant("w", id, 1, x.runSpec(at))
	s.start("w", id, 1)
	s.end("w", id, 1, "1")
	s.report("w", id, 1, succeeded, check.Accepted, digest("1"))
	s.view(id, completed, 1, digest("1"), s.stamped(at+late, s.now))
	s.listed = append(s.listed, id)
}

// onTime has several runs be on time.
func onTime(times ...time.Duration) func(s *script, x timesOf) {
	return func(s *script, x timesOf) {
		for _, t := range times {
			s.runs(x, t, 0)
		}
	}
}

const (
	lastOfThem = frayv1.CatchUp_CATCH_UP_LAST
	allOfThem  = frayv1.CatchUp_CATCH_UP_ALL
	noneOfThem = frayv1.CatchUp_CATCH_UP_NONE
)

// schedulePlants are about the runs of schedules.
var schedulePlants = []plant{
	{
		oracle: "schedules-kept", name: "early", want: "is there 1s before its time", cfg: atBegin,
		good: planned(timesOf{"@every 10s", allOfThem, true}, onTime(10*time.Second)),
		bad:  planned(timesOf{"@every 10s", allOfThem, true}, func(s *script, x timesOf) { s.runs(x, 10*time.Second, -time.Second) }),
	},
	{
		oracle: "schedules-kept", name: "created early, by a clock that may be set", want: "was created 1s before its time",
		good: planned(timesOf{"@every 10s", allOfThem, true}, onTime(10*time.Second)),
		bad:  planned(timesOf{"@every 10s", allOfThem, true}, func(s *script, x timesOf) { s.runs(x, 10*time.Second, -time.Second) }),
	},
	{
		oracle: "schedules-kept", name: "adrift", want: "whose times are @every 10s from",
		good: planned(timesOf{"@every 10s", lastOfThem, true}, onTime(13*time.Second, 23*time.Second, 43*time.Second)),
		bad:  planned(timesOf{"@every 10s", lastOfThem, true}, onTime(13*time.Second, 23*time.Second, 44*time.Second)),
	},
	{
		oracle: "schedules-kept", name: "at no time of its line", want: "whose times are */5 * * * *",
		good: planned(timesOf{"*/5 * * * *", lastOfThem, true}, onTime(5*time.Minute, 10*time.Minute)),
		bad:  planned(timesOf{"*/5 * * * *", lastOfThem, true}, onTime(5*time.Minute, 11*time.Minute)),
	},
	{
		oracle: "schedules-kept", name: "called otherwise", want: "is not called as its runs are",
		good: planned(timesOf{"@every 10s", allOfThem, true}, onTime(10*time.Second)),
		bad: planned(timesOf{"@every 10s", allOfThem, true}, func(s *script, x timesOf) {
			s.runs(x, 10*time.Second, 0)
			s.runsAs(x, "s/"+begin.Add(10*time.Second).Format("2006-01-02T15:04:05.0Z"), 10*time.Second, 0)
		}),
	},
	{
		oracle: "schedules-kept", name: "cancelled", want: "and its schedule had been cancelled", cfg: atBegin,
		good: planned(timesOf{"@every 10s", lastOfThem, true}, func(s *script, x timesOf) {
			s.wait(25 * time.Second)
			s.endSchedule()
			s.runs(x, 20*time.Second, 0) // It was created before that, and waited.
		}),
		bad: planned(timesOf{"@every 10s", lastOfThem, true}, func(s *script, x timesOf) {
			s.wait(25 * time.Second)
			s.endSchedule()
			s.runs(x, 30*time.Second, 0)
		}),
	},
	{
		oracle: "schedules-kept", name: "created after its end, by a clock that may be set", want: "was created 1s after its schedule had ended",
		good: planned(timesOf{"@every 10s", allOfThem, true}, func(s *script, x timesOf) {
			s.wait(20 * time.Second)
			s.endSchedule()
			s.runs(x, 20*time.Second, 0)
		}),
		bad: planned(timesOf{"@every 10s", allOfThem, true}, func(s *script, x timesOf) {
			s.wait(20 * time.Second)
			s.endSchedule()
			s.runs(x, 20*time.Second, time.Second)
		}),
	},
	{
		oracle: "schedules-kept", name: "late, and none is to be", want: "and its schedule catches up with none",
		good: planned(timesOf{"@every 10s", noneOfThem, true}, func(s *script, x timesOf) { s.runs(x, 10*time.Second, time.Minute) }),
		bad:  planned(timesOf{"@every 10s", noneOfThem, true}, func(s *script, x timesOf) { s.runs(x, 10*time.Second, time.Minute+time.Second) }),
	},
	{
		oracle: "schedules-kept", name: "not the last", want: "when another time had come",
		good: planned(timesOf{"@every 10s", lastOfThem, true}, func(s *script, x timesOf) { s.runs(x, 10*time.Second, 9*time.Second) }),
		bad:  planned(timesOf{"@every 10s", lastOfThem, true}, func(s *script, x timesOf) { s.runs(x, 10*time.Second, 10*time.Second) }),
	},
	{
		oracle: "schedules-kept", name: "at once", want: "was created when the run before it was open",
		good: planned(timesOf{"@every 10s", allOfThem, false}, func(s *script, x timesOf) {
			s.runs(x, 10*time.Second, 10*time.Second)
			s.runs(x, 20*time.Second, 0)
		}),
		bad: planned(timesOf{"@every 10s", allOfThem, false}, func(s *script, x timesOf) {
			s.now = 21 * time.Second
			s.runs(x, 10*time.Second, 0)
			s.runs(x, 20*time.Second, 0)
		}),
	},
	{
		oracle: "schedules-kept", name: "out of turn", want: "was created 10s after that of a later time",
		good: planned(timesOf{"@every 10s", allOfThem, true}, func(s *script, x timesOf) {
			s.runs(x, 10*time.Second, 20*time.Second)
			s.runs(x, 20*time.Second, 10*time.Second)
		}),
		bad: planned(timesOf{"@every 10s", allOfThem, true}, func(s *script, x timesOf) {
			s.runs(x, 20*time.Second, 0)
			s.runs(x, 10*time.Second, 20*time.Second)
		}),
	},
	{
		oracle: "schedules-kept", name: "one left out of all", want: "it catches up with all", cfg: check.Config{FirstFault: time.Nanosecond},
		good: planned(timesOf{"@every 10s", allOfThem, true}, onTime(10*time.Second, 20*time.Second, 30*time.Second)),
		bad:  planned(timesOf{"@every 10s", allOfThem, true}, onTime(10*time.Second, 30*time.Second)),
	},
	{
		oracle: "schedules-kept", name: "the first left out of all", want: "it catches up with all", cfg: check.Config{FirstFault: time.Nanosecond, Wall: atBegin.Wall},
		good: planned(timesOf{"*/5 * * * *", allOfThem, true}, onTime(5*time.Minute, 10*time.Minute)),
		bad:  planned(timesOf{"*/5 * * * *", allOfThem, true}, onTime(10*time.Minute)),
	},
	{
		oracle: "schedules-kept", name: "one left out in calm", want: "which came when nothing was faulty", cfg: check.Config{Wall: atBegin.Wall, FirstFault: time.Hour},
		good: planned(timesOf{"*/5 * * * *", lastOfThem, true}, func(s *script, x timesOf) {
			s.runs(x, 5*time.Minute, 0)
			s.runs(x, 10*time.Minute, 0)
			s.wait(time.Second) // Another could still come.
		}),
		bad: planned(timesOf{"*/5 * * * *", lastOfThem, true}, func(s *script, x timesOf) {
			s.runs(x, 5*time.Minute, 0)
			s.now = 10*time.Minute + 6*time.Second
			s.beat("w")
		}),
	},
	{
		oracle: "schedules-kept", name: "none run in calm", want: "which came when nothing was faulty", cfg: check.Config{Wall: atBegin.Wall, FirstFault: time.Hour},
		good: planned(timesOf{"@every 10s", lastOfThem, true}, func(s *script, x timesOf) {
			s.runs(x, 10*time.Second, 0)
			s.wait(6 * time.Second)
		}),
		bad: planned(timesOf{"@every 10s", lastOfThem, true}, func(s *script, _ timesOf) { s.wait(16 * time.Second) }),
	},
	{
		oracle: "schedules-kept", name: "not counted from its creation", want: "from 2000-01-01 00:00:00 +0000 UTC on", cfg: atBegin,
		good: planned(timesOf{"@every 10s", lastOfThem, true}, onTime(10*time.Second)),
		bad:  planned(timesOf{"@every 10s", lastOfThem, true}, onTime(11*time.Second)),
	},
	{
		oracle: "conservation", name: "runs that nobody was shown", want: "the controller counts 2 tasks; clients know of 1",
		good: func(s *script) {
			s.submit("s", func(e *check.Event) { e.Spec = check.NewSpec(timesOf{"@every 10s", allOfThem, true}.spec()) })
			s.cancel("s", check.Cancelled)
			s.view("s", cancelled, 0)
			s.Quiesce()
			s.counts(map[string]uint64{"CANCELLED": 1, "PENDING": 1})
		},
		bad: planned(timesOf{"@every 10s", allOfThem, true}, func(s *script, _ timesOf) {
			s.endSchedule()
			s.Quiesce()
			s.counts(map[string]uint64{"CANCELLED": 1, "PENDING": 1})
		}),
	},
	{
		oracle: "spec-kept", name: "the run of a schedule", want: "was not submitted",
		good: planned(timesOf{"@every 10s", allOfThem, true}, onTime(10*time.Second)),
		bad: planned(timesOf{"@every 10s", allOfThem, true}, func(s *script, x timesOf) {
			s.wait(time.Minute)
			s.runsAs(x, runID(20*time.Second), 10*time.Second, 0)
		}),
	},
	{
		oracle: "never-lost", name: "the run of a schedule", want: "was acknowledged and is unknown now",
		good: planned(timesOf{"@every 10s", allOfThem, true}, func(s *script, x timesOf) {
			s.runs(x, 10*time.Second, 0)
			s.unknown(runID(20 * time.Second))
		}),
		bad: planned(timesOf{"@every 10s", allOfThem, true}, func(s *script, x timesOf) {
			s.runs(x, 10*time.Second, 0)
			s.unknown(runID(10 * time.Second))
		}),
	},
}

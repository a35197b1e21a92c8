package fray_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/frayrpc/fray/fray"
)

// turnouts has the channels on which runs of clockIn tell who they are, by their inputs.
var turnouts sync.Map

// clockIn is the task of the schedules. Its result is its input.
var clockIn = fray.Define("clock-in", func(ctx context.Context, name string) (string, error) {
	info, _ := fray.InTask(ctx)
	if found, ok := turnouts.Load(name); ok {
		turnout, _ := found.(chan fray.TaskInfo)
		select {
		case turnout <- info:
		case <-ctx.Done():
		}
	}
	return name, nil
}, fray.WithPriority(1))

var clockInLater = fray.Define("clock-in-later", func(ctx context.Context, in *fray.Future[string]) (string, error) { return in.Get(ctx) })

func scheduleFunctions() []fray.Function { return []fray.Function{clockIn, clockInLater} }

const yearly = "30 4 29 2 *"

var scheduleTests = []conformanceTest{
	{name: "without a controller there are no schedules", local: true, run: func(t *trial) {
		_, err := clockIn.Schedule(t.ctx, "tick", "@every 1s", "")
		_, err2 := fray.FindSchedule(t.ctx, "tick")
		err3 := fray.Schedule{}.Delete(t.ctx)
		errs := []error{err, err2, err3}
		for _, err := range t.jc.Schedules(t.ctx) {
			errs = append(errs, err)
		}
		for i, err := range errs {
			if !errors.Is(err, fray.ErrNoSchedules) || !strings.Contains(err.Error(), "use the fray backend") || !strings.Contains(err.Error(), string(t.jc.Kind())) {
				t.Errorf("error %d: %v", i, err)
			}
		}
		if len(errs) != 4 {
			t.Errorf("the list has %d errors", len(errs)-3)
		}
	}},
	{name: "a schedule runs its task at its times", remote: true, run: func(t *trial) {
		name := t.jc.JobID() + "/tick"
		turnout := make(chan fray.TaskInfo)
		turnouts.Store(name, turnout)
		s, err := clockIn.Schedule(t.ctx, name, "@every 1s", name, fray.WithRetries(2), fray.WithTaskID(t.jc.JobID()+"/id"))
		if err != nil {
			t.Fatal(err)
		}
		run := <-turnout
		text, ok := strings.CutPrefix(run.TaskID, s.ID()+"/")
		at, err := time.Parse(time.RFC3339, text)
		if !ok || err != nil || s.ID() != t.jc.JobID()+"/id" || run.JobID != t.jc.JobID() || run.MaxAttempts != 3 || time.Since(at) < 0 || run.NotBefore != at {
			t.Errorf("the run is %+v, %v", run, err)
		}
		f, err := fray.Attach[string](t.ctx, run.TaskID)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := f.Get(t.ctx); err != nil || v != name {
			t.Errorf("got %q, %v", v, err)
		}
		info, err := fray.FindSchedule(t.ctx, name)
		if err != nil || info.Runs < 1 || info.LastRun.Before(at) || info.LastRunID != s.ID()+"/"+info.LastRun.Format(time.RFC3339) || !info.Next.After(info.LastRun) {
			t.Errorf("got %+v, %v", info, err)
		}
		if err := s.Delete(t.ctx); err != nil {
			t.Error(err)
		}
	}},
	{name: "a schedule is found, listed and deleted", remote: true, run: func(t *trial) {
		name := t.jc.JobID() + "/leap"
		opts := []fray.ScheduleOption{fray.WithTimeZone("Europe/Berlin"), fray.WithCatchUp(fray.CatchUpNone), fray.WithOverlap()}
		s, err := clockIn.Schedule(t.ctx, name, yearly, "x", opts...)
		if err != nil {
			t.Fatal(err)
		}
		again, err := clockIn.Schedule(t.ctx, name, yearly, "x", opts...)
		if err != nil || *again != *s || s.Name() != name {
			t.Errorf("got %v, %v, want %v", again, err, s)
		}
		if again, err := clockIn.Schedule(t.ctx, name, yearly, "y", opts...); again != nil || !errors.Is(err, fray.ErrAlreadyExists) || !strings.Contains(err.Error(), s.ID()) {
			t.Errorf("got %v, %v", again, err)
		}
		info, err := fray.FindSchedule(t.ctx, name)
		want := fray.ScheduleInfo{
			Schedule: *s, Function: "clock-in", JobID: t.jc.JobID(), Cron: yearly, TimeZone: "Europe/Berlin", CatchUp: fray.CatchUpNone, Overlaps: true, Next: info.Next,
		}
		if _, month, day := info.Next.Date(); err != nil || info != want || month != time.February || day != 29 || info.Next.Hour() != 3 || info.Next.Minute() != 30 {
			t.Errorf("got %+v, %v", info, err)
		}
		listed := 0
		for one, err := range t.jc.Schedules(t.ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if one == want {
				listed++
			}
		}
		if listed != 1 {
			t.Errorf("it is listed %d times", listed)
		}
		if err := errors.Join(info.Delete(t.ctx), s.Delete(t.ctx)); err != nil {
			t.Error(err)
		}
		if info, err := fray.FindSchedule(t.ctx, name); !errors.Is(err, fray.ErrUnknownSchedule) || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, %v", info, err)
		}
		if other, err := clockIn.Schedule(t.ctx, name, yearly, "y"); err != nil || other.ID() == s.ID() {
			t.Errorf("its name is not free: %v, %v", other, err)
		}
		if old, err := clockIn.Schedule(t.ctx, name+"/other", yearly, "z", fray.WithTaskID(s.ID())); old != nil || !errors.Is(err, fray.ErrAlreadyExists) {
			t.Errorf("its id is free: %v, %v", old, err)
		}
	}},
	{name: "a deleted schedule does not come back under its id", remote: true, run: func(t *trial) {
		schedule := func() (*fray.Schedule, error) {
			return clockIn.Schedule(t.ctx, t.jc.JobID()+"/once", yearly, "x", fray.WithTaskID(t.jc.JobID()+"/once"))
		}
		s, err := schedule()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.ctx); err != nil {
			t.Error(err)
		}
		if s, err := schedule(); s != nil || !errors.Is(err, fray.ErrAlreadyExists) || !strings.Contains(err.Error(), "was deleted: choose another task id") {
			t.Errorf("got %v, %v", s, err)
		}
	}},
	{name: "a job that is cancelled has no schedules", remote: true, run: func(t *trial) {
		name := t.jc.JobID() + "/leap"
		if _, err := clockIn.Schedule(t.ctx, name, yearly, "x"); err != nil {
			t.Fatal(err)
		}
		if err := t.jc.Cancel(t.ctx); err != nil {
			t.Error(err)
		}
		if info, err := fray.FindSchedule(t.ctx, name); !errors.Is(err, fray.ErrUnknownSchedule) {
			t.Errorf("got %v, %v", info, err)
		}
	}},
	{name: "what cannot be a schedule is refused", remote: true, run: testNoSchedule},
	{name: "a closed job context refuses schedules", remote: true, run: func(t *trial) {
		if err := t.jc.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err := clockIn.Schedule(t.ctx, "tick", yearly, "x"); s != nil || !errors.Is(err, fray.ErrClosed) {
			t.Errorf("got %v, %v", s, err)
		}
	}},
}

func testNoSchedule(t *trial) {
	open := run(t, echo, "x")
	ref, err := fray.Put(t.ctx, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	of := func(name, line, in string, opts ...fray.ScheduleOption) func() error {
		return func() error {
			_, err := clockIn.Schedule(t.ctx, name, line, in, opts...)
			return err
		}
	}
	for _, tt := range []struct {
		name, want string
		schedule   func() error
	}{
		{"line", `cron line "often": `, of("n", "often", "")},
		{"line that never comes", "it never fires", of("n", "0 0 30 2 *", "")},
		{"zone", `time zone "Mars/Olympus"`, of("n", yearly, "", fray.WithTimeZone("Mars/Olympus"))},
		{"long zone", "time zone", of("n", yearly, "", fray.WithTimeZone(strings.Repeat("x", 65)))},
		{"name", `schedule name "no name" must be`, of("no name", yearly, "")},
		{"catch-up", "CatchUp(3) is no way to catch up", of("n", yearly, "", fray.WithCatchUp(3))},
		{"not before", "WithNotBefore is for tasks", of("n", yearly, "", fray.WithNotBefore(time.Now().Add(time.Hour)))},
		{"option", "retries -1", of("n", yearly, "", fray.WithRetries(-1))},
		{"long id", "has 108 characters", of("n", yearly, "", fray.WithTaskID(strings.Repeat("x", 108)))},
		{"large input", "larger than 65536", of("n", yearly, strings.Repeat("x", 64<<10))},
		{"future", "the future of task " + open.ID() + ": a schedule needs no tasks", func() error {
			_, err := clockInLater.Schedule(t.ctx, "n", yearly, open)
			return err
		}},
		{"ref", "a schedule needs no objects", func() error {
			_, err := lengthOf.Schedule(t.ctx, "n", yearly, ref)
			return err
		}},
	} {
		if err := tt.schedule(); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "schedule ") {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	for info, err := range t.jc.Schedules(t.ctx) {
		t.Errorf("there is %+v, %v", info, err)
	}
	if err := (fray.Schedule{}).Delete(t.ctx); err == nil || !strings.Contains(err.Error(), "the schedule is empty") {
		t.Errorf("delete none: %v", err)
	}
	if info, err := fray.FindSchedule(t.ctx, "no name"); err == nil || errors.Is(err, fray.ErrUnknownSchedule) {
		t.Errorf("find none: %v, %v", info, err)
	}
	if text := fmt.Sprint(fray.CatchUpLast, fray.CatchUpAll, fray.CatchUpNone); text != "last all none" {
		t.Error(text)
	}
}

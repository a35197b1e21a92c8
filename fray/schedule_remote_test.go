package fray_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// A controller of an earlier release would take a schedule for a task, and run it at once.
func TestControllerWithoutSchedulesGetsNone(t *testing.T) {
	t.Parallel()
	fake := newFake()
	withFake(t, fake, func(t *trial) {
		_, err := clockIn.Schedule(t.ctx, "tick", yearly, "x")
		_, err2 := fray.FindSchedule(t.ctx, "tick")
		errs := []error{err, err2}
		for _, err := range t.jc.Schedules(t.ctx) {
			errs = append(errs, err)
		}
		for i, err := range errs {
			if err == nil || !strings.Contains(err.Error(), "the controller is of an earlier release, without schedules, unique tasks and gangs: upgrade it") {
				t.Errorf("error %d: %v", i, err)
			}
		}
		fake.mu.Lock()
		defer fake.mu.Unlock()
		if len(errs) != 3 || len(fake.alone) > 0 {
			t.Errorf("%d errors, and it was given %v", len(errs), fake.alone)
		}
	})
}

func TestScheduleOnTheWire(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.pages = [][]*frayv1.Schedule{nil}
	withFake(t, fake, func(t *trial) {
		s, err := clockIn.Schedule(t.ctx, "tick", "@daily", "x", fray.WithTaskID("s"), fray.WithTimeZone("Asia/Tokyo"), fray.WithRetries(1),
			fray.WithBackoff(time.Second, 1, time.Second), fray.WithLimit(fray.NewLimit("api", fray.MaxConcurrent(1))), fray.WithExecutionTimeout(time.Minute))
		if err != nil || s.ID() != "s" {
			t.Fatal(s, err)
		}
		fake.mu.Lock()
		defer fake.mu.Unlock()
		if len(fake.alone) != 1 {
			t.Fatalf("submissions: %v", fake.alone)
		}
		jitter := 0.2
		want := &frayv1.SubmitTaskRequest{JobId: t.jc.JobID(), Task: &frayv1.TaskSpec{
			TaskId: "s", Function: "clock-in", Payload: &frayv1.Payload{Encoding: "json", Data: []byte(`"x"`)}, Priority: 1, ExecutionTimeoutMs: 60_000,
			RetryPolicy: &frayv1.RetryPolicy{MaxRetries: 1, BackoffBaseMs: 1000, BackoffFactor: 1, BackoffCapMs: 1000, BackoffJitter: &jitter},
			Limits:      []*frayv1.Limit{{Name: "api", MaxConcurrent: 1}},
			Schedule:    &frayv1.ScheduleSpec{Name: "tick", Cron: "@daily", TimeZone: "Asia/Tokyo", CatchUp: frayv1.CatchUp_CATCH_UP_LAST},
		}}
		if !proto.Equal(fake.alone[0], want) {
			t.Errorf("got  %v\nwant %v", fake.alone[0], want)
		}
	})
}

func TestSchedulesAreListedByPages(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.pages = [][]*frayv1.Schedule{
		{{ScheduleId: "a", CatchUp: frayv1.CatchUp_CATCH_UP_ALL}, {ScheduleId: "b", NextUnixMs: 1000, LastRunId: "b/x", LastRunUnixMs: 1, RunCount: 2, MissedCount: 3}},
		{},
		{{ScheduleId: "c", CatchUp: 9}},
	}
	withFake(t, fake, func(t *trial) {
		var ids []string
		for s, err := range t.jc.Schedules(t.ctx) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, s.ID()+" "+s.CatchUp.String())
			if s.ID() == "b" && (s.Next != time.Unix(1, 0).UTC() || s.LastRun != time.UnixMilli(1).UTC() || s.LastRunID != "b/x" || s.Runs != 2 || s.Missed != 3) ||
				s.ID() == "a" && (!s.Next.IsZero() || !s.LastRun.IsZero()) {
				t.Errorf("got %+v", s)
			}
		}
		if text := strings.Join(ids, ", "); text != "a all, b last, c CatchUp(-1)" {
			t.Error(text)
		}
		for _, err := range t.jc.Schedules(t.ctx) {
			if err != nil {
				t.Error(err)
			}
			break // Which asks for no further page.
		}
		fake.mu.Lock()
		asked := fake.listed
		fake.mu.Unlock()
		if asked != 4 {
			t.Errorf("%d pages were asked for", asked)
		}
	})
}

// A program that starts again has another job, and finds its schedules.
func TestScheduleOutlivesItsJobContext(t *testing.T) {
	t.Parallel()
	address := fray.WithControllerAddress(startCluster(t, 1))
	first := newJobContext(t, fray.KindFray, address)
	created, err := clockIn.Schedule(fray.NewContext(t.Context(), first), "leap", yearly, "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := fray.NewContext(t.Context(), newJobContext(t, fray.KindFray, address))
	found, err := clockIn.Schedule(ctx, "leap", yearly, "x")
	if err != nil || *found != *created {
		t.Errorf("got %v, %v, want %v", found, err, created)
	}
	if info, err := fray.FindSchedule(ctx, "leap"); err != nil || info.Schedule != *created || info.JobID != first.JobID() {
		t.Errorf("got %+v, %v", info, err)
	}
}

func TestScheduleNeedsAnAnswerThatNamesIt(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.pages, fake.existing = [][]*frayv1.Schedule{nil}, "no id"
	withFake(t, fake, func(t *trial) {
		if s, err := clockIn.Schedule(t.ctx, "tick", yearly, "x"); s != nil || err == nil || !strings.Contains(err.Error(), `controller answered with no task: task id "no id"`) {
			t.Errorf("got %v, %v", s, err)
		}
		fake.existing = "other"
		s, err := clockIn.Schedule(t.ctx, "tick", yearly, "x")
		if err != nil || s.ID() != "other" || s.String() != "schedule tick (other)" {
			t.Fatal(s, err)
		}
		if err := s.Delete(t.ctx); !errors.Is(err, fray.ErrUnknownSchedule) || !strings.HasPrefix(err.Error(), "delete schedule tick (other): ") {
			t.Errorf("delete what the controller does not know: %v", err)
		}
	})
}

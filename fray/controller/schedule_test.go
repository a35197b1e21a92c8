package controller_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
)

func scheduled(id, name, cron string) *frayv1.TaskSpec {
	s := spec(id)
	s.Schedule = &frayv1.ScheduleSpec{Name: name, Cron: cron}
	return s
}

func (c *cluster) schedules(name string) []*frayv1.Schedule {
	c.t.Helper()
	r, err := c.ListSchedules(c.t.Context(), &frayv1.ListSchedulesRequest{Name: name})
	if err != nil {
		c.t.Fatal(err)
	}
	return r.GetSchedules()
}

// A schedule goes on over a restart of the controller, and its runs are tasks like any other.
func TestScheduleRunsItsTimes(t *testing.T) {
	t.Parallel()
	kept := lasting{store.NewMemory()}
	c := startOn(t, kept)
	submitted := c.mustOffer(scheduled("s", "tick", "@every 1s"))
	if submitted.GetPendingReason() != frayv1.PendingReason_PENDING_REASON_SCHEDULED || submitted.GetNotBeforeUnixMs() <= submitted.GetSubmittedUnixMs() {
		t.Errorf("the schedule is %v", submitted)
	}
	w := c.worker("w")
	first := w.one()
	at := time.UnixMilli(first.GetSpec().GetNotBeforeUnixMs()).UTC()
	if id := first.GetAttempt().GetTaskId(); id != "s/"+at.Format(time.RFC3339) || first.GetSpec().GetSchedule() != nil ||
		string(first.GetSpec().GetPayload().GetData()) != `"s"` || at.UnixMilli() != submitted.GetNotBeforeUnixMs() {
		t.Fatalf("the first run is %v, want at %v", first, submitted.GetNotBeforeUnixMs())
	}
	w.report(succeeded(first, "1"))
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}

	c = startOn(t, kept)
	second := c.worker("w2").one()
	if id := second.GetAttempt().GetTaskId(); !strings.HasPrefix(id, "s/") || id == first.GetAttempt().GetTaskId() {
		t.Errorf("the second run is %v", second)
	}
	all := c.schedules("tick")
	if len(all) != 1 || all[0].GetScheduleId() != "s" || all[0].GetCron() != "@every 1s" || all[0].GetRunCount() < 2 || all[0].GetNextUnixMs() == 0 ||
		all[0].GetJobId() != "job" || all[0].GetFunction() != "f" || all[0].GetLastRunId() != second.GetAttempt().GetTaskId() {
		t.Errorf("schedules: %v", all)
	}
	if run := c.status(first.GetAttempt().GetTaskId()); run.GetStatus() != frayv1.TaskStatus_TASK_STATUS_COMPLETED {
		t.Errorf("the first run is %v", run)
	}
	if v, err := c.CancelTasks(t.Context(), &frayv1.CancelTasksRequest{TaskIds: []string{"s"}}); err != nil || v.GetVerdicts()[0] != frayv1.CancelVerdict_CANCEL_VERDICT_CANCELLED {
		t.Fatalf("delete: %v, %v", v, err)
	}
	if left := c.schedules(""); len(left) > 0 {
		t.Errorf("schedules: %v", left)
	}
}

// A name is one schedule's. Who creates another that is the same gets that one.
func TestScheduleIsGotIfItExists(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	inZone := scheduled("s", "backup", "0 3 * * *")
	inZone.Schedule.TimeZone = "Europe/Berlin"
	c.mustOffer(inZone)
	again := proto.CloneOf(inZone)
	again.TaskId = "t"
	r, err := c.offer(again)
	if err != nil || r.GetCreated() || r.GetTask().GetTaskId() != "s" {
		t.Errorf("got %v, %v", r, err)
	}
	if all := c.schedules(""); len(all) != 1 || all[0].GetCron() != "0 3 * * *" || all[0].GetTimeZone() != "Europe/Berlin" || all[0].GetLastRunId() != "" {
		t.Errorf("schedules: %v", all)
	}
	again.Schedule.Cron = "0 4 * * *"
	_, err = c.offer(again)
	wantRefusal(t, err, wire.ReasonSpecDiffers, `schedule name "backup": there is one under it with another specification: choose another name, or delete that one, s`)
	many, err := c.SubmitTasks(t.Context(), &frayv1.SubmitTasksRequest{JobId: "job", Tasks: []*frayv1.TaskSpec{spec("x"), {
		TaskId: "u", Function: "f", Payload: inZone.GetPayload(), Schedule: inZone.GetSchedule(),
	}}})
	if err != nil || len(many.GetExistingActors()) != 1 || many.GetExistingActors()[0].GetActorId() != "s" || many.GetExistingActors()[0].GetIndex() != 1 {
		t.Errorf("many: %v, %v", many, err)
	}
}

func TestSchedulesThatAreRefused(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	tests := []struct {
		name   string
		change func(*frayv1.TaskSpec)
		want   string
	}{
		{"never", func(s *frayv1.TaskSpec) { s.Schedule.Cron = "0 0 30 2 *" }, `schedule: cron line "0 0 30 2 *": there is no such time, it never fires`},
		{"no line", func(s *frayv1.TaskSpec) { s.Schedule.Cron = "" }, "schedule.cron: must have 1 to 256 characters, has 0"},
		{"no cron line", func(s *frayv1.TaskSpec) { s.Schedule.Cron = "often" }, `schedule: cron line "often": expected exactly 5 fields, found 1: [often]: write minute, hour, day of month, month and day of week, or such as @daily or @every 90s`},
		{"no zone", func(s *frayv1.TaskSpec) { s.Schedule.TimeZone = "Mars/Olympus" }, `schedule: time zone "Mars/Olympus": unknown time zone Mars/Olympus: name one such as Europe/Berlin`},
		{"no name", func(s *frayv1.TaskSpec) { s.Schedule.Name = "" }, "schedule.name: must have 1 to 128 characters, has 0"},
		{"long id", func(s *frayv1.TaskSpec) { s.TaskId = strings.Repeat("x", limit.ScheduleID+1) }, "task_id: that of a schedule must have at most 107 characters, as those of its runs begin with it, has 108"},
		{"large payload", func(s *frayv1.TaskSpec) { s.Payload.Data = make([]byte, limit.SchedulePayload+1) }, "payload.data: that of a schedule must have at most 65536 bytes, has 65537"},
		{"needs", func(s *frayv1.TaskSpec) { s.NeededTaskIds = []string{"x"} }, "needed_task_ids, needed_object_ids and not_before_unix_ms: a schedule has none of them"},
		{"not before", func(s *frayv1.TaskSpec) { s.NotBeforeUnixMs = 1 }, "needed_task_ids, needed_object_ids and not_before_unix_ms: a schedule has none of them"},
		{"actor", func(s *frayv1.TaskSpec) { s.Actor = &frayv1.ActorSpec{} }, "actor, call and schedule: a task is the life of an actor, a call of one, or a schedule, this has two of them"},
		{"catch-up", func(s *frayv1.TaskSpec) { s.Schedule.CatchUp = 9 }, "schedule.catch_up: must be from 0 to 3, is 9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := scheduled("s", "tick", "@every 1s")
			tt.change(s)
			_, err := c.offer(s)
			wantRefusal(t, err, wire.ReasonInvalid, tt.want)
		})
	}
}

package controller

import (
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	storev1 "github.com/frayrpc/fray/gen/fray/store/v1"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// kept is a memory store that is taken for a durable one.
type kept struct{ *store.Memory }

func (kept) Durability() store.Durability { return store.Sync }

// seedRecords are records as they are written.
func seedRecords(tb testing.TB) (spec, state, job, own []byte) {
	tb.Helper()
	var b [4][]byte
	for i, m := range []proto.Message{
		&storev1.TaskRecord{JobId: "j", SubmittedUnixNs: 1, Spec: &frayv1.TaskSpec{
			TaskId: "a", Function: "f", Payload: &frayv1.Payload{Encoding: "json", Data: []byte("{}")}, Priority: -2,
			Resources: map[string]int64{"cpu": 1}, RequiredLabels: map[string]string{"zone": "eu"},
			RetryPolicy: &frayv1.RetryPolicy{MaxRetries: 3, BackoffFactor: 2}, MaxWorkerLosses: proto.Uint32(2),
			ExecutionTimeoutMs: 5, SchedulingTimeoutMs: 1 << 40,
		}},
		&storev1.TaskStateRecord{
			Status: frayv1.TaskStatus_TASK_STATUS_PENDING, Leased: true, AttemptCount: 2, FailureCount: 1, WorkerId: "w", LeaseToken: 1 << 41,
		},
		&storev1.JobRecord{JobId: "j", ForgottenCount: 3},
		&storev1.ControllerRecord{Incarnation: 7},
	} {
		var err error
		if b[i], err = proto.Marshal(m); err != nil {
			tb.Fatal(err)
		}
	}
	return b[0], b[1], b[2], b[3]
}

// FuzzRecover has bytes stand where records should. They are refused as corrupt, or there is a
// scheduler that goes on.
func FuzzRecover(f *testing.F) {
	spec, state, job, own := seedRecords(f)
	f.Add(spec, state, job, own)
	f.Add(spec, []byte{}, []byte{}, []byte{})
	for _, record := range []*storev1.JobRecord{
		{
			JobId: "j", ForgottenCount: 3, ForgottenFailedCount: 2, Failed: true,
			Options: &frayv1.JobOptions{MaxFailed: proto.Uint32(1), Weight: 3},
		},
		{JobId: "j", ForgottenCount: 3, ForgottenFailedCount: 2, Options: &frayv1.JobOptions{MaxFailedShare: 0.25}},
		{
			JobId: "j", Options: &frayv1.JobOptions{ParentJobId: "k", Environment: map[string]string{"A": "1"}},
			InheritedEnvironment: map[string]string{"B": "2"}, ParentForgotten: true,
		},
	} {
		value, err := proto.Marshal(record)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(spec, state, value, own)
		f.Add(spec, []byte{}, value, own)
	}
	f.Add([]byte("\xff"), []byte("\xff"), []byte("\xff"), []byte("\xff"))
	f.Fuzz(func(t *testing.T, spec, state, job, own []byte) {
		s := kept{store.NewMemory()}
		var b store.Batch
		for kind, value := range map[store.RecordKind][]byte{store.Spec: spec, store.State: state, store.Job: job, store.Controller: own} {
			if len(value) > 0 {
				b.Set(store.Key{Kind: kind, Num: 1}, value)
			}
		}
		if err := s.Commit(&b); err != nil {
			t.Fatal(err)
		}
		c, err := New(Config{Store: s})
		if err != nil {
			t.Fatal(err)
		}
		scheduler, err := c.recover()
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) {
				t.Fatalf("%v is no corruption", err)
			}
			return
		}
		var out core.Effects
		now := c.now()
		scheduler.Step(now, &out,
			&core.Submit{Call: 1, Job: "j", Tasks: []core.NewTask{{ID: "b", Shape: &core.Shape{Function: "f"}}}},
			&core.Register{Call: 2, WorkerID: "w", RegistrationID: "r", Functions: []string{"f"}, Held: []core.Held{{Task: "a", Attempt: 2, Token: 1 << 41, Phase: 1}}},
			&core.Watch{Call: 3, Job: "j", Max: 9}, &core.List{Call: 4, Max: 9}, &core.Get{Call: 5, ID: "a"}, &core.Cancel{Call: 6, Job: "j"},
		)
		for i := 0; i < 100 && scheduler.Next() != core.Never; i++ {
			scheduler.Step(max(now, scheduler.Next()), &out)
		}
		if err := scheduler.Check(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzTaskDecoder holds what is picked from a record against the whole of it.
func FuzzTaskDecoder(f *testing.F) {
	spec, _, _, _ := seedRecords(f)
	f.Add(spec)
	f.Add([]byte("\x0a\x06\x0a\x01a\x12\x01f\x12\x01j"))
	for _, spec := range []*frayv1.TaskSpec{
		{TaskId: "a", Function: "f", Schedule: &frayv1.ScheduleSpec{Name: "n", Cron: "0 3 * * *", TimeZone: "Europe/Berlin"}},
		{TaskId: "a", Function: "f", Actor: &frayv1.ActorSpec{Name: "n", MaxConcurrency: 2}},
		{TaskId: "a", Function: "f", Call: &frayv1.ActorCall{ActorId: "b", CallerId: "c", Number: 3}},
		{TaskId: "a", Function: "f", NeededTaskIds: []string{"b"}, NotBeforeUnixMs: 5, Limits: []*frayv1.Limit{{Name: "l", MaxConcurrent: 1}}},
		{TaskId: "a", Function: "f", Unique: &frayv1.UniqueSpec{Key: "k", PeriodMs: 1000}},
		{TaskId: "a", Function: "f", Gang: &frayv1.GangSpec{GangId: "g", Size: 3, Index: 2}},
	} {
		record, err := proto.Marshal(&storev1.TaskRecord{Spec: spec, JobId: "j", SubmittedUnixNs: 1})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(record)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		var d taskDecoder
		var whole storev1.TaskRecord
		if proto.Unmarshal(record, &whole) != nil || wire.CheckSpec(whole.GetSpec()) != nil || wire.CheckID("job_id", whole.GetJobId()) != nil {
			_, _ = d.decode(stored{1, record}) // It may make something of it, but it must not panic.
			return
		}
		if again, err := proto.Marshal(&whole); err != nil || len(again) != len(record) {
			return // No record is written like that: a field comes twice, or is not known.
		}
		for range 2 { // The second time, the shape is known.
			got, err := d.decode(stored{1, record})
			if err != nil {
				t.Fatal(err)
			}
			want := core.Restored{
				Num: 1, ID: whole.GetSpec().GetTaskId(), Job: whole.GetJobId(), Shape: corewire.Shape(whole.GetSpec()),
				SpecBytes: len(record), Submitted: core.Time(whole.GetSubmittedUnixNs()), NeedsTasks: whole.GetSpec().GetNeededTaskIds(),
				NeedsObjects: corewire.Objects(whole.GetSpec().GetNeededObjectIds()), NotBefore: corewire.Time(whole.GetSpec().GetNotBeforeUnixMs()),
				Limits: corewire.Limits(whole.GetSpec().GetLimits()), Schedule: corewire.Schedule(whole.GetSpec()), Unique: corewire.Unique(whole.GetSpec()),
				Gang: corewire.Gang(whole.GetSpec()),
			}
			if want.Actor, want.ActorCall = corewire.Actor(whole.GetSpec()); want.Schedule != nil {
				want.Spec = record
			}
			if !reflect.DeepEqual(*got, want) {
				t.Fatalf("decoded\n%+v, want\n%+v", *got, want)
			}
		}
	})
}

// TestTaskDecoderTellsShapesApart has tasks whose specs differ in what a shape is made of, and in
// what it is not.
func TestTaskDecoderTellsShapesApart(t *testing.T) {
	t.Parallel()
	var d taskDecoder
	var shapes []*core.Shape
	var ids []string
	for i, spec := range []*frayv1.TaskSpec{
		{TaskId: "a", Function: "f"},
		{TaskId: "b", Function: "f", Payload: &frayv1.Payload{Encoding: "raw", Data: []byte("x")}},
		{TaskId: "c", Function: "g"},
		{TaskId: "d", Function: "f", Priority: 1},
		{TaskId: "e", Function: "f"},
	} {
		record, err := proto.Marshal(&storev1.TaskRecord{Spec: spec, JobId: "j"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.decode(stored{uint64(i) + 1, record})
		if err != nil {
			t.Fatal(err)
		}
		clear(record) // Nothing of it is kept.
		shapes, ids = append(shapes, got.Shape), append(ids, got.ID)
		if want := corewire.Shape(spec); !reflect.DeepEqual(got.Shape, want) {
			t.Errorf("task %s has shape %+v, want %+v", spec.GetTaskId(), got.Shape, want)
		}
	}
	if shapes[0] != shapes[1] || shapes[0] != shapes[4] {
		t.Error("equal shapes are made anew")
	}
	if !reflect.DeepEqual(ids, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("ids are %q", ids)
	}
}

package controller

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	storev1 "github.com/frayrpc/fray/gen/fray/store/v1"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// file adds what a record of the scheduler changes to a batch.
func file(b *store.Batch, r *core.Record) error {
	num := uint64(r.Task)
	switch r.Kind {
	case core.RecordSpec:
		b.Set(store.Key{Kind: store.Spec, Num: num}, r.Data)
	case core.RecordEnd:
		if len(r.Data) > 0 {
			b.Set(store.Key{Kind: store.Result, Num: num}, r.Data)
		}
		if r.State != nil {
			return set(b, store.Key{Kind: store.State, Num: num}, stateRecord(r.State))
		}
	case core.RecordState:
		return set(b, store.Key{Kind: store.State, Num: num}, stateRecord(r.State))
	case core.RecordForget:
		for _, kind := range []store.RecordKind{store.Spec, store.State, store.Result} {
			b.Delete(store.Key{Kind: kind, Num: num})
		}
	case core.RecordJob:
		return set(b, store.Key{Kind: store.Job, Num: r.JobNum}, jobRecord(r))
	case core.RecordForgetJob:
		b.Delete(store.Key{Kind: store.Job, Num: r.JobNum})
	case core.RecordObject:
		return set(b, store.Key{Kind: store.Object, Num: uint64(r.Object.Num)}, objectRecord(r.Object))
	case core.RecordPiece:
		b.Set(pieceKey(r.Object.Num, r.Object.From), r.Data)
	case core.RecordForgetPieces:
		for i := r.Object.From; i < r.Object.To; i++ {
			b.Delete(pieceKey(r.Object.Num, i))
		}
	case core.RecordCheckpoint:
		b.Set(store.Key{Kind: store.Checkpoint, Num: num}, r.Data)
	case core.RecordForgetCheckpoint:
		b.Delete(store.Key{Kind: store.Checkpoint, Num: num})
	case core.RecordForgetObject:
		b.Delete(store.Key{Kind: store.Object, Num: uint64(r.Object.Num)})
	}
	return nil
}

func jobRecord(r *core.Record) *storev1.JobRecord {
	job := &storev1.JobRecord{JobId: r.Job, ForgottenCount: r.DoneBase, Owner: r.Owner}
	if d := r.Details; d != nil {
		job.Options, job.InheritedEnvironment = corewire.JobOptionsMessage(d.Options), corewire.Environment(d.Inherited)
		job.ParentForgotten, job.ForgottenFailedCount, job.Failed = d.Orphaned, d.FailedBase, d.Failed
	}
	return job
}

// restoredJob is a job as its record tells it.
func restoredJob(num uint64, r *storev1.JobRecord) (core.RestoredJob, error) {
	job := core.RestoredJob{Num: num, ID: r.GetJobId(), DoneBase: r.GetForgottenCount(), Owner: r.GetOwner()}
	if err := wire.CheckJobOptions(r.GetJobId(), r.GetOptions()); err != nil {
		return job, err
	}
	if err := wire.CheckEnvironment(r.GetInheritedEnvironment()); err != nil {
		return job, fmt.Errorf("inherited %w", err)
	}
	job.Details = &core.JobDetails{
		Options: corewire.JobOptions(r.GetOptions()), Inherited: corewire.Variables(r.GetInheritedEnvironment()),
		Orphaned: r.GetParentForgotten(), FailedBase: r.GetForgottenFailedCount(), Failed: r.GetFailed(),
	}
	return job, nil
}

// pieceKey is where a piece of an object is filed.
func pieceKey(num core.ObjectNum, piece uint32) store.Key {
	return store.Key{Kind: store.Piece, Num: uint64(num)*core.MaxPieces + uint64(piece)}
}

func objectRecord(o *core.ObjectRecord) *storev1.ObjectRecord {
	r := &storev1.ObjectRecord{
		Encoding: o.View.Encoding, SizeBytes: o.View.Size, PieceCount: o.View.Pieces, JobIds: o.Jobs, Owner: o.Owner,
		UploadId: o.Upload, TasksOnlyJobIds: o.ForTasks,
	}
	if o.Upload != "" {
		r.Chain = o.Chain[:]
	}
	if o.View.ID != (core.ObjectID{}) {
		r.ObjectId = o.View.ID[:]
	}
	return r
}

func set(b *store.Batch, k store.Key, m proto.Message) error {
	value, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	b.Set(k, value)
	return nil
}

// stateRecord encodes a task's state. The core's enumerations have the numbers of the wire's.
func stateRecord(s *core.State) *storev1.TaskStateRecord {
	r := &storev1.TaskStateRecord{
		Status: frayv1.TaskStatus(s.Status), FailureReason: frayv1.FailureReason(s.Reason),
		Leased: s.Leased, Ahead: s.Ahead, Started: s.Started, CancelRequested: s.CancelRequested,
		AttemptCount: s.Attempts, FailureCount: s.Failures, WorkerLossCount: s.Losses, DeliveryFailureCount: s.Deliveries,
		LossInCompanyCount: s.InCompany,
		WorkerId:           s.WorkerID, LeasedUnixNs: int64(s.LeasedAt), LeaseToken: uint64(s.Token), LastLeaseToken: uint64(s.LastToken),
		BackoffUntilUnixNs: int64(s.BackoffUntil), EndedUnixNs: int64(s.Ended), EndNumber: s.EndSeq, ResultBytes: s.ResultBytes,
		CauseTaskId: s.Cause, CancelsDependants: s.CancelsDependants, Outlived: s.Outlived,
	}
	if x := s.Schedule; x != nil {
		r.Schedule = &storev1.ScheduleState{
			ThroughUnixNs: int64(x.Through), LastRunUnixNs: int64(x.LastRun), RunCount: x.Runs, MissedCount: x.Missed,
		}
	}
	return r
}

func state(r *storev1.TaskStateRecord) core.State {
	s := core.State{
		Status: core.Status(r.GetStatus()), Reason: core.FailureReason(r.GetFailureReason()), //nolint:gosec // Known ones.
		Leased: r.GetLeased(), Ahead: r.GetAhead(), Started: r.GetStarted(), CancelRequested: r.GetCancelRequested(),
		Attempts: r.GetAttemptCount(), Failures: r.GetFailureCount(), Losses: r.GetWorkerLossCount(), Deliveries: r.GetDeliveryFailureCount(),
		InCompany: r.GetLossInCompanyCount(),
		WorkerID:  r.GetWorkerId(), LeasedAt: core.Time(r.GetLeasedUnixNs()), Token: core.Token(r.GetLeaseToken()), LastToken: core.Token(r.GetLastLeaseToken()),
		BackoffUntil: core.Time(r.GetBackoffUntilUnixNs()), Ended: core.Time(r.GetEndedUnixNs()), EndSeq: r.GetEndNumber(),
		ResultBytes: r.GetResultBytes(), Cause: r.GetCauseTaskId(), CancelsDependants: r.GetCancelsDependants(), Outlived: r.GetOutlived(),
	}
	if x := r.GetSchedule(); x != nil {
		s.Schedule = &core.ScheduleState{
			Through: core.Time(x.GetThroughUnixNs()), LastRun: core.Time(x.GetLastRunUnixNs()), Runs: x.GetRunCount(), Missed: x.GetMissedCount(),
		}
	}
	return s
}

// task reads a task as it was submitted.
func (c *Controller) task(num core.TaskNum) (*storev1.TaskRecord, error) {
	record, err := c.cfg.Store.Get(store.Key{Kind: store.Spec, Num: uint64(num)})
	if err != nil {
		return nil, err
	}
	t := &storev1.TaskRecord{}
	if err := proto.Unmarshal(record, t); err != nil {
		return nil, fmt.Errorf("%w: the record of task %d cannot be decoded: %w", store.ErrCorrupt, num, err)
	}
	return t, nil
}

// unreadable is what a caller is told when a record could not be read. It says nothing of the task
// unless the record is damaged: a store that cannot be read now may be later, if by another
// controller.
func (c *Controller) unreadable(subject string, err error) error {
	c.cfg.Logger.Error("read record", "of", subject, "error", err)
	if errors.Is(err, store.ErrCorrupt) {
		return wire.Error(wire.ReasonBug, 0, "%s: what is stored of it is damaged: the controller's log has the cause", subject)
	}
	return wire.Error(wire.ReasonShuttingDown, 0, "%s: the controller cannot read its store now: try again", subject)
}

// result reads an ended task's encoded TaskResult, which has only its value or error. Every end
// with a value has such a record, also where the value is empty: without it the result is gone, and
// so the task is unknown. Other ends have one where there is an error to tell.
func (c *Controller) result(v *core.View) ([]byte, error) {
	record, err := c.cfg.Store.Get(store.Key{Kind: store.Result, Num: uint64(v.Num)})
	switch {
	case err == nil:
		return record, nil
	case errors.Is(err, store.ErrNotFound) && v.Status == core.Completed:
		return nil, wire.Error(wire.ReasonUnknownTask, 0, "task %q: its result is no longer kept", v.ID)
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	default:
		return nil, c.unreadable(subject(v.ID), err)
	}
}

// resultRecord encodes what a report says for the store. A success without a value has an empty
// one, which is not the same as none.
func resultRecord(r *frayv1.TaskReport) ([]byte, error) {
	result := &frayv1.TaskResult{Value: r.GetValue(), Error: r.GetError()}
	if r.GetOutcome() == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED {
		result.Error = nil
		if result.Value == nil {
			result.Value = &frayv1.Payload{}
		}
	}
	if result.GetValue() == nil && result.GetError() == nil {
		return nil, nil
	}
	return proto.Marshal(result)
}

// causeResult is the result record of a task that the scheduler itself failed.
func causeResult(reason core.FailureReason, text string) []byte {
	typ := "scheduling timeout"
	if reason == core.DependencyFailed {
		typ = "dependency failed"
	}
	return failedResult(text, typ)
}

// deathResult is the result record of a call whose actor is dead, as was the end of its life.
func deathResult(actor string, deleted bool, result []byte) []byte {
	why := "it could not be kept alive: ask how its life, the task of that id, has ended"
	stored := &frayv1.TaskResult{}
	switch {
	case deleted:
		why = "it was deleted"
	case len(result) > 0 && proto.Unmarshal(result, stored) == nil && stored.GetError() != nil:
		why = "it could not be constructed: " + stored.GetError().GetMessage()
	}
	return failedResult(fmt.Sprintf("actor %s is dead: %s", actor, why), "actor dead")
}

func failedResult(text, typ string) []byte {
	// It is of two texts that are valid, so it has an encoding.
	record, err := proto.Marshal(&frayv1.TaskResult{Error: &frayv1.TaskError{Message: strings.ToValidUTF8(text, "?"), Type: typ}})
	if err != nil {
		return nil
	}
	return record
}

package controller

import (
	"errors"
	"fmt"
	"iter"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/storecopy"
	storev1 "github.com/frayrpc/fray/gen/fray/store/v1"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// Dump is what a store holds of a task.
type Dump struct {
	// Num is the number that its records are filed under.
	Num uint64
	// Spec is the task as it was submitted.
	Spec *frayv1.TaskSpec
	// Result is where the task stands as far as records tell, with its value or error if it has
	// ended.
	Result *frayv1.TaskResult
}

// DumpTasks yields all tasks of a store that no controller uses, in the order of their submission.
// With an error of one task comes its number, and the next task follows. An error without a task
// says that the store cannot be read on, or is an unfinished copy.
func DumpTasks(s store.Store) iter.Seq2[*Dump, error] {
	return func(yield func(*Dump, error) bool) {
		var record storev1.ControllerRecord
		if err := find(s, store.ControllerKey, &record); err == nil { // Of one that cannot be read the tasks may be.
			if err := storecopy.CheckWhole(&record); err != nil {
				yield(nil, err)
				return
			}
		}
		for r, err := range scan(s, store.Spec) {
			if err != nil {
				yield(nil, err)
				return
			}
			d := &Dump{Num: r.num}
			if !yield(d, d.read(s, r.value)) {
				return
			}
		}
	}
}

func (d *Dump) read(s store.Store, spec []byte) error {
	var task storev1.TaskRecord
	var past storev1.TaskStateRecord
	result := &frayv1.TaskResult{}
	if err := proto.Unmarshal(spec, &task); err != nil {
		return fmt.Errorf("task number %d: decode: %w", d.Num, err)
	}
	if err := find(s, store.Key{Kind: store.State, Num: d.Num}, &past); err != nil {
		return fmt.Errorf("task number %d: read state: %w", d.Num, err)
	}
	if err := find(s, store.Key{Kind: store.Result, Num: d.Num}, result); err != nil {
		return fmt.Errorf("task number %d: read result: %w", d.Num, err)
	}
	shape := corewire.Shape(task.GetSpec())
	st := state(&past)
	view := core.View{
		Num: core.TaskNum(d.Num), ID: task.GetSpec().GetTaskId(), Job: task.GetJobId(), Function: shape.Function,
		Status: max(st.Status, core.Pending), Reason: st.Reason, Attempts: st.Attempts, MaxAttempts: shape.MaxRetries + 1,
		Failures: st.Failures, Losses: st.Losses, Deliveries: st.Deliveries, WorkerID: st.WorkerID, Priority: shape.Priority,
		Submitted: core.Time(task.GetSubmittedUnixNs()), LeasedAt: st.LeasedAt, CancelRequested: st.CancelRequested,
	}
	if st.Status.Terminal() {
		view.Finished = st.Ended
	}
	switch {
	case view.Status != core.Pending:
	case st.Leased:
		view.Pending = core.Recovering
	case st.BackoffUntil > 0:
		view.Pending = core.Backoff
	case shape.Role == core.ActorCall:
		view.Pending = core.Mailed
	case shape.Role == core.Schedule:
		view.Pending = core.Scheduled
	default:
		view.Pending = core.Ready
	}
	result.Task = corewire.Task(&view)
	d.Spec, d.Result = task.GetSpec(), result
	return nil
}

// find reads a record; m stays empty if there is none.
func find(s store.Store, k store.Key, m proto.Message) error {
	value, err := s.Get(k)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return proto.Unmarshal(value, m)
}

package system

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/sim/cluster"
)

// flood submits the next tasks of one who floods, in the next of its jobs. What is refused for want of
// room it submits again when it is its turn.
func (v *visitor) flood(ctx context.Context) error {
	f := v.group.Floods
	if v.flooded >= f.Tasks {
		return nil
	}
	kind := v.TaskKind(f.Kind)
	input := make([]byte, kind.PayloadSize)
	req := &frayv1.SubmitTasksRequest{JobId: fmt.Sprintf("%s.flood-%d", v.name, v.flooded/f.Batch%f.Jobs+1)}
	for i := range min(f.Batch, f.Tasks-v.flooded) {
		spec := floodSpec(kind, fmt.Sprintf("%s.flood.%d", v.name, v.flooded+i), input)
		if kind.Unique != nil {
			spec.Unique = &frayv1.UniqueSpec{
				Key: keyOf(kind, (v.flooded+i)%kind.Unique.Keys), PeriodMs: number.Millis(time.Duration(kind.Unique.For)),
			}
		}
		req.Tasks = append(req.Tasks, spec)
	}
	res, err := v.client.SubmitTasks(ctx, req)
	if err != nil {
		return err
	}
	if n := len(res.GetFailures()); n > 0 {
		return connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%d tasks of a flood are refused", n))
	}
	v.flooded += len(req.GetTasks())
	v.do(func() { v.tally.change(func(f *cluster.Facts) { f.Visits.Flooded += len(req.GetTasks()) }) })
	return nil
}

// floodSpec is a task of a kind, with what of it a flood has.
func floodSpec(k *cluster.TaskKind, id string, input []byte) *frayv1.TaskSpec {
	return &frayv1.TaskSpec{
		TaskId: id, Function: k.Name, Payload: &frayv1.Payload{Data: input, Encoding: "raw"},
		Priority:  int32(k.Priority), //nolint:gosec // From -1000 to 1000.
		Resources: k.Resources, RequiredLabels: k.Labels,
		ExecutionTimeoutMs: number.Millis(time.Duration(k.ExecutionTimeout)), SchedulingTimeoutMs: number.Millis(time.Duration(k.SchedulingTimeout)),
	}
}

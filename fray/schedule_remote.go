package fray

import (
	"context"
	"fmt"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// createSchedule implements scheduleKeeper. It looks first whether the controller has schedules: one of an earlier release
// would see a task in it, and run it at once.
func (b *remote) createSchedule(ctx context.Context, spec *frayv1.TaskSpec) (string, error) {
	if _, err := b.listSchedules(ctx, &frayv1.ListSchedulesRequest{Name: spec.GetSchedule().GetName()}); err != nil {
		return "", err
	}
	var res *frayv1.SubmitTaskResponse
	err := b.request(ctx, "SubmitTask", callWeight+int64(len(spec.GetPayload().GetData())), func(ctx context.Context) (err error) {
		res, err = b.client.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: b.jc.jobID, Task: spec})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("submit task %s: %w", spec.GetTaskId(), asRefusal(err))
	}
	id := res.GetTask().GetTaskId()
	if err := checkID("schedule id", id); err != nil {
		return "", fmt.Errorf("controller answered with no schedule: %w", err)
	}
	if res.GetTask().GetStatus() == frayv1.TaskStatus_TASK_STATUS_CANCELLED {
		return "", refusal(connect.CodeAlreadyExists, "", fmt.Sprintf("the schedule of id %q was deleted: choose another task id", id))
	}
	return id, nil
}

// listSchedules implements scheduleKeeper.
func (b *remote) listSchedules(ctx context.Context, req *frayv1.ListSchedulesRequest) (*frayv1.ListSchedulesResponse, error) {
	var res *frayv1.ListSchedulesResponse
	err := b.request(ctx, "ListSchedules", 0, func(ctx context.Context) (err error) {
		res, err = b.client.ListSchedules(ctx, req)
		return err
	})
	if connect.CodeOf(err) == connect.CodeUnimplemented {
		return nil, fmt.Errorf("the controller is of a release without schedules: upgrade it: %w", err)
	}
	return res, err
}

// deleteSchedule implements scheduleKeeper.
func (b *remote) deleteSchedule(ctx context.Context, id string) error {
	return b.cancelOne(ctx, id, ErrUnknownSchedule)
}

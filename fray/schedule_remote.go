package fray

import (
	"context"
	"fmt"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// createSchedule implements scheduleKeeper.
func (b *remote) createSchedule(ctx context.Context, spec *frayv1.TaskSpec) (string, error) {
	t, err := b.submitOrFind(ctx, spec)
	if err != nil {
		return "", err
	}
	if t.GetStatus() == frayv1.TaskStatus_TASK_STATUS_CANCELLED {
		return "", refusal(connect.CodeAlreadyExists, "", fmt.Sprintf("the schedule of id %q was deleted: choose another task id", t.GetTaskId()))
	}
	return t.GetTaskId(), nil
}

// submitOrFind submits a task in whose place the controller may have another, by its name or key, and returns the one that is there. It
// looks first whether the controller has schedules: one of an earlier release does not know what makes the task one of these, and
// would run it at once.
func (b *remote) submitOrFind(ctx context.Context, spec *frayv1.TaskSpec) (*frayv1.Task, error) {
	if err := b.isRecent(ctx); err != nil {
		return nil, err
	}
	var res *frayv1.SubmitTaskResponse
	err := b.request(ctx, "SubmitTask", callWeight+int64(len(spec.GetPayload().GetData())), func(ctx context.Context) (err error) {
		res, err = b.client.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: b.jc.jobID, JobOptions: b.jc.options, Task: spec})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("submit task %s: %w", spec.GetTaskId(), asRefusal(err))
	}
	if err := checkID("task id", res.GetTask().GetTaskId()); err != nil {
		return nil, fmt.Errorf("controller answered with no task: %w", err)
	}
	return res.GetTask(), nil
}

// isRecent returns why the controller does not know schedules, unique tasks and gangs for what they are, or nil.
func (b *remote) isRecent(ctx context.Context) error {
	_, err := b.listSchedules(ctx, &frayv1.ListSchedulesRequest{PageSize: 1})
	return err
}

// listSchedules implements scheduleKeeper.
func (b *remote) listSchedules(ctx context.Context, req *frayv1.ListSchedulesRequest) (*frayv1.ListSchedulesResponse, error) {
	var res *frayv1.ListSchedulesResponse
	err := b.request(ctx, "ListSchedules", 0, func(ctx context.Context) (err error) {
		res, err = b.client.ListSchedules(ctx, req)
		return err
	})
	if connect.CodeOf(err) == connect.CodeUnimplemented {
		return nil, fmt.Errorf("the controller is of an earlier release, without schedules, unique tasks and gangs: upgrade it: %w", err)
	}
	return res, err
}

// deleteSchedule implements scheduleKeeper.
func (b *remote) deleteSchedule(ctx context.Context, id string) error {
	return b.cancelOne(ctx, id, ErrUnknownSchedule)
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/number"
)

// gangOf returns the specs of a gang of so many of a task, whose id begins those of all.
func gangOf(spec *frayv1.TaskSpec, size int) []*frayv1.TaskSpec {
	specs := make([]*frayv1.TaskSpec, size)
	for i := range specs {
		s := proto.CloneOf(spec)
		s.TaskId = fmt.Sprintf("%s/%d", spec.GetTaskId(), i)
		s.Gang = &frayv1.GangSpec{GangId: spec.GetTaskId(), Size: number.Clamp[uint32](size), Index: number.Clamp[uint32](i)}
		specs[i] = s
	}
	return specs
}

// submitGang submits a gang of the task that the options ask for, prints the ids of its tasks or, once they have
// ended, what these ended with, in the order of their indexes.
func (a *app) submitGang(ctx context.Context, c *client, o *submitOptions, spec *frayv1.TaskSpec) error {
	specs := gangOf(spec, o.gang)
	ids := make([]string, len(specs))
	for i, s := range specs {
		ids[i] = s.GetTaskId()
	}
	// A controller of an earlier release would run each task for itself.
	if _, err := c.schedules(ctx, &frayv1.ListSchedulesRequest{PageSize: 1}); err != nil {
		return err
	}
	res, err := ask(ctx, c, c.SubmitTasks, &frayv1.SubmitTasksRequest{JobId: o.job, JobOptions: o.ofJob.message(), Tasks: specs})
	if err != nil {
		return err
	}
	if failures := res.GetFailures(); len(failures) > 0 {
		return &command.CodedError{Code: command.ExitUnavailable, Err: errors.New("the controller refuses: " + failures[0].GetMessage())}
	}
	if !o.wait {
		for _, id := range ids {
			if err := a.printID(id); err != nil {
				return err
			}
		}
		return nil
	}
	results, err := c.await(ctx, ids, o.waitTimeout)
	if err != nil {
		return err
	}
	for _, r := range results {
		err = cmp.Or(err, a.printEnd(r))
	}
	return err
}

// printID prints the id of a task that was submitted.
func (a *app) printID(id string) error {
	if a.output == formatJSON {
		return printJSON(a.Stdout, struct {
			TaskID string `json:"task_id"`
		}{id})
	}
	_, err := fmt.Fprintln(a.Stdout, id)
	return err
}

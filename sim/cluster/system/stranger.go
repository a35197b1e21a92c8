package system

import (
	"context"
	"fmt"
	"slices"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/sim/scenario"
)

// brokenOwners is what a controller breaks that lets a stranger at the jobs of others.
const brokenOwners = "owners-kept"

// trespass asks for tasks of others, or for a job of theirs, in one of the ways there are. What is told
// or done all the same breaks a promise.
func (v *visitor) trespass(ctx context.Context, names []string) error {
	var refused bool
	var what string
	var err error
	switch v.random.IntN(7) {
	case 0:
		what = "a task"
		_, err = v.mistaken.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: names[0]})
		refused, err = refusal(err, connect.CodePermissionDenied, connect.CodeNotFound)
	case 1:
		what = "the result of a task"
		_, err = v.mistaken.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: names[0], MaxWaitMs: v.wait()})
		refused, err = refusal(err, connect.CodePermissionDenied, connect.CodeNotFound)
	case 2:
		what = "the results of tasks"
		var res *frayv1.GetTaskResultsResponse
		res, err = v.mistaken.GetTaskResults(ctx, &frayv1.GetTaskResultsRequest{TaskIds: names, MaxWaitMs: v.wait()})
		refused = len(res.GetResults()) == 0
	case 3:
		what = "the ends of a job"
		var res *frayv1.WatchJobResponse
		res, err = v.mistaken.WatchJob(ctx, &frayv1.WatchJobRequest{JobId: v.anyJob(), WatcherId: v.name, MaxWaitMs: v.wait()})
		if refused = len(res.GetResults()) == 0 && res.GetOpenCount() == 0; err != nil { // Nobody may have submitted to it yet.
			refused, err = refusal(err, connect.CodePermissionDenied)
		}
	case 4:
		what = "a list of all tasks"
		var res *frayv1.ListTasksResponse
		res, err = v.mistaken.ListTasks(ctx, &frayv1.ListTasksRequest{})
		refused = len(res.GetTasks()) == 0
	case 5:
		what = "the cancellation of tasks"
		var res *frayv1.CancelTasksResponse
		res, err = v.client.CancelTasks(ctx, &frayv1.CancelTasksRequest{TaskIds: names})
		refused = !slices.ContainsFunc(res.GetVerdicts(), func(got frayv1.CancelVerdict) bool {
			return got != frayv1.CancelVerdict_CANCEL_VERDICT_REFUSED && got != frayv1.CancelVerdict_CANCEL_VERDICT_NOT_FOUND
		})
	default:
		what = "the cancellation of a job"
		var res *frayv1.CancelTasksResponse
		res, err = v.client.CancelTasks(ctx, &frayv1.CancelTasksRequest{JobId: v.anyJob()})
		if refused = res.GetJobTaskCount() == 0; err != nil {
			refused, err = refusal(err, connect.CodePermissionDenied)
		}
	}
	if !refused && err == nil {
		v.do(func() {
			v.run.Flaw(scenario.VerdictInvariant, brokenOwners, fmt.Sprintf("%s asked for %s of others, and was not refused", v.name, what))
		})
	}
	return err
}

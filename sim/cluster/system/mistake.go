package system

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/sim/scenario"
)

// brokenMistake is what a controller breaks that takes what it must refuse.
const brokenMistake = "mistakes-refused"

// A mistake is a call that asks for what there cannot be. It returns whether it was refused as it
// must be; an error is what the call failed with besides.
type mistake struct {
	what string
	make func(ctx context.Context, client controllerClient, task string) (refused bool, err error)
	// It needs a controller that has lost nothing, and knows the task for certain.
	certain bool
	// It has 50,000 items, which cost more than all else that a visitor does.
	large bool
}

type controllerClient = frayv1connect.ControllerServiceClient

// mistakes are those that visitors make.
var mistakes = []mistake{
	{what: "a task without a function", make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		return submitWrong(ctx, client, connect.CodeInvalidArgument, &frayv1.TaskSpec{TaskId: "mistake"})
	}},
	{what: "a task with a label that is too long", make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		return submitWrong(ctx, client, connect.CodeInvalidArgument, &frayv1.TaskSpec{
			TaskId: "mistake", Function: "f", RequiredLabels: map[string]string{"zone": strings.Repeat("z", 1000)},
		})
	}},
	{what: "a task with less than no resources", make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		return submitWrong(ctx, client, connect.CodeInvalidArgument, &frayv1.TaskSpec{
			TaskId: "mistake", Function: "f", Resources: map[string]int64{"cpu": -1},
		})
	}},
	{what: "another specification of a known task", certain: true, make: func(ctx context.Context, client controllerClient, task string) (bool, error) {
		return submitWrong(ctx, client, connect.CodeAlreadyExists, &frayv1.TaskSpec{TaskId: task, Function: "no-such-function"})
	}},
	{what: "another specification of a known task of its own job", certain: true, make: func(ctx context.Context, client controllerClient, task string) (bool, error) {
		known, err := client.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: task})
		if err != nil {
			return false, err
		}
		res, err := client.SubmitTasks(ctx, &frayv1.SubmitTasksRequest{
			JobId: known.GetTask().GetJobId(), Tasks: []*frayv1.TaskSpec{{TaskId: task, Function: known.GetTask().GetFunction(), Priority: 7}},
		})
		return err == nil && len(res.GetFailures()) == 1, err
	}},
	{what: "a copy of the store under the name of another", certain: true, make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		for _, request := range []string{"first", "second"} {
			res, err := client.CreateBackup(ctx, &frayv1.CreateBackupRequest{Name: "mistaken", RequestId: request, MaxWaitMs: 1000})
			switch code := connect.CodeOf(err); {
			case err != nil && code == connect.CodeAlreadyExists:
				return true, nil
			case err != nil:
				return code == connect.CodeUnimplemented, err // The store is in memory, or has its own troubles.
			case res.GetUnderWay():
				return true, nil // It may come to nothing.
			}
		}
		return false, nil
	}},
	{what: "more tasks in one call than there may be", large: true, make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		return submitWrong(ctx, client, connect.CodeInvalidArgument, slices.Repeat([]*frayv1.TaskSpec{{}}, limit.Submit+1)...)
	}},
	{what: "to cancel more tasks in one call than there may be", large: true, make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		_, err := client.CancelTasks(ctx, &frayv1.CancelTasksRequest{TaskIds: slices.Repeat([]string{"a"}, limit.Submit+1)})
		return refusal(err, connect.CodeInvalidArgument)
	}},
	{what: "a task by an id that is larger than a request may be", make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		_, err := client.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: strings.Repeat("x", 64<<10)})
		return refusal(err, connect.CodeResourceExhausted)
	}},
	{what: "a task that never was", make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		_, err := client.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: "never-was"})
		return refusal(err, connect.CodeNotFound)
	}},
	{what: "the result of a task that never was", make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		_, err := client.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: "never-was", MaxWaitMs: 10})
		return refusal(err, connect.CodeNotFound)
	}},
	{what: "a page that no list has", make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		_, err := client.ListTasks(ctx, &frayv1.ListTasksRequest{PageToken: "!"})
		return refusal(err, connect.CodeInvalidArgument)
	}},
	{what: "a list with a status that there is not", make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		_, err := client.ListTasks(ctx, &frayv1.ListTasksRequest{Statuses: []frayv1.TaskStatus{99}})
		return refusal(err, connect.CodeInvalidArgument)
	}},
	{what: "what comes after all that a job has had", make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		_, err := client.WatchJob(ctx, &frayv1.WatchJobRequest{JobId: "never-was", Cursor: 1 << 40, WatcherId: "mistaken"})
		return refusal(err, connect.CodeFailedPrecondition)
	}},
	{what: "to cancel a task that never was", make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		res, err := client.CancelTasks(ctx, &frayv1.CancelTasksRequest{TaskIds: []string{"never-was"}})
		if err != nil {
			return refusal(err, connect.CodeNotFound)
		}
		return len(res.GetVerdicts()) == 1 && res.GetVerdicts()[0] == frayv1.CancelVerdict_CANCEL_VERDICT_NOT_FOUND, nil
	}},
	{what: "to drain a worker that never was", make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		_, err := client.DrainWorker(ctx, &frayv1.DrainWorkerRequest{WorkerId: "never-was"})
		return refusal(err, connect.CodeNotFound)
	}},
	{what: "a heartbeat of a session that never was", make: func(ctx context.Context, client controllerClient, _ string) (bool, error) {
		_, err := client.Heartbeat(ctx, &frayv1.HeartbeatRequest{SessionToken: 1, HeartbeatSeq: 1})
		return refusal(err, connect.CodeNotFound, connect.CodeFailedPrecondition)
	}},
	{what: "to report for a worker that it is not", make: reportForAnother},
}

// reportForAnother reports that a task has ended, under the tokens that a controller would give first
// if it counted.
func reportForAnother(ctx context.Context, client controllerClient, task string) (bool, error) {
	const (
		sessions, leases = 8, 64
		countBits        = 40 // of a token, below its incarnation
	)
	known, err := client.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: task})
	if err != nil {
		return refusal(err, connect.CodeNotFound) // It was forgotten.
	}
	info, err := client.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{})
	if err != nil {
		return false, err
	}
	base := info.GetControllerIncarnation() << countBits
	var reports []*frayv1.TaskReport
	for n := range uint64(leases) {
		reports = append(reports, &frayv1.TaskReport{
			Attempt: &frayv1.Attempt{TaskId: task, Number: max(known.GetTask().GetAttemptNumber(), 1), LeaseToken: base + n + 1},
			Outcome: frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED, Value: &frayv1.Payload{Data: []byte("forged")},
		})
	}
	for n := range uint64(sessions) {
		res, err := client.ReportTasks(ctx, &frayv1.ReportTasksRequest{SessionToken: base + n + 1, Reports: reports})
		if err != nil {
			if refused, other := refusal(err, connect.CodeFailedPrecondition, connect.CodeNotFound); !refused {
				return false, other
			}
		}
		if slices.Contains(res.GetVerdicts(), frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED) {
			return false, nil
		}
	}
	return true, nil
}

// submitWrong submits tasks that must be refused with a code, by itself or with its call.
func submitWrong(ctx context.Context, client controllerClient, code connect.Code, specs ...*frayv1.TaskSpec) (bool, error) {
	res, err := client.SubmitTasks(ctx, &frayv1.SubmitTasksRequest{JobId: "mistakes", Tasks: specs})
	if err != nil {
		return refusal(err, code)
	}
	return len(res.GetFailures()) == len(specs), nil
}

// refusal says whether an error is the refusal that is due. It is of no use where the call failed
// because the controller was not there, or had no room.
func refusal(err error, due ...connect.Code) (refused bool, other error) {
	code := connect.CodeOf(err)
	for _, d := range due {
		if err != nil && code == d {
			return true, nil
		}
	}
	if err != nil && !connect.IsWireError(err) {
		return false, err // The answer was cut off, or never came.
	}
	switch code {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeCanceled, connect.CodeResourceExhausted, connect.CodeAborted, connect.CodeUnknown:
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// largeShare is which share of the large mistakes is made.
const largeShare = 4

// mistake makes one. What is accepted, or refused as something else, breaks a promise.
func (v *visitor) mistake(ctx context.Context, task string) error {
	m := mistakes[v.random.IntN(len(mistakes))]
	if m.large && v.random.IntN(largeShare) > 0 {
		m = mistakes[0]
	}
	if m.certain && (v.allowsLoss() || v.forgetsEarly()) {
		return nil // It may have been forgotten, and would be a task of its own.
	}
	refused, err := m.make(ctx, v.mistaken, task)
	if !refused && err == nil {
		v.do(func() {
			v.run.Flaw(scenario.VerdictInvariant, brokenMistake, fmt.Sprintf("%s asked for %s, and was not refused as it should be", v.name, m.what))
		})
	}
	return err
}

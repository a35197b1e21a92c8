package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
)

func (a *app) newGet() *cobra.Command {
	var job string
	cmd := &cobra.Command{
		Use:   "get ID | --job JOB",
		Short: "Show where a task stands, and its result once it has ended; or how a job stands",
		Example: `  fray get 01JD8Y2V4M9E8Q6T1ZK5W7XN3C -o json | jq .value
  fray get --job nightly`,
		Args: func(cmd *cobra.Command, ids []string) error {
			switch {
			case job == "":
				return oneArg("task id")(cmd, ids)
			case len(ids) > 0:
				return command.UsageError("give the id of a task or --job, not both")
			}
			return nil
		},
		RunE: a.calling(func(ctx context.Context, c *client, ids []string) error {
			if job != "" {
				return a.getJob(ctx, c, job)
			}
			return a.get(ctx, c, ids)
		}),
	}
	a.addClientFlags(cmd)
	cmd.Flags().StringVar(&job, "job", "", "show how this `job` stands, with what it was made with")
	command.Momentary(cmd.Flags(), "job")
	a.addOutputFlag(cmd)
	return cmd
}

func (a *app) get(ctx context.Context, c *client, ids []string) error {
	res, err := ask(ctx, c, c.GetTaskResult, &frayv1.GetTaskResultRequest{TaskId: ids[0]})
	if err != nil {
		return err
	}
	if a.output == formatJSON {
		return printJSON(a.Stdout, newResultJSON(res.GetResult()))
	}
	printDetails(a.Stdout, resultDetails(res.GetResult()))
	return nil
}

// resultDetails is all there is to say of a task, for people.
func resultDetails(r *frayv1.TaskResult) [][2]string {
	t := r.GetTask()
	details := [][2]string{
		{"Task", t.GetTaskId()},
		{"Job", t.GetJobId()},
		{"Function", t.GetFunction()},
		{"Status", describeStatus(t)},
		{"Attempt", attempts(t)},
		{"Worker", t.GetWorkerId()},
	}
	optional := func(name string, n int64) {
		if n != 0 {
			details = append(details, [2]string{name, strconv.FormatInt(n, 10)})
		}
	}
	optional("Workers lost", int64(t.GetWorkerLossCount()))
	optional("Failed deliveries", int64(t.GetDeliveryFailureCount()))
	optional("Priority", int64(t.GetPriority()))
	details = append(details, [2]string{"Submitted", ago(t.GetSubmittedUnixMs())})
	if next := timestamp(t.GetNotBeforeUnixMs()); next != nil && t.GetPendingReason() == frayv1.PendingReason_PENDING_REASON_SCHEDULED {
		details = append(details, [2]string{"Next run", *next + ", " + inFuture(t.GetNotBeforeUnixMs())})
	}
	if t.GetLeasedUnixMs() > 0 {
		details = append(details, [2]string{"Took", tookTime(t)})
	}
	if t.GetProgress() != nil {
		details = append(details, [2]string{"Progress", progress(t)})
	}
	if e := r.GetError(); e != nil {
		kind := e.GetType()
		if kind != "" {
			kind = " (" + kind + ")"
		}
		details = append(details, [2]string{"Error", e.GetMessage() + kind}, [2]string{"Stack", e.GetStack()})
		if output, ok := failedOutput(r); ok {
			details = append(details, outputDetails(output)...)
		}
	}
	if v := r.GetValue(); v != nil {
		if output, ok := commandOutput(v, t.GetFunction()); ok {
			details = append(details, outputDetails(output)...)
		} else {
			details = append(details, [2]string{"Value", valueText(v)})
		}
	}
	return details
}

// progress is what a task's attempt said of itself last, and how long ago.
func progress(t *frayv1.Task) string {
	p := t.GetProgress()
	text := p.GetMessage()
	if p.Share != nil {
		text = strings.TrimSuffix(fmt.Sprintf("%.0f%%, %s", 100*p.GetShare(), text), ", ")
	}
	return text + " (" + ago(t.GetProgressUnixMs()) + ")"
}

func (a *app) newCancel() *cobra.Command {
	req := &frayv1.CancelTasksRequest{}
	cmd := &cobra.Command{
		Use:   "cancel ID... | --job JOB",
		Short: "Cancel tasks, or all open tasks of a job",
		Long: `Cancel tasks. One that waits is cancelled at once; one that runs is told to stop, and may still end with a value.
One that has ended stays as it is, which is no error. Tasks that depend on one that is cancelled fail, unless
they are to be cancelled, too.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && req.GetJobId() == "" {
				return command.UsageError("which tasks? give their ids, or --job")
			}
			return nil
		},
		RunE: a.calling(func(ctx context.Context, c *client, ids []string) error {
			req.TaskIds = ids
			return a.cancel(ctx, c, req)
		}),
	}
	a.addClientFlags(cmd)
	cmd.Flags().StringVar(&req.JobId, "job", "",
		"cancel every open task of this `job`, and of those that are parts of it")
	cmd.Flags().BoolVar(&req.WithDependants, "with-dependants", false, "also cancel all that depends on what is cancelled")
	command.Momentary(cmd.Flags(), "job", "with-dependants")
	a.addOutputFlag(cmd)
	return cmd
}

// verdictTexts are what a cancellation found, in JSON and, with words for the underscores, for
// people.
var verdictTexts = map[frayv1.CancelVerdict]string{
	frayv1.CancelVerdict_CANCEL_VERDICT_CANCELLED:        "cancelled",
	frayv1.CancelVerdict_CANCEL_VERDICT_STOPPING:         "stopping",
	frayv1.CancelVerdict_CANCEL_VERDICT_ALREADY_TERMINAL: "already_ended",
	frayv1.CancelVerdict_CANCEL_VERDICT_NOT_FOUND:        "not_found",
	frayv1.CancelVerdict_CANCEL_VERDICT_REFUSED:          "refused",
}

func (a *app) cancel(ctx context.Context, c *client, req *frayv1.CancelTasksRequest) error {
	res, err := ask(ctx, c, c.CancelTasks, req)
	if err != nil {
		return err
	}
	ids, job := req.GetTaskIds(), req.GetJobId()
	missing, refused := 0, 0
	found := &listing{app: a, header: []string{"task", "found"}}
	for i, verdict := range res.GetVerdicts() {
		switch verdict {
		case frayv1.CancelVerdict_CANCEL_VERDICT_NOT_FOUND:
			missing++
		case frayv1.CancelVerdict_CANCEL_VERDICT_REFUSED:
			refused++
		}
		err := found.add([]string{ids[i], verdictTexts[verdict]}, struct {
			TaskID  string `json:"task_id"`
			Verdict string `json:"verdict"`
		}{ids[i], verdictTexts[verdict]})
		if err != nil {
			return err
		}
	}
	if len(ids) > 0 {
		found.end("")
	}
	if job != "" {
		if a.output != formatJSON {
			fmt.Fprintf(a.Stdout, "job %s: %s cancelled or stopping\n", job, wording.Count(res.GetJobTaskCount(), "task"))
		} else if err := printJSON(a.Stdout, struct {
			JobID string `json:"job_id"`
			Tasks uint64 `json:"tasks"`
		}{job, res.GetJobTaskCount()}); err != nil {
			return err
		}
	}
	if refused > 0 {
		return &command.CodedError{Code: command.ExitUnavailable, Err: fmt.Errorf("the controller refuses to cancel %s: their jobs belong to other callers", wording.Count(uint64(refused), "task"))} // A count.
	}
	if missing > 0 {
		return &command.CodedError{Code: command.ExitNotFound, Err: fmt.Errorf("%s unknown to the controller", wording.Count(uint64(missing), "task"))} // A count.
	}
	return nil
}

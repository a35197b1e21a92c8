package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/retryid"
)

// retryOptions are those of the retry command.
type retryOptions struct {
	job, name string
	cancelled bool
}

func (a *app) newRetry() *cobra.Command {
	var o retryOptions
	cmd := &cobra.Command{
		Use:   "retry ID... | --job JOB",
		Short: "Run failed tasks again, or all of a job",
		Long: `Run tasks again that have failed or were cancelled, each as a task of its own in the same job. Its id is that of the old
one and "/retry-NAME"; what the old one has ended with stays as it is. What has completed is not run again, nor is what
failed because another task had: submit that anew.

With --job, those tasks of the job run again that have failed, unless one of their retries has completed or is under way.

The same --name retries nothing twice: give it again where a retry was cut short.`,
		Example: `  fray list --status failed --why
  fray retry --job nightly
  fray retry 01JD8Y2V4M9E8Q6T1ZK5W7XN3C -o json | jq -r .retry_task_id | xargs fray wait`,
		Args: func(_ *cobra.Command, ids []string) error {
			switch {
			case len(ids) == 0 && o.job == "":
				return command.UsageError("which tasks? give their ids, or --job")
			case len(ids) > 0 && o.job != "":
				return command.UsageError("give ids of tasks or --job, not both")
			case o.name != "" && !retryid.IsName(o.name):
				return command.UsageError("--name %q: write 1 to 16 of A-Z a-z 0-9", o.name)
			}
			return nil
		},
		RunE: a.calling(func(ctx context.Context, c *client, ids []string) error { return a.retry(ctx, c, ids, o) }),
	}
	a.addClientFlags(cmd)
	cmd.Flags().StringVar(&o.job, "job", "", "run every failed task of this `job` again")
	cmd.Flags().BoolVar(&o.cancelled, "cancelled", false, "with --job, also those that were cancelled")
	cmd.Flags().StringVar(&o.name, "name", "", "what the retry is called; by default a `name` of its own")
	command.Momentary(cmd.Flags(), "job", "cancelled", "name")
	a.addOutputFlag(cmd)
	return cmd
}

func (a *app) retry(ctx context.Context, c *client, ids []string, o retryOptions) error {
	if o.name == "" {
		o.name = strings.ToLower(rand.Text()[:8])
	}
	blocked := 0
	if o.job != "" {
		var err error
		if ids, blocked, err = a.dead(ctx, c, o); err != nil {
			return err
		}
	}
	told := &listing{app: a, header: []string{"task", "runs again as"}}
	refused := make(map[string]uint64) // by the code
	all := uint64(0)
	for chunk := range slices.Chunk(ids, limit.Retry) {
		res, err := ask(ctx, c, c.RetryTasks, &frayv1.RetryTasksRequest{TaskIds: chunk, RetryId: o.name})
		if err != nil {
			return fmt.Errorf("%w (to go on, give --name %s)", err, o.name)
		}
		for i, t := range res.GetTasks() {
			if err := told.add(retryRow(chunk[i], t)); err != nil {
				return err
			}
			if f := t.GetFailure(); f != nil {
				refused[f.GetCode()]++
				all++
			}
		}
	}
	if len(ids) > 0 {
		told.end("")
	} else {
		fmt.Fprintf(a.Stderr, "no task of job %s is to run again\n", o.job)
	}
	if blocked > 0 {
		fmt.Fprintf(a.Stderr, "%s of job %s failed because others had: submit them anew\n", wording.Count(uint64(blocked), "task"), o.job) // A count.
	}
	full := refused[connect.CodeResourceExhausted.String()]
	switch {
	case all == 0:
		return nil
	case refused[connect.CodeNotFound.String()] == all:
		return &command.CodedError{Code: command.ExitNotFound, Err: fmt.Errorf("%s unknown to the controller", wording.Count(all, "task"))}
	case full > 0:
		return &command.CodedError{Code: command.ExitUnavailable, Err: fmt.Errorf("the controller has no room for %s: try again later with --name %s", wording.Count(full, "task"), o.name)}
	default:
		return &command.CodedError{Code: command.ExitUnavailable, Err: fmt.Errorf("%s cannot run again", wording.Count(all, "task"))}
	}
}

// retryRow is what became of a task's retry.
func retryRow(id string, t *frayv1.RetriedTask) (row []string, object any) {
	type refusalJSON struct {
		Reason  string `json:"reason"`
		Message string `json:"message"`
	}
	type retryJSON struct {
		TaskID  string       `json:"task_id"`
		Retry   string       `json:"retry_task_id,omitempty"`
		Created bool         `json:"created"`
		Refused *refusalJSON `json:"refused,omitempty"`
	}
	if f := t.GetFailure(); f != nil {
		return []string{id, "- (" + strings.TrimPrefix(f.GetMessage(), fmt.Sprintf("task %q: ", id)) + ")"},
			retryJSON{TaskID: id, Refused: &refusalJSON{f.GetReason(), f.GetMessage()}}
	}
	again := t.GetTaskId()
	if !t.GetCreated() {
		again += " (it was there)"
	}
	return []string{id, again}, retryJSON{TaskID: id, Retry: t.GetTaskId(), Created: t.GetCreated()}
}

// dead returns the tasks of a job that are to run again, and how many failed because others had. Of a task and its
// retries that is the last one.
func (a *app) dead(ctx context.Context, c *client, o retryOptions) (ids []string, blocked int, err error) {
	last := make(map[string]*frayv1.Task) // by the id of the first
	var order []string
	err = c.eachTask(ctx, &frayv1.ListTasksRequest{JobId: o.job}, 0, func(page []*frayv1.Task) error {
		for _, t := range page {
			first := retryid.First(t.GetTaskId())
			again := first != t.GetTaskId()
			if !again && !o.runsAgain(t) {
				continue
			}
			if last[first] == nil {
				order = append(order, first)
			}
			if other := last[first]; other == nil || !good(other) {
				last[first] = t
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	for _, first := range order {
		switch t := last[first]; {
		case !o.runsAgain(t):
		case t.GetFailureReason() == frayv1.FailureReason_FAILURE_REASON_DEPENDENCY_FAILED:
			blocked++
		default:
			ids = append(ids, t.GetTaskId())
		}
	}
	return ids, blocked, nil
}

// good says of a task that there is no need to run it again.
func good(t *frayv1.Task) bool {
	return !isTerminal(t.GetStatus()) || t.GetStatus() == frayv1.TaskStatus_TASK_STATUS_COMPLETED
}

// runsAgain says whether a task of the job is one that runs again.
func (o *retryOptions) runsAgain(t *frayv1.Task) bool {
	return t.GetStatus() == frayv1.TaskStatus_TASK_STATUS_FAILED || o.cancelled && t.GetStatus() == frayv1.TaskStatus_TASK_STATUS_CANCELLED
}

// eachTask calls f with pages of tasks, with most tasks in all at most; 0: all.
func (c *client) eachTask(ctx context.Context, req *frayv1.ListTasksRequest, most int, f func([]*frayv1.Task) error) error {
	for listed := 0; ; {
		req.PageSize = listPage
		if most > 0 {
			req.PageSize = number.Clamp[uint32](min(listPage, most-listed))
		}
		page, err := ask(ctx, c, c.ListTasks, req)
		if err != nil {
			return err
		}
		if err := f(page.GetTasks()); err != nil {
			return err
		}
		listed += len(page.GetTasks())
		req.PageToken = page.GetNextPageToken()
		if req.PageToken == "" || most > 0 && listed >= most {
			return nil
		}
	}
}

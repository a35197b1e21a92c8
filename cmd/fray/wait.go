package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/number"
)

const (
	// pollWait is how long the controller may hold one call that waits for the end of a task.
	pollWait = 10 * time.Second
	// maxAwait is how many tasks one call may wait for.
	maxAwait = 10_000
)

func (a *app) newWait() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait ID...",
		Short: "Wait for tasks to end",
		Long: `Wait for tasks to end, and print how they did, in the order in which they were given. It exits with 1 if one of them
failed or was cancelled, and with 5 if the timeout came first.`,
		Example: "  fray wait --timeout 10m $(fray submit -- make release)",
		Args:    someArgs("tasks"),
		RunE: a.calling(func(ctx context.Context, c *client, ids []string) error {
			results, err := c.await(ctx, ids, timeout)
			if err != nil {
				return err
			}
			return a.printResults(results)
		}),
	}
	a.addClientFlags(cmd)
	command.Duration(cmd.Flags(), &timeout, "timeout", 0, "wait this long at most; 0: for ever")
	a.addOutputFlag(cmd)
	return cmd
}

// await returns the results of tasks, once all have ended, in the order of ids. A timeout of 0 is
// none. All of them are waited for from the start, so that the end of one is not missed over
// another.
func (c *client) await(ctx context.Context, ids []string, timeout time.Duration) ([]*frayv1.TaskResult, error) {
	bounded := ctx
	if timeout > 0 {
		late := &command.CodedError{Code: command.ExitTimedOut, Err: fmt.Errorf("not all tasks have ended within %s", number.ShortDuration(timeout))}
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeoutCause(ctx, timeout, late)
		defer cancel()
	}
	ended := make(map[string]*frayv1.TaskResult, len(ids))
	open := slices.Compact(slices.Sorted(slices.Values(ids)))
	for len(open) > 0 {
		wait := pollWait
		var rest []string
		for part := range slices.Chunk(open, maxAwait) {
			if len(open) > maxAwait {
				wait = min(wait, time.Second) // The other parts wait, too.
			}
			results, err := c.results(bounded, part, wait)
			if err != nil {
				return nil, err
			}
			for _, r := range results {
				ended[r.GetTask().GetTaskId()] = r
			}
			for _, id := range part {
				if ended[id] == nil {
					rest = append(rest, id)
				}
			}
		}
		open = rest
	}
	results := make([]*frayv1.TaskResult, len(ids))
	for i, id := range ids {
		results[i] = ended[id]
	}
	return results, nil
}

// results returns how those of the tasks ended that have, once one of them has. One that is unknown
// is an error.
func (c *client) results(ctx context.Context, ids []string, wait time.Duration) ([]*frayv1.TaskResult, error) {
	var res *frayv1.GetTaskResultsResponse
	err := c.within(ctx, wait, func(ctx context.Context) (err error) {
		res, err = c.GetTaskResults(ctx, &frayv1.GetTaskResultsRequest{TaskIds: ids, MaxWaitMs: number.Millis(wait)})
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, id := range res.GetUnknownTaskIds() {
		return nil, &command.CodedError{Code: command.ExitNotFound, Err: fmt.Errorf("task %q: unknown task", id)}
	}
	for _, id := range res.GetRefusedTaskIds() {
		return nil, &command.CodedError{Code: command.ExitUnavailable, Err: fmt.Errorf("the controller refuses: task %q: its job belongs to another caller", id)}
	}
	results := res.GetResults()
	for i, r := range results {
		if !r.GetValueOmitted() {
			continue
		}
		if results[i], err = c.result(ctx, r.GetTask().GetTaskId(), 0); err != nil {
			return nil, err
		}
	}
	return results, nil
}

func (c *client) result(ctx context.Context, id string, wait time.Duration) (*frayv1.TaskResult, error) {
	var res *frayv1.GetTaskResultResponse
	err := c.within(ctx, wait, func(ctx context.Context) (err error) {
		res, err = c.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: id, MaxWaitMs: number.Millis(wait)})
		return err
	})
	return res.GetResult(), err
}

// printResults prints how tasks ended. It returns an error if one did not complete.
func (a *app) printResults(results []*frayv1.TaskResult) error {
	failed := 0
	tasks := &listing{app: a, header: taskHeader}
	for _, r := range results {
		if r.GetTask().GetStatus() != frayv1.TaskStatus_TASK_STATUS_COMPLETED {
			failed++
		}
		if err := tasks.add(taskRow(r.GetTask()), newResultJSON(r)); err != nil {
			return err
		}
	}
	tasks.end("no tasks")
	if failed > 0 {
		return &command.CodedError{Code: command.ExitTaskFailed, Err: fmt.Errorf("%d of %s did not complete", failed, wording.Count(uint64(len(results)), "task"))}
	}
	return nil
}

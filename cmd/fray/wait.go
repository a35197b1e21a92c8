package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// pollWait is how long the controller may hold one call that waits for the end of a task.
const pollWait = 10 * time.Second

func (a *app) newWait() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait ID...",
		Short: "Wait for tasks to end",
		Long: `Wait for tasks to end, and print how they did, in the order in which they were given. It exits with 1 if one of them
failed or was cancelled, and with 5 if the timeout came first.`,
		Example: "  fray wait --timeout 10m $(fray submit -- make release)",
		Args:    someArgs("tasks"),
		RunE: func(cmd *cobra.Command, ids []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.close()
			results, err := c.await(cmd.Context(), ids, timeout)
			if err != nil {
				return err
			}
			return a.printResults(results)
		},
	}
	a.addClientFlags(cmd)
	durationFlag(cmd, &timeout, "timeout", 0, "wait this long at most; 0: for ever")
	a.addOutputFlag(cmd)
	return cmd
}

// await returns the results of tasks, once all have ended. A timeout of 0 is none.
func (c *client) await(ctx context.Context, ids []string, timeout time.Duration) ([]*frayv1.TaskResult, error) {
	bounded := ctx
	if timeout > 0 {
		late := &codedError{exitTimedOut, fmt.Errorf("not all tasks have ended within %s", shortDuration(timeout))}
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeoutCause(ctx, timeout, late)
		defer cancel()
	}
	results := make([]*frayv1.TaskResult, 0, len(ids))
	for _, id := range ids { // first all of them without waiting, so that an unknown one shows at once
		result, err := c.result(bounded, id, 0)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	for i, id := range ids {
		for !isTerminal(results[i].GetTask().GetStatus()) {
			var err error
			if results[i], err = c.result(bounded, id, pollWait); err != nil {
				return nil, err
			}
		}
	}
	return results, nil
}

func (c *client) result(ctx context.Context, id string, wait time.Duration) (*frayv1.TaskResult, error) {
	var res *frayv1.GetTaskResultResponse
	err := c.within(ctx, wait, func(ctx context.Context) (err error) {
		res, err = c.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: id, MaxWaitMs: wait.Milliseconds()})
		return err
	})
	return res.GetResult(), err
}

// printResults prints how tasks ended. It returns an error if one did not complete.
func (a *app) printResults(results []*frayv1.TaskResult) error {
	failed := 0
	var rows [][]string
	for _, r := range results {
		if r.GetTask().GetStatus() != frayv1.TaskStatus_TASK_STATUS_COMPLETED {
			failed++
		}
		if a.output != formatJSON {
			rows = append(rows, taskRow(r.GetTask()))
		} else if err := printJSON(a.stdout, newResultJSON(r)); err != nil {
			return err
		}
	}
	if a.output != formatJSON {
		printTable(a.stdout, taskHeader, rows)
	}
	if failed > 0 {
		return &codedError{exitTaskFailed, fmt.Errorf("%d of %s did not complete", failed, count(uint64(len(results)), "task"))}
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/sleep"
)

const (
	// pollWait is how long the controller may hold one call that waits for the end of a task.
	pollWait = 10 * time.Second
	// hastyAnswer is how soon no controller answers a call that may wait, unless there is something to tell.
	hastyAnswer = 100 * time.Millisecond
	// maxAwait is how many tasks one call may wait for.
	maxAwait = 10_000
)

func (a *app) newWait() *cobra.Command {
	var timeout time.Duration
	var job string
	cmd := &cobra.Command{
		Use:   "wait ID... | --job JOB",
		Short: "Wait for tasks to end, or all of a job",
		Long: `Wait for tasks to end, and print how they did, in the order in which they were given. It exits with 1 if one of them
failed or was cancelled, and with 5 if the timeout came first.

With --job, wait until no task of the job is open, and print how many have failed; of a task and its retries the last
counts. A schedule is open until it is deleted. It also exits with 1 if the job has failed as a whole, as its --max-failed says.`,
		Example: `  fray wait --timeout 10m $(fray submit -- make release)
  fray retry --job nightly && fray wait --job nightly`,
		Args: func(_ *cobra.Command, ids []string) error {
			switch {
			case len(ids) == 0 && job == "":
				return command.UsageError("which tasks? give their ids, or --job")
			case len(ids) > 0 && job != "":
				return command.UsageError("give ids of tasks or --job, not both")
			}
			return nil
		},
		RunE: a.calling(func(ctx context.Context, c *client, ids []string) error {
			if job != "" {
				return a.waitForJob(ctx, c, job, timeout)
			}
			results, err := c.await(ctx, ids, timeout)
			if err != nil {
				return err
			}
			return a.printResults(results)
		}),
	}
	a.addClientFlags(cmd)
	command.Duration(cmd.Flags(), &timeout, "timeout", 0, "wait this long at most; 0: for ever")
	cmd.Flags().StringVar(&job, "job", "", "wait for all tasks of this `job`")
	command.Momentary(cmd.Flags(), "job")
	a.addOutputFlag(cmd)
	return cmd
}

// waitForJob waits until no task of a job is open, and says how it did.
func (a *app) waitForJob(ctx context.Context, c *client, job string, timeout time.Duration) error {
	bounded, cancel := within(ctx, timeout, fmt.Sprintf("job %s has not ended", job))
	defer cancel()
	for {
		var res *frayv1.GetJobResponse
		begun := time.Now()
		err := c.within(bounded, pollWait, func(ctx context.Context) (err error) {
			res, err = c.GetJob(ctx, &frayv1.GetJobRequest{JobId: job, MaxWaitMs: number.Millis(pollWait)})
			return err
		})
		switch {
		case err != nil:
			return err
		case !res.GetKnown():
			return unknownJob(job)
		case res.GetOpenCount() == 0:
			return a.printJob(ctx, c, job, res)
		case time.Since(begun) < hastyAnswer: // A controller of an earlier release does not wait.
			_ = sleep.For(bounded, time.Second)
		}
	}
}

func (a *app) printJob(ctx context.Context, c *client, job string, r *frayv1.GetJobResponse) error {
	ended := r.GetEndedCount()
	dead, blocked, err := a.dead(ctx, c, retryOptions{job: job})
	if err != nil {
		return err
	}
	failed := number.Clamp[uint64](len(dead) + blocked)
	if a.output == formatJSON {
		err = printJSON(a.Stdout, struct {
			JobID  string `json:"job_id"`
			Ended  uint64 `json:"ended"`
			Failed uint64 `json:"failed"`
			Whole  bool   `json:"failed_as_a_whole,omitempty"`
		}{job, ended, failed, r.GetFailed()})
	} else {
		_, err = fmt.Fprintf(a.Stdout, "job %s: %s ended, %d of them failed\n", job, wording.Count(ended, "task"), failed)
	}
	if err == nil && r.GetFailed() {
		return &command.CodedError{Code: command.ExitTaskFailed, Err: errors.New(jobFailure(job, r))}
	}
	if err == nil && failed > 0 {
		err = &command.CodedError{Code: command.ExitTaskFailed, Err: fmt.Errorf("%s of job %s failed", wording.Count(failed, "task"), job)}
	}
	return err
}

// within bounds the time of a command. A timeout of 0 is none; what says what has not come by then.
func within(ctx context.Context, timeout time.Duration, what string) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		return context.WithCancel(ctx)
	}
	late := &command.CodedError{Code: command.ExitTimedOut, Err: fmt.Errorf("%s within %s", what, number.ShortDuration(timeout))}
	return context.WithTimeoutCause(ctx, timeout, late)
}

// await returns the results of tasks, once all have ended, in the order of ids. A timeout of 0 is
// none. All of them are waited for from the start, so that the end of one is not missed over
// another.
func (c *client) await(ctx context.Context, ids []string, timeout time.Duration) ([]*frayv1.TaskResult, error) {
	bounded, cancel := within(ctx, timeout, "not all tasks have ended")
	defer cancel()
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

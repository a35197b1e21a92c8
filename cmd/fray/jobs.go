package main

import (
	"cmp"
	"context"
	"strconv"

	"github.com/spf13/cobra"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/number"
)

// listedJobJSON is a job of a list as -o json writes it.
type listedJobJSON struct {
	JobID           string  `json:"job_id"`
	Owner           string  `json:"owner,omitempty"`
	ParentJobID     string  `json:"parent_job_id,omitempty"`
	Open            uint64  `json:"open"`
	Ready           uint64  `json:"ready"`
	Leased          uint64  `json:"leased"`
	Ended           uint64  `json:"ended"`
	FailedTasks     uint64  `json:"failed_tasks"`
	Failed          bool    `json:"failed"`
	Watchers        uint32  `json:"watchers"`
	LastSubmittedAt *string `json:"last_submitted_at"`
	LastEndedAt     *string `json:"last_ended_at"`
}

func (a *app) newJobs() *cobra.Command {
	var open bool
	var most int
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "List jobs",
		Long: `List the jobs of which the controller knows tasks, those that were submitted to last first. "At workers" are tasks that a
worker has, "ready" those that wait for one alone. With -o json, each is an object on a line of its own.`,
		Example: `  fray jobs --open
  fray jobs --limit 10 -o json | jq -r .job_id`,
		Args: noArgs,
		RunE: a.calling(func(ctx context.Context, c *client, _ []string) error { return a.listJobs(ctx, c, open, most) }),
	}
	a.addClientFlags(cmd)
	cmd.Flags().BoolVar(&open, "open", false, "only jobs with tasks that have not ended")
	command.Momentary(cmd.Flags(), "open")
	command.AtLeast(cmd.Flags(), &most, 0, "limit", 0, "list this many at most; 0: all")
	a.addOutputFlag(cmd)
	return cmd
}

func (a *app) listJobs(ctx context.Context, c *client, open bool, most int) error {
	jobs := &listing{app: a, header: []string{"job", "state", "open", "ready", "at workers", "ended", "failed", "submitted", "owner"}}
	req := &frayv1.ListJobsRequest{OpenOnly: open}
	for listed := 0; ; {
		req.PageSize = listPage
		if most > 0 {
			req.PageSize = number.Clamp[uint32](min(listPage, most-listed))
		}
		page, err := ask(ctx, c, c.ListJobs, req)
		if err != nil {
			return err
		}
		for _, j := range page.GetJobs() {
			if err := jobs.add(jobRow(j), newListedJobJSON(j)); err != nil {
				return err
			}
		}
		listed += len(page.GetJobs())
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" || most > 0 && listed >= most {
			break
		}
	}
	jobs.end("no jobs")
	return nil
}

func jobRow(j *frayv1.Job) []string {
	state := "ended"
	switch {
	case j.GetFailed():
		state = "failed"
	case j.GetOpenCount() > 0:
		state = "open"
	}
	return []string{
		j.GetJobId(), state, count(j.GetOpenCount()), count(j.GetReadyCount()), count(j.GetLeasedCount()), count(j.GetEndedCount()),
		count(j.GetFailedCount()), ago(j.GetLastSubmittedUnixMs()), cmp.Or(j.GetOwner(), "-"),
	}
}

func count(n uint64) string { return strconv.FormatUint(n, 10) }

func newListedJobJSON(j *frayv1.Job) listedJobJSON {
	return listedJobJSON{
		JobID: j.GetJobId(), Owner: j.GetOwner(), ParentJobID: j.GetParentJobId(), Open: j.GetOpenCount(), Ready: j.GetReadyCount(),
		Leased: j.GetLeasedCount(), Ended: j.GetEndedCount(), FailedTasks: j.GetFailedCount(), Failed: j.GetFailed(), Watchers: j.GetWatcherCount(),
		LastSubmittedAt: timestamp(j.GetLastSubmittedUnixMs()), LastEndedAt: timestamp(j.GetLastEndedUnixMs()),
	}
}

package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
)

// listPage is how many tasks one call lists.
const listPage = 1000

// listOptions are those of the list command.
type listOptions struct {
	job      string
	statuses []string
	function string
	worker   string
	since    instantValue
	until    instantValue
	oldest   bool
	limit    int
	why      bool
}

var statusChoices = []string{"pending", "leased", "running", "completed", "failed", "cancelled"}

func (a *app) newList() *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tasks",
		Long:  "List the tasks that the controller knows, the latest first. With -o json, each is an object on a line of its own.",
		Example: `  fray list --status running,pending
  fray list --status failed --why --since 1h
  fray list --worker worker-2 --limit 20
  fray list --job nightly -o json | jq -r .task_id`,
		Args: noArgs,
		RunE: a.calling(func(ctx context.Context, c *client, _ []string) error { return a.list(ctx, c, o) }),
	}
	a.addClientFlags(cmd)
	cmd.Flags().StringVar(&o.job, "job", "", "only tasks of this `job`")
	cmd.Flags().Var(&statusesValue{&o.statuses}, "status", "only tasks with one of these: "+strings.Join(statusChoices, ", "))
	cmd.Flags().StringVar(&o.function, "function", "", "only tasks of this function, by its `name`")
	cmd.Flags().StringVar(&o.worker, "worker", "", "only tasks whose current or last attempt is at this worker, by its `id`")
	cmd.Flags().Var(&o.since, "since", "only tasks that were submitted at this time or later: RFC 3339, or how long ago, such as 10m")
	cmd.Flags().Var(&o.until, "until", "only tasks that were submitted before this time")
	cmd.Flags().BoolVar(&o.oldest, "oldest-first", false, "list the oldest first")
	command.Momentary(cmd.Flags(), "since", "until")
	a.complete(cmd, "job", jobIDs)
	a.complete(cmd, "worker", workerIDs)
	a.complete(cmd, "function", functionNames)
	completeStatuses(cmd, "status")
	command.AtLeast(cmd.Flags(), &o.limit, 0, "limit", 0, "list this many at most; 0: all")
	cmd.Flags().BoolVar(&o.why, "why", false, "also tell the errors of tasks that have failed")
	command.Momentary(cmd.Flags(), "why")
	a.addOutputFlag(cmd)
	return cmd
}

// statusesValue is a list of statuses.
type statusesValue struct{ list *[]string }

func (v *statusesValue) String() string {
	if v.list == nil {
		return ""
	}
	return strings.Join(*v.list, ",")
}
func (*statusesValue) Type() string { return "list" }
func (v *statusesValue) Reset()     { *v.list = nil }

func (v *statusesValue) Set(text string) error {
	for name := range strings.SplitSeq(text, ",") {
		choice := strings.ToLower(name)
		if err := command.CheckChoice(choice, statusChoices); err != nil {
			return err
		}
		*v.list = append(*v.list, choice)
	}
	return nil
}

// instantValue is a time in RFC 3339, or how long ago it was. The zero value is none.
type instantValue struct {
	text string
	at   time.Time
}

func (v *instantValue) String() string { return v.text }
func (*instantValue) Type() string     { return "time" }

func (v *instantValue) Set(text string) error {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return errors.New("give a time such as 2026-11-30T09:00:00Z, or how long ago it was, such as 10m")
		}
		at = time.Now().Add(-d)
	}
	if at.UnixMilli() <= 0 {
		return errors.New("give a time after 1970")
	}
	v.text, v.at = text, at
	return nil
}

// unixMilli returns the time in milliseconds; 0: none.
func (v *instantValue) unixMilli() int64 {
	if v.at.IsZero() {
		return 0
	}
	return v.at.UnixMilli()
}

func (a *app) list(ctx context.Context, c *client, o listOptions) error {
	req := &frayv1.ListTasksRequest{
		JobId: o.job, PageSize: listPage, NewestFirst: !o.oldest, Function: o.function, WorkerId: o.worker,
		SubmittedFromUnixMs: o.since.unixMilli(), SubmittedUntilUnixMs: o.until.unixMilli(),
	}
	for _, name := range o.statuses {
		req.Statuses = append(req.Statuses, frayv1.TaskStatus(frayv1.TaskStatus_value["TASK_STATUS_"+strings.ToUpper(name)]))
	}
	tasks := &listing{app: a, header: taskHeader}
	if o.why {
		tasks.header = append(slices.Clone(taskHeader), "why")
	}
	err := c.eachTask(ctx, req, o.limit, func(page []*frayv1.Task) error {
		errs := make(map[string]*frayv1.TaskResult)
		if o.why {
			var err error
			if errs, err = whyFailed(ctx, c, page); err != nil {
				return err
			}
		}
		for _, t := range page {
			row, object := taskRow(t), any(newTaskJSON(t))
			if r := errs[t.GetTaskId()]; o.why {
				row = append(row, cmp.Or(r.GetError().GetMessage(), "-"))
				if r != nil {
					object = newResultJSON(r)
				}
			}
			if err := tasks.add(row, object); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	tasks.end("no tasks")
	return nil
}

// whyFailed returns what those of some tasks ended with that failed, by their ids. One that was forgotten meanwhile is
// not there.
func whyFailed(ctx context.Context, c *client, tasks []*frayv1.Task) (map[string]*frayv1.TaskResult, error) {
	var ids []string
	for _, t := range tasks {
		if t.GetStatus() == frayv1.TaskStatus_TASK_STATUS_FAILED {
			ids = append(ids, t.GetTaskId())
		}
	}
	found := make(map[string]*frayv1.TaskResult, len(ids))
	for len(ids) > 0 {
		res, err := ask(ctx, c, c.GetTaskResults, &frayv1.GetTaskResultsRequest{TaskIds: ids})
		if err != nil {
			return nil, err
		}
		seen := make(map[string]bool)
		for _, r := range res.GetResults() {
			found[r.GetTask().GetTaskId()], seen[r.GetTask().GetTaskId()] = r, true
		}
		for _, id := range slices.Concat(res.GetUnknownTaskIds(), res.GetRefusedTaskIds()) {
			seen[id] = true
		}
		if len(seen) == 0 {
			break
		}
		ids = slices.DeleteFunc(ids, func(id string) bool { return seen[id] })
	}
	return found, nil
}

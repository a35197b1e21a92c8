package main

import (
	"cmp"
	"context"
	"slices"
	"strings"

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
	limit    int
	why      bool
}

var statusChoices = []string{"pending", "leased", "running", "completed", "failed", "cancelled"}

func (a *app) newList() *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tasks",
		Long:  "List the tasks that the controller knows, oldest first. With -o json, each is an object on a line of its own.",
		Example: `  fray list --status running,pending
  fray list --status failed --why
  fray list --job nightly -o json | jq -r .task_id`,
		Args: noArgs,
		RunE: a.calling(func(ctx context.Context, c *client, _ []string) error { return a.list(ctx, c, o) }),
	}
	a.addClientFlags(cmd)
	cmd.Flags().StringVar(&o.job, "job", "", "only tasks of this `job`")
	cmd.Flags().Var(&statusesValue{&o.statuses}, "status", "only tasks with one of these: "+strings.Join(statusChoices, ", "))
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

func (a *app) list(ctx context.Context, c *client, o listOptions) error {
	req := &frayv1.ListTasksRequest{JobId: o.job, PageSize: listPage}
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

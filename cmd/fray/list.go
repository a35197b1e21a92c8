package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/number"
)

// listPage is how many tasks one call lists.
const listPage = 1000

// listOptions are those of the list command.
type listOptions struct {
	job      string
	statuses []string
	limit    int
}

var statusChoices = []string{"pending", "leased", "running", "completed", "failed", "cancelled"}

func (a *app) newList() *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tasks",
		Long:  "List the tasks that the controller knows, oldest first. With -o json, each is an object on a line of its own.",
		Example: `  fray list --status running,pending
  fray list --job nightly -o json | jq -r .task_id`,
		Args: noArgs,
		RunE: a.calling(func(ctx context.Context, c *client, _ []string) error { return a.list(ctx, c, o) }),
	}
	a.addClientFlags(cmd)
	cmd.Flags().StringVar(&o.job, "job", "", "only tasks of this `job`")
	cmd.Flags().Var(&statusesValue{&o.statuses}, "status", "only tasks with one of these: "+strings.Join(statusChoices, ", "))
	command.AtLeast(cmd.Flags(), &o.limit, 0, "limit", 0, "list this many at most; 0: all")
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
	for listed := 0; ; {
		if o.limit > 0 {
			req.PageSize = number.Clamp[uint32](min(listPage, o.limit-listed))
		}
		page, err := ask(ctx, c, c.ListTasks, req)
		if err != nil {
			return err
		}
		for _, t := range page.GetTasks() {
			if err := tasks.add(taskRow(t), newTaskJSON(t)); err != nil {
				return err
			}
		}
		listed += len(page.GetTasks())
		req.PageToken = page.GetNextPageToken()
		if req.PageToken == "" || (o.limit > 0 && listed >= o.limit) {
			break
		}
	}
	tasks.end("no tasks")
	return nil
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/limit"
)

// scheduleJSON is a schedule as -o json writes it.
type scheduleJSON struct {
	ScheduleID string  `json:"schedule_id"`
	Name       string  `json:"name"`
	Cron       string  `json:"cron"`
	TimeZone   string  `json:"time_zone"`
	CatchUp    string  `json:"catch_up"`
	Overlap    bool    `json:"overlap"`
	Function   string  `json:"function"`
	JobID      string  `json:"job_id"`
	NextAt     *string `json:"next_at"`
	LastRunID  string  `json:"last_run_id,omitempty"`
	LastRunAt  *string `json:"last_run_at"`
	Runs       uint64  `json:"runs"`
	Missed     uint64  `json:"missed"`
}

func newScheduleJSON(s *frayv1.Schedule) scheduleJSON {
	return scheduleJSON{
		ScheduleID: s.GetScheduleId(), Name: s.GetName(), Cron: s.GetCron(), TimeZone: cmp.Or(s.GetTimeZone(), time.UTC.String()),
		CatchUp: strings.ToLower(strings.TrimPrefix(s.GetCatchUp().String(), "CATCH_UP_")), Overlap: s.GetOverlaps(),
		Function: s.GetFunction(), JobID: s.GetJobId(), NextAt: timestamp(s.GetNextUnixMs()), LastRunID: s.GetLastRunId(), LastRunAt: timestamp(s.GetLastRunUnixMs()),
		Runs: s.GetRunCount(), Missed: s.GetMissedCount(),
	}
}

func (a *app) newSchedule() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Submit tasks at the times of a cron line",
		Long: `Add, list and delete schedules. The controller submits a task at each time of a schedule, until that is deleted.

A schedule is a task that waits, and its runs are tasks whose ids are its own and their time, such as 01M84R5VN6Z4MTD6CR6ZHFNQ1N/2026-11-30T03:00:00Z:
"fray list" and "fray get" show them as all others.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{
		Use:     "list",
		Short:   "List schedules",
		Long:    "List the schedules that there are, oldest first. With -o json, each is an object on a line of its own.",
		Example: "  fray schedule list\n  fray schedule list -o json | jq -r 'select(.missed > 0) | .name'",
		Args:    noArgs,
		RunE:    a.calling(func(ctx context.Context, c *client, _ []string) error { return a.listSchedules(ctx, c) }),
	}
	end := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a schedule",
		Long: `Delete the schedule of a name, of those of the caller. Nothing is submitted at its times from then on; its runs go on.
"fray cancel ID" deletes one by its id.`,
		Args: oneArg("name of a schedule"),
		RunE: a.calling(func(ctx context.Context, c *client, args []string) error { return a.deleteSchedule(ctx, c, args[0]) }),
	}
	for _, sub := range []*cobra.Command{list, end} {
		a.addClientFlags(sub)
		a.addOutputFlag(sub)
	}
	cmd.AddCommand(a.newScheduleAdd(), list, end)
	return cmd
}

// scheduleOptions are those of schedule add.
type scheduleOptions struct {
	taskOptions

	zone    string
	catchUp string
	overlap bool
}

func (a *app) newScheduleAdd() *cobra.Command {
	var o scheduleOptions
	cmd := &cobra.Command{
		Use:   "add [flags] NAME CRON (FUNCTION [INPUT] | -- COMMAND [ARG]...)",
		Short: "Add a schedule",
		Long: `Have the controller submit a task at each time of a cron line: one that runs a function of workers of your own, with JSON, @file or - (the
standard input) as its input, or one that executes a command on a worker.

The line has five fields as in crontab(5): minute, hour, day of month, month and day of week; where both days are given, either will do. It may
be a macro such as @daily, or @every 90s. Its times are in UTC, or in the time zone that is named.

Adding the same schedule again under the same name changes nothing, so that a script may repeat it. Another one under the name is
refused: delete the first.`,
		Example: `  fray schedule add nightly '30 2 * * *' --time-zone Europe/Berlin --retries 3 -- rsync -a src/ backup:dst/
  fray schedule add poll '@every 90s' fetch '{"url": "https://example.com/feed"}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.addSchedule(cmd.Context(), o, args, cmd.ArgsLenAtDash())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.zone, "time-zone", time.UTC.String(), "the IANA `name` of the time zone of its times, such as Europe/Berlin")
	command.OneOf(flags, &o.catchUp, "catch-up", "", catchUps[0], "`which` of the times that pass while the controller is away are run later; with none only those are that are a minute late at most", catchUps...)
	flags.BoolVar(&o.overlap, "overlap", false, "run a time also while the last run has not ended; else it is missed")
	addTaskFlags(flags, &o.taskOptions)
	flags.VisitAll(func(flag *pflag.Flag) { command.Momentary(flags, flag.Name) })
	a.addClientFlags(cmd)
	a.addOutputFlag(cmd)
	return cmd
}

// catchUps are the values of --catch-up, the default first.
var catchUps = []string{"last", "all", "none"}

// scheduled is the schedule that the options and arguments ask for. dash is how many of these are before a --; negative: there is none.
func (a *app) scheduled(o scheduleOptions, args []string, dash int) (*frayv1.TaskSpec, error) {
	const form = "give NAME CRON FUNCTION [INPUT], or NAME CRON -- COMMAND, with the cron line in quotes"
	if len(args) < 3 {
		return nil, command.UsageError("there are too few arguments, %d: %s", len(args), form)
	}
	var spec *frayv1.TaskSpec
	var err error
	switch {
	case dash == 2:
		spec, err = o.commandSpec(args[2:])
	case len(args) > 4:
		return nil, command.UsageError("there are too many arguments, %d: %s", len(args), form)
	default:
		spec, err = a.functionSpec(&o.taskOptions, args[2], strings.Join(args[3:], ""), "the input")
	}
	if err != nil {
		return nil, err
	}
	spec.Schedule = &frayv1.ScheduleSpec{
		Name: args[0], Cron: args[1], CatchUp: frayv1.CatchUp(frayv1.CatchUp_value["CATCH_UP_"+strings.ToUpper(o.catchUp)]), Overlaps: o.overlap,
	}
	if o.zone != time.UTC.String() {
		spec.Schedule.TimeZone = o.zone
	}
	if n := len(spec.GetPayload().GetData()); n > limit.SchedulePayload {
		return nil, command.UsageError("schedule %q: its task has an input of %d bytes, which is more than %d: have its runs read it from elsewhere", args[0], n, limit.SchedulePayload)
	}
	return spec, nil
}

func (a *app) addSchedule(ctx context.Context, o scheduleOptions, args []string, dash int) error {
	spec, err := a.scheduled(o, args, dash)
	if err != nil {
		return err
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	name := spec.GetSchedule().GetName()
	if _, err := c.schedule(ctx, name); err != nil {
		return err // A controller of an earlier release would see a task in it, and run it at once.
	}
	res, err := c.submit(ctx, o.job, nil, spec)
	if err != nil {
		return err
	}
	if res.GetTask().GetStatus() == frayv1.TaskStatus_TASK_STATUS_CANCELLED {
		return &command.CodedError{Code: command.ExitUsage, Err: fmt.Errorf("schedule %q: that of id %q was deleted: choose another --id", name, spec.GetTaskId())}
	}
	s, err := c.schedule(ctx, name)
	switch {
	case err != nil:
		return err
	case s == nil:
		return noSchedule(name)
	case a.output == formatJSON:
		return printJSON(a.Stdout, struct {
			scheduleJSON

			Created bool `json:"created"`
		}{newScheduleJSON(s), res.GetCreated()})
	}
	there := ""
	if !res.GetCreated() {
		there = "is there already, and "
	}
	fmt.Fprintf(a.Stdout, "schedule %s %scomes next at %s\n", name, there, time.UnixMilli(s.GetNextUnixMs()).UTC().Format(time.RFC3339))
	return nil
}

func noSchedule(name string) error {
	return &command.CodedError{Code: command.ExitNotFound, Err: fmt.Errorf(`there is no schedule %q: "fray schedule list" names those that there are`, name)}
}

// schedules makes one call of ListSchedules.
func (c *client) schedules(ctx context.Context, req *frayv1.ListSchedulesRequest) (*frayv1.ListSchedulesResponse, error) {
	without := false
	res, err := ask(ctx, c, func(ctx context.Context, req *frayv1.ListSchedulesRequest) (*frayv1.ListSchedulesResponse, error) {
		res, err := c.ListSchedules(ctx, req)
		without = connect.CodeOf(err) == connect.CodeUnimplemented
		return res, err
	}, req)
	if without {
		return nil, &command.CodedError{Code: command.ExitUnavailable, Err: fmt.Errorf("the controller at %s is of an earlier release, without schedules, unique tasks and gangs: upgrade it", c.url)}
	}
	return res, err
}

// schedule returns the schedule of a name; nil: there is none.
func (c *client) schedule(ctx context.Context, name string) (*frayv1.Schedule, error) {
	res, err := c.schedules(ctx, &frayv1.ListSchedulesRequest{Name: name})
	for _, s := range res.GetSchedules() {
		if s.GetName() == name { // With an empty name it answers with all.
			return s, err
		}
	}
	return nil, err
}

func (a *app) listSchedules(ctx context.Context, c *client) error {
	schedules := &listing{app: a, header: []string{"schedule", "cron", "time zone", "function", "next", "last run", "runs", "missed", "job", "id"}}
	req := &frayv1.ListSchedulesRequest{PageSize: listPage}
	for {
		page, err := c.schedules(ctx, req)
		if err != nil {
			return err
		}
		for _, s := range page.GetSchedules() {
			err := schedules.add([]string{
				s.GetName(), s.GetCron(), cmp.Or(s.GetTimeZone(), time.UTC.String()), s.GetFunction(), inFuture(s.GetNextUnixMs()), ago(s.GetLastRunUnixMs()),
				strconv.FormatUint(s.GetRunCount(), 10), strconv.FormatUint(s.GetMissedCount(), 10), s.GetJobId(), s.GetScheduleId(),
			}, newScheduleJSON(s))
			if err != nil {
				return err
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	schedules.end("no schedules")
	return nil
}

func (a *app) deleteSchedule(ctx context.Context, c *client, name string) error {
	s, err := c.schedule(ctx, name)
	switch {
	case err != nil:
		return err
	case s == nil:
		return noSchedule(name)
	}
	res, err := ask(ctx, c, c.CancelTasks, &frayv1.CancelTasksRequest{TaskIds: []string{s.GetScheduleId()}})
	switch {
	case err != nil:
		return err
	case len(res.GetVerdicts()) != 1 || res.GetVerdicts()[0] != frayv1.CancelVerdict_CANCEL_VERDICT_CANCELLED: // Another was faster.
		return noSchedule(name)
	case a.output == formatJSON:
		return printJSON(a.Stdout, struct {
			ScheduleID string `json:"schedule_id"`
			Name       string `json:"name"`
		}{s.GetScheduleId(), name})
	}
	fmt.Fprintf(a.Stdout, "schedule %s, of id %s, is deleted\n", name, s.GetScheduleId())
	return nil
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// submitOptions are those of the submit command.
type submitOptions struct {
	taskOptions

	ofJob       jobFlags
	function    string
	input       string
	notBefore   time.Time
	unique      string
	uniqueFor   time.Duration
	gang        int
	wait        bool
	waitTimeout time.Duration
}

func (a *app) newSubmit() *cobra.Command {
	var o submitOptions
	cmd := &cobra.Command{
		Use:   "submit [flags] -- COMMAND [ARG]... | --function NAME [--input JSON]",
		Short: "Submit a task",
		Long: `Submit a task, which executes a command on a worker, or a function that workers of your own have, and print its id.
With --wait, wait for the end and print what the command printed, or the value; it then exits with 1 if the task failed.

Submitting the same task again under the same --id changes nothing, so that a script may repeat it. With --unique, a task
is submitted unless another has the key: then that is the one whose id is printed, and that is waited for. A task has its key while it
is open, and if it completes for --unique-for from its submission, which is an hour at most unless the controller keeps tasks longer.

A job has what --parent, --env, --max-failed, --max-failed-share and --weight say from its first task on. To say the same again is fine, and
so is to say nothing; something else is refused.

With --gang, so many of the task are submitted, with the ids ID/0, ID/1 and so on, which start together once there is room for all of
them. A command finds its place in FRAY_GANG_INDEX, FRAY_GANG_SIZE and FRAY_GANG_ID. When one is tried again all that have not ended start
anew; when one fails for good the others are cancelled.`,
		Example: `  fray submit -- make -C /src release
  fray submit --unique report/2026-11 --unique-for 30m -- make report
  fray submit --job nightly --max-failed 3 --env STAGE=test -- make check
  fray submit --wait --retries 3 --timeout 5m -- rsync -a src/ backup:dst/
  fray submit --function resize --input '{"url": "https://example.com/a.png"}'`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.submit(cmd.Context(), o, args) },
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.StringVarP(&o.function, "function", "f", "", "run the function of this `name`")
	flags.StringVar(&o.input, "input", "", "the function's input: `JSON`, @file, or - for the standard input")
	flags.TimeVar(&o.notBefore, "not-before", time.Time{}, []string{time.RFC3339}, "do not start the task before this `time`, such as 2030-01-02T15:04:05Z, by the controller's clock")
	addTaskFlags(flags, &o.taskOptions)
	addJobFlags(flags, &o.ofJob)
	flags.StringVar(&o.unique, "unique", "", "submit it unless another task has this `key`")
	command.DurationWithin(flags, &o.uniqueFor, 0, limit.UniquePeriod, "unique-for", 0, "with --unique, how long from its submission it has the key, in whole milliseconds, if it completes; 0: while it is open")
	command.Between(flags, &o.gang, 0, limit.Gang, "gang", 0, "submit so many of the task, which start together or not at all; 0: one that is of no gang")
	flags.BoolVarP(&o.wait, "wait", "w", false, "wait for the task to end")
	command.Duration(cmd.Flags(), &o.waitTimeout, "wait-timeout", 0, "with --wait, wait this long at most; 0: for ever")
	command.Momentary(cmd.Flags(), "function", "input", "id", "unique", "unique-for", "gang")
	a.addClientFlags(cmd)
	a.addOutputFlag(cmd)
	return cmd
}

func (a *app) submit(ctx context.Context, o submitOptions, args []string) error {
	spec, err := a.submitted(o, args)
	if err != nil {
		return err
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	if o.gang > 0 {
		return a.submitGang(ctx, c, &o, spec)
	}
	if spec.GetUnique() != nil { // A controller of an earlier release would run it whoever has the key.
		if _, err := c.schedules(ctx, &frayv1.ListSchedulesRequest{PageSize: 1}); err != nil {
			return err
		}
	}
	res, err := c.submit(ctx, o.job, o.ofJob.message(), spec)
	if err != nil {
		return err
	}
	id := res.GetTask().GetTaskId()
	if !o.wait {
		if a.output == formatJSON {
			return printJSON(a.Stdout, newTaskJSON(res.GetTask()))
		}
		fmt.Fprintln(a.Stdout, id)
		return nil
	}
	results, err := c.await(ctx, []string{id}, o.waitTimeout)
	if err != nil {
		return err
	}
	return a.printEnd(results[0])
}

// submitted is the task that the options and arguments ask for.
func (a *app) submitted(o submitOptions, args []string) (*frayv1.TaskSpec, error) {
	var notBefore int64
	if !o.notBefore.IsZero() {
		var err error
		notBefore, err = number.Within("--not-before, in milliseconds of Unix time", o.notBefore.UnixMilli(), int64(0), limit.NotBefore)
		if err != nil {
			return nil, command.UsageError("%w", err)
		}
	}
	var spec *frayv1.TaskSpec
	var err error
	switch {
	case len(args) > 0 && o.function != "":
		return nil, command.UsageError("both a command and --function: a task is one of them")
	case len(args) > 0 && o.input != "":
		return nil, command.UsageError("--input is for --function: a command has its arguments")
	case len(args) > 0:
		spec, err = o.commandSpec(args)
	case o.function == "":
		return nil, command.UsageError("which task? give a command after --, or --function NAME")
	default:
		spec, err = a.functionSpec(&o.taskOptions, o.function, o.input, "--input")
	}
	if err != nil {
		return nil, err
	}
	spec.NotBeforeUnixMs = notBefore
	if o.uniqueFor > 0 && o.unique == "" {
		return nil, command.UsageError("--unique-for is for --unique, which names the key")
	}
	if o.gang > 0 && (o.unique != "" || len(spec.GetLimits()) > 0) {
		return nil, command.UsageError("--gang is not for --unique, nor for --limit: tasks of a gang have neither")
	}
	if o.unique != "" {
		spec.Unique = &frayv1.UniqueSpec{Key: o.unique, PeriodMs: number.Millis(o.uniqueFor)}
	}
	return spec, nil
}

// printEnd prints what a task ended with: of a command what it printed, as if it had run here. It
// returns an error if the task did not complete.
func (a *app) printEnd(r *frayv1.TaskResult) error {
	t := r.GetTask()
	completed := t.GetStatus() == frayv1.TaskStatus_TASK_STATUS_COMPLETED
	switch result, isCommand := commandOutput(r.GetValue(), t.GetFunction()); {
	case a.output == formatJSON:
		if err := printJSON(a.Stdout, newResultJSON(r)); err != nil {
			return err
		}
		if !completed {
			return silent(command.ExitTaskFailed)
		}
	case completed && isCommand:
		if err := a.writeOutput(result); err != nil {
			return err
		}
		if problem := wording.Result(result); problem != "" {
			return &command.CodedError{Code: command.ExitTaskFailed, Err: fmt.Errorf("task %s: %s", t.GetTaskId(), problem)}
		}
	case completed:
		if isJSON(r.GetValue()) {
			fmt.Fprintf(a.Stdout, "%s\n", r.GetValue().GetData())
		} else if _, err := a.Stdout.Write(r.GetValue().GetData()); err != nil {
			return err
		}
	}
	if completed {
		return nil
	}
	if output, ok := failedOutput(r); ok && a.output != formatJSON {
		if err := a.writeOutput(output); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("task %s: %s", t.GetTaskId(), describeStatus(t))
	if where := wording.Attempt(int(t.GetAttemptNumber()), int(t.GetMaxAttempts()), t.GetWorkerId()); where != "" {
		text += where
	}
	if message := r.GetError().GetMessage(); message != "" {
		text += ": " + message
	}
	return &command.CodedError{Code: command.ExitTaskFailed, Err: fmt.Errorf("%s", text)}
}

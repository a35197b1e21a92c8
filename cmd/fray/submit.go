package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	"github.com/frayrpc/fray/fray/worker/execfn"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// maxInput bounds the input of a task that is submitted, as the wire does.
const maxInput = limit.Payload

// submitOptions are those of the submit command.
type submitOptions struct {
	function          string
	input             string
	id, job           string
	priority          int
	retries           int
	workerLosses      int
	timeout           time.Duration
	schedulingTimeout time.Duration
	notBefore         time.Time
	resources         map[string]int64
	labels            map[string]string
	limits            []*frayv1.Limit
	dir               string
	wait              bool
	waitTimeout       time.Duration
}

func (a *app) newSubmit() *cobra.Command {
	var o submitOptions
	cmd := &cobra.Command{
		Use:   "submit [flags] -- COMMAND [ARG]... | --function NAME [--input JSON]",
		Short: "Submit a task",
		Long: `Submit a task, which executes a command on a worker, or a function that workers of your own have, and print its id.
With --wait, wait for the end and print what the command printed, or the value; it then exits with 1 if the task failed.

Submitting the same task again under the same --id changes nothing, so that a script may repeat it.`,
		Example: `  fray submit -- make -C /src release
  fray submit --wait --retries 3 --timeout 5m -- rsync -a src/ backup:dst/
  fray submit --function resize --input '{"url": "https://example.com/a.png"}'`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.submit(cmd.Context(), o, args) },
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.StringVarP(&o.function, "function", "f", "", "run the function of this `name`")
	flags.StringVar(&o.input, "input", "", "the function's input: `JSON`, @file, or - for the standard input")
	flags.StringVar(&o.id, "id", "", "the task's `id` (default: a new one)")
	flags.StringVar(&o.job, "job", defaultJob, "the `job` that the task belongs to")
	command.Between(cmd.Flags(), &o.priority, -limit.Priority, limit.Priority, "priority", 0, "tasks of a higher one run first, -1000 to 1000")
	command.Between(cmd.Flags(), &o.retries, 0, limit.Retries, "retries", 0, "how often the task is tried again after it failed")
	command.Between(cmd.Flags(), &o.workerLosses, 0, limit.WorkerLosses, "max-worker-losses", 3, "how many workers may die of the task before it fails")
	command.DurationWithin(cmd.Flags(), &o.timeout, 0, limit.Timeout, "timeout", 0, "how long the task may run, each time, in whole milliseconds; 0: for ever")
	command.DurationWithin(cmd.Flags(), &o.schedulingTimeout, 0, limit.Timeout, "scheduling-timeout", 0, "how long the task may wait for its first start, in whole milliseconds; 0: for ever")
	flags.TimeVar(&o.notBefore, "not-before", time.Time{}, []string{time.RFC3339}, "do not start the task before this `time`, such as 2030-01-02T15:04:05Z, by the controller's clock")
	command.Resources(cmd.Flags(), &o.resources, "what the task takes of its worker")
	command.Labels(cmd.Flags(), &o.labels, "what its worker must have")
	addLimitFlag(flags, &o.limits)
	flags.StringVar(&o.dir, "dir", "", "the worker's `directory` to run a command in (default: the worker's own)")
	flags.BoolVarP(&o.wait, "wait", "w", false, "wait for the task to end")
	command.Duration(cmd.Flags(), &o.waitTimeout, "wait-timeout", 0, "with --wait, wait this long at most; 0: for ever")
	command.Momentary(cmd.Flags(), "function", "input", "id")
	a.addClientFlags(cmd)
	a.addOutputFlag(cmd)
	return cmd
}

// defaultJob is where tasks go that are submitted without a job.
const defaultJob = "default"

func (a *app) submit(ctx context.Context, o submitOptions, args []string) error {
	spec, err := a.taskSpec(o, args)
	if err != nil {
		return err
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	owned := false // by another
	res, err := ask(ctx, c, func(ctx context.Context, req *frayv1.SubmitTaskRequest) (*frayv1.SubmitTaskResponse, error) {
		res, err := c.SubmitTask(ctx, req)
		owned = reasonOf(err) == reasonNotOwner
		return res, err
	}, &frayv1.SubmitTaskRequest{JobId: o.job, Task: spec})
	if owned && o.job == defaultJob {
		return fmt.Errorf("%w: jobs belong to callers here, so name one by --job", err)
	}
	if err != nil {
		return err
	}
	if !o.wait {
		if a.output == formatJSON {
			return printJSON(a.Stdout, newTaskJSON(res.GetTask()))
		}
		fmt.Fprintln(a.Stdout, spec.GetTaskId())
		return nil
	}
	results, err := c.await(ctx, []string{spec.GetTaskId()}, o.waitTimeout)
	if err != nil {
		return err
	}
	return a.printEnd(results[0])
}

// taskSpec is what the options and arguments ask for.
func (a *app) taskSpec(o submitOptions, args []string) (*frayv1.TaskSpec, error) {
	priority, err := number.Within[int32]("priority", o.priority, -limit.Priority, limit.Priority)
	if err != nil {
		return nil, command.UsageError("%w", err)
	}
	losses, err := number.Within[uint32]("max worker losses", o.workerLosses, 0, limit.WorkerLosses)
	if err != nil {
		return nil, command.UsageError("%w", err)
	}
	retries, err := number.Within[uint32]("retries", o.retries, 0, limit.Retries)
	if err != nil {
		return nil, command.UsageError("%w", err)
	}
	spec := &frayv1.TaskSpec{
		TaskId: o.id, Function: o.function, Priority: priority, Resources: o.resources, RequiredLabels: o.labels, Limits: o.limits,
		MaxWorkerLosses:    new(losses),
		ExecutionTimeoutMs: number.Millis(o.timeout), SchedulingTimeoutMs: number.Millis(o.schedulingTimeout),
	}
	if !o.notBefore.IsZero() {
		spec.NotBeforeUnixMs, err = number.Within("--not-before, in milliseconds of Unix time", o.notBefore.UnixMilli(), int64(0), limit.NotBefore)
		if err != nil {
			return nil, command.UsageError("%w", err)
		}
	}
	if retries > 0 {
		spec.RetryPolicy = &frayv1.RetryPolicy{MaxRetries: retries}
	}
	if spec.TaskId == "" {
		spec.TaskId = ulid.Make().String()
	}
	var data []byte
	switch {
	case len(args) > 0 && o.function != "":
		return nil, command.UsageError("both a command and --function: a task is one of them")
	case len(args) > 0 && o.input != "":
		return nil, command.UsageError("--input is for --function: a command has its arguments")
	case len(args) > 0:
		spec.Function = execfn.Task.Name()
		data, err = json.Marshal(execfn.Command{Argv: args, Dir: o.dir})
	case o.function == "":
		return nil, command.UsageError("which task? give a command after --, or --function NAME")
	case o.dir != "":
		return nil, command.UsageError("--dir is for commands, not for --function")
	default:
		data, err = a.readInput(o.input)
	}
	if err != nil {
		return nil, err
	}
	spec.Payload = &frayv1.Payload{Encoding: "json", Data: data}
	return spec, nil
}

// readInput returns the input of a function, which must be JSON. Without one, it is null.
func (a *app) readInput(input string) ([]byte, error) {
	data, what := []byte(input), "--input"
	var err error
	switch path, isFile := strings.CutPrefix(input, "@"); {
	case input == "":
		return []byte("null"), nil
	case input == "-":
		what = "standard input"
		data, err = io.ReadAll(io.LimitReader(a.Stdin, maxInput+1))
	case isFile:
		what = path
		data, err = readBounded(path, maxInput)
	}
	if err != nil {
		return nil, command.UsageError("read input: %w", err)
	}
	if len(data) > maxInput {
		return nil, command.UsageError("%s: input has more than %d bytes", what, maxInput)
	}
	var value json.RawMessage
	if err := json.Unmarshal(data, &value); err != nil {
		return nil, command.UsageError("%s is not JSON: %w", what, err)
	}
	return value, nil
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

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/fray/worker/execfn"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/reason"
)

// maxInput bounds the input of a task that is submitted, as the wire does.
const maxInput = limit.Payload

// defaultJob is where tasks go that are submitted without a job.
const defaultJob = "default"

// taskOptions describe a task, whoever submits it.
type taskOptions struct {
	id, job           string
	priority          int
	retries           int
	workerLosses      int
	timeout           time.Duration
	schedulingTimeout time.Duration
	resources         map[string]int64
	labels            map[string]string
	limits            []*frayv1.Limit
	dir               string
}

func addTaskFlags(flags *pflag.FlagSet, o *taskOptions) {
	flags.StringVar(&o.id, "id", "", "the task's `id` (default: a new one)")
	flags.StringVar(&o.job, "job", defaultJob, "the `job` that the task belongs to")
	command.Between(flags, &o.priority, -limit.Priority, limit.Priority, "priority", 0, "tasks of a higher one run first, -1000 to 1000")
	command.Between(flags, &o.retries, 0, limit.Retries, "retries", 0, "how often the task is tried again after it failed")
	command.Between(flags, &o.workerLosses, 0, limit.WorkerLosses, "max-worker-losses", 3, "how many workers may die of the task before it fails")
	command.DurationWithin(flags, &o.timeout, 0, limit.Timeout, "timeout", 0, "how long the task may run, each time, in whole milliseconds; 0: for ever")
	command.DurationWithin(flags, &o.schedulingTimeout, 0, limit.Timeout, "scheduling-timeout", 0, "how long the task may wait for its first start, in whole milliseconds; 0: for ever")
	command.Resources(flags, &o.resources, "what the task takes of its worker")
	command.Labels(flags, &o.labels, "what its worker must have")
	addLimitFlag(flags, &o.limits)
	flags.StringVar(&o.dir, "dir", "", "the worker's `directory` to run a command in (default: the worker's own)")
}

// spec is what the options ask for, without a function and its input.
func (o *taskOptions) spec() (*frayv1.TaskSpec, error) {
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
		TaskId: o.id, Priority: priority, Resources: o.resources, RequiredLabels: o.labels, Limits: o.limits,
		MaxWorkerLosses:    new(losses),
		ExecutionTimeoutMs: number.Millis(o.timeout), SchedulingTimeoutMs: number.Millis(o.schedulingTimeout),
	}
	if retries > 0 {
		spec.RetryPolicy = &frayv1.RetryPolicy{MaxRetries: retries}
	}
	if spec.TaskId == "" {
		spec.TaskId = ulid.Make().String()
	}
	return spec, nil
}

// commandSpec is a task that executes a command.
func (o *taskOptions) commandSpec(argv []string) (*frayv1.TaskSpec, error) {
	spec, err := o.spec()
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(execfn.Command{Argv: argv, Dir: o.dir})
	if err != nil {
		return nil, err
	}
	spec.Function, spec.Payload = execfn.Task.Name(), &frayv1.Payload{Encoding: "json", Data: data}
	return spec, nil
}

// functionSpec is a task that runs a function with an input, which what names in errors.
func (a *app) functionSpec(o *taskOptions, function, input, what string) (*frayv1.TaskSpec, error) {
	if o.dir != "" {
		return nil, command.UsageError("--dir is for commands, not for functions")
	}
	spec, err := o.spec()
	if err != nil {
		return nil, err
	}
	data, err := a.readInput(input, what)
	if err != nil {
		return nil, err
	}
	spec.Function, spec.Payload = function, &frayv1.Payload{Encoding: "json", Data: data}
	return spec, nil
}

// readInput returns the input of a function, which must be JSON, from an argument that what names. Without one, it is null.
func (a *app) readInput(input, what string) ([]byte, error) {
	data := []byte(input)
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

// submit submits a task of a job with options, or with none said, and returns it, or what is there in its place.
func (c *client) submit(
	ctx context.Context, job string, o *frayv1.JobOptions, spec *frayv1.TaskSpec,
) (*frayv1.SubmitTaskResponse, error) {
	owned := false // by another
	res, err := ask(ctx, c, func(ctx context.Context, req *frayv1.SubmitTaskRequest) (*frayv1.SubmitTaskResponse, error) {
		res, err := c.SubmitTask(ctx, req)
		owned = reason.Of(err).GetReason() == reasonNotOwner
		return res, err
	}, &frayv1.SubmitTaskRequest{JobId: job, JobOptions: o, Task: spec})
	if owned && job == defaultJob {
		return nil, fmt.Errorf("%w: jobs belong to callers here, so name one by --job", err)
	}
	return res, err
}

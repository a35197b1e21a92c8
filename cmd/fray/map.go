package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/mapplan"
	"github.com/frayrpc/fray/cmd/fray/internal/maprun"
	"github.com/frayrpc/fray/cmd/fray/internal/screen"
	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/certs"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
)

// mapSessionTTL is when the controller of a map takes a worker for dead that hangs. Of one that
// dies, it learns at once.
const mapSessionTTL = 3 * time.Second

// mapLinger has the reports of a map's worker wait for others for a few milliseconds. A map waits for all
// of them, not for one after the other; and where commands are short, reports that go alone cost more
// than the commands.
const mapLinger = time.Millisecond

// mapMaxRetained is how many bytes of ended commands the controller of a map keeps that nobody
// waits for any more.
const mapMaxRetained = 16 << 20

func (a *app) newMap() *cobra.Command {
	var o mapOptions
	cmd := &cobra.Command{
		Use:   "map [flags] -- COMMAND [ARG]... [::: INPUT...]",
		Short: "Run a command for each input, in parallel",
		Long: `Run a command for each input, in parallel, and print what the commands print in the order of the inputs. What xargs and
GNU parallel call by a short option is called so here; docs/map.md shows 30 jobs as each of the three has them.

Inputs stand after ":::", or are the lines of the file --inputs or after "::::", or of the standard input. Of several lists, each
input of one is combined with each of the next; after ":::+" and "::::+" the first goes with the first, and so on. No shell is
involved, unless the command is one. In the command stand:

  {}          for the input; of several, for all. Without any of these, inputs become the last arguments
  {.}         for the input without its extension
  {/} {//}    for what is behind its last slash, and before
  {/.}        for what is behind its last slash, without the extension
  {1} {2.}    for the first of several, or of the columns of --colsep; {-1} for the last
  {#} {%}     for the number of the command, and that of its slot, from 1 on

Without a controller, map starts one of its own and worker processes on this machine, which end with it. A worker
that dies is replaced, and others do its work; what a command prints counts once, however often it had to be started.
With a controller, the commands run on the workers of its cluster, which must have been started with --allow-exec.

A command has ended when its program has, and all that it started has let go of its outputs, as behind a pipe. It has no
terminal and, but for --pipe, no input. What it prints waits in files in --buffer-dir until it is its turn; while more than
--max-buffered-bytes wait, no further command is submitted. So the disk holds that much, and what those print
that run by then. On a cluster of others, the controller has what is longer than 64 KiB until its command has ended, and --line-buffer
prints then.

The first command that fails, all its retries included, ends the others, unless --keep-going is given, or --halt says otherwise, or more
may fail as --max-failed and --max-failed-share say. What failed is summed up at the end, on the standard error.`,
		Example: `  fray map -- sha256sum {} ::: *.iso
  find . -name '*.wav' -print0 | fray map -0 -j 8 --keep-going -- sh -c 'flac -s "$1"' sh {}
  fray map -j 4 --retries 2 --timeout 60 --joblog urls.log --resume -a urls.txt -- curl -fsSO {}
  fray map -- convert {1} -resize {2} {1.}-{2}.png ::: *.jpg ::: 100 200
  fray map --pipe --block 10M -- gzip -9 <big >big.gz`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(a.Address != "", cmd.Flags().Changed); err != nil {
				return err
			}
			return a.runMap(cmd.Context(), o, args)
		},
	}
	addMapFlags(cmd, &o)
	a.addClientFlags(cmd)
	return cmd
}

func (a *app) runMap(ctx context.Context, o mapOptions, args []string) (err error) {
	if o.dryRun {
		plan, err := a.planMap(&o, args, a.Stderr)
		if err != nil {
			return err
		}
		return a.printCommands(plan)
	}
	// Else a write to a reader that is gone would end this process on the spot.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	out := screen.New(a.Stdout, a.Stderr, !o.noProgress)
	defer func() { err = errors.Join(err, out.Finish()) }()
	plan, err := a.planMap(&o, args, out.Err)
	if err != nil {
		return err
	}
	if o.eta {
		out.Estimate()
	}
	run := maprun.Config{
		Template: plan.template, Jobs: plan.jobs, Bounded: plan.bounded, Total: plan.total, Dir: o.dir,
		Retries: o.retries, WorkerLosses: o.workerLosses, Timeout: o.timeout, Halt: o.halt,
		Counts: o.ofJob.maxFailed.set || o.ofJob.share > 0,
		Tag:    o.tag, AsEnded: o.asEnded, Live: o.lineBuffer, Verbose: o.verbose,
		OnlyFree: o.onlyFree, Delay: o.delay,
		SlotMark: slotMark(), MaxBuffered: int64(o.maxBuffered), Screen: out,
	}
	if run.Results, err = o.resultFiles(); err != nil {
		return err
	}
	closeLog, err := o.openLog(&run)
	if err != nil {
		return err
	}
	out.Say("starting " + plan.command[0])
	err = a.mapInputs(ctx, &o, run, plan.command[0])
	return errors.Join(err, closeLog())
}

// slotMark is a text that no input has.
func slotMark() string { return "{%" + ulid.Make().String() + "}" }

// resultFiles says where results are kept; nil: nowhere.
func (o *mapOptions) resultFiles() (*mapplan.Results, error) {
	if o.results == "" {
		return nil, nil
	}
	r, err := mapplan.NewResults(o.results, o.all)
	if err != nil {
		return nil, command.UsageError("--results %s: %w", o.results, err)
	}
	return r, nil
}

// openLog opens the log of jobs, if there is to be one, and returns what closes it.
func (o *mapOptions) openLog(run *maprun.Config) (func() error, error) {
	if o.joblog == "" {
		return func() error { return nil }, nil
	}
	log, logged, err := maprun.OpenLog(o.joblog, o.resume || o.resumeFailed)
	if err != nil {
		return nil, err
	}
	run.Log = log
	if o.resume || o.resumeFailed {
		run.Skip = func(number int) bool {
			ended, failed := logged.Ended(number)
			return ended && (!failed || !o.resumeFailed)
		}
	}
	return log.Close, nil
}

// mapInputs runs the commands on a cluster: the one that the options name, or one of its own.
func (a *app) mapInputs(ctx context.Context, o *mapOptions, run maprun.Config, name string) (err error) {
	if run.Spool, err = maprun.NewSpool(o.bufferDir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.Spool.Close()) }()
	var address string
	if a.Address != "" {
		if address, err = a.ControllerURL(); err != nil {
			return err
		}
	} else {
		cluster, err := a.startMapCluster(ctx, o, &run)
		if err != nil {
			return err
		}
		defer func() { err = cmp.Or(err, cluster.stop()) }()
		address, run.Lost = cluster.url, cluster.failed
	}
	c, err := a.connectTo(address)
	if err != nil {
		return err
	}
	defer c.close()
	info, err := ask(ctx, c, c.GetClusterInfo, &frayv1.GetClusterInfoRequest{})
	if err != nil { // tasks would wait for ever
		return err
	}
	if run.Lost == nil {
		run.Slots, run.AtOnce = max(1, int(info.GetSlotCount())), o.atOnce()
		if run.AtOnce > 0 {
			run.Slots = min(run.Slots, run.AtOnce)
		}
	}
	run.Screen.Say(name)
	run.Locate = c.locate
	options, err := a.clientOptions()
	if err != nil {
		return err
	}
	options = append([]fray.Option{fray.WithControllerAddress(address), fray.WithLogger(o.log.Logger(run.Screen.Err))}, options...)
	options = append(options, o.ofJob.options()...)
	// The job is cancelled before it is closed, which needs a context that an interrupt does not
	// end.
	run.Job, err = fray.NewJobContext(context.WithoutCancel(ctx), fray.KindFray, options...)
	if err != nil {
		return err
	}
	err = maprun.Run(ctx, run)
	if errors.Is(err, maprun.ErrFailed) {
		err = silent(command.ExitTaskFailed)
	} else if errors.Is(err, maprun.ErrUnread) {
		err = silent(command.ExitSignal + int(syscall.SIGPIPE)) // whoever reads has seen enough
	}
	return errors.Join(err, run.Job.Close())
}

// locate returns the last attempt of a task, and the worker that it ran on.
func (c *client) locate(ctx context.Context, taskID string) (attempt int, worker string, err error) {
	res, err := ask(ctx, c, c.GetTask, &frayv1.GetTaskRequest{TaskId: taskID})
	return int(res.GetTask().GetAttemptNumber()), res.GetTask().GetWorkerId(), err
}

func (a *app) startMapCluster(ctx context.Context, o *mapOptions, run *maprun.Config) (*cluster, error) {
	if run.Dir == "" {
		var err error
		if run.Dir, err = os.Getwd(); err != nil {
			return nil, fmt.Errorf("find the current directory: %w", err)
		}
	}
	a.secureOwn()
	a.TLS.Files = certs.Files{} // Which are for a cluster that others have.
	messages := run.Screen.Err
	slots := o.fleetSlots()
	first := 1
	each := make([][]string, len(slots))
	for i, n := range slots {
		each[i] = []string{"--slots", strconv.Itoa(n), "--first-slot", strconv.Itoa(first)}
		first += n
	}
	run.Slots = first - 1
	return a.startCluster(ctx, clusterOptions{
		controller: controllerOptions{listen: "127.0.0.1:0", sessionTTL: mapSessionTTL, retainedBytes: mapMaxRetained, log: o.log},
		workers:    len(slots), slots: slots[0],
		args:   append([]string{"--listen=", "--drain-grace", "0s", "--output-dir", run.Spool.Path(), "--exec-env", "*", "--exec-cgroup", cgroupOff}, o.log.Args()...),
		argsOf: func(i int) []string { return each[i] },
		output: messages, tell: func(format string, args ...any) { fmt.Fprintf(messages, "fray map: "+format+"\n", args...) },
	})
}

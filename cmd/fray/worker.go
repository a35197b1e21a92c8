package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker/execfn"
	"github.com/frayrpc/fray/internal/children"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/limit"
)

// workerOptions are those of the worker command.
type workerOptions struct {
	command.Worker

	allowExec bool
	sandbox   sandboxOptions
	lifeline  bool
	outputDir string
	firstSlot int
}

func (a *app) newWorker() *cobra.Command {
	var o workerOptions
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run a worker that executes commands",
		Long: `Run a worker: it leases tasks from a controller, executes them, and reports how they ended. It tries to reach its
controller for ever.

This worker executes commands, if --allow-exec lets it: whoever can submit to the controller then runs what they
like as this user. So it needs a credential to show to its controller: FRAY_TOKEN, --token-file or --tls-cert. The options
that begin with --exec say what commands see and may do. A program of your own executes Go functions, with the package
fray/worker/workermain, and has the other options of this one.

SIGTERM and SIGINT make it take no new tasks, end those that it runs within the drain grace, and leave. A second signal
stops them at once.`,
		Example: `  fray worker --controller http://10.0.0.5:7070 --token-file /etc/fray/token --allow-exec
  fray worker --controller http://10.0.0.5:7070 --allow-exec --slots 4 --resources gpu=2 --labels zone=a
  fray worker --allow-exec --exec-user nobody --exec-allow ffmpeg --exec-limit memory=4GiB`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runWorker(cmd.Context(), o) },
	}
	a.AddWorkerFlags(cmd.Flags(), &o.Worker, "execute commands, and be made to misbehave, for everybody who reaches the controller or this worker")
	cmd.Flags().BoolVar(&o.allowExec, "allow-exec", false, "execute the commands that tasks ask for")
	addSandboxFlags(cmd, &o.sandbox)
	addLifelineFlag(cmd, &o.lifeline)
	cmd.Flags().StringVar(&o.outputDir, "output-dir", "", "the `directory` of the map that this worker serves, for what commands print")
	command.Between(cmd.Flags(), &o.firstSlot, 1, limit.Slots*maxLocalWorkers, "first-slot", 1, "the number of the first slot, as commands of a map see it")
	for _, name := range []string{"output-dir", "first-slot"} {
		if err := cmd.Flags().MarkHidden(name); err != nil {
			panic(err)
		}
	}
	return cmd
}

func (a *app) runWorker(ctx context.Context, o workerOptions) (err error) {
	address, err := a.ControllerURL()
	if err != nil {
		return err
	}
	if !o.allowExec {
		return command.UsageError("this worker has nothing to execute: it knows no functions but commands, and --allow-exec is not given.\n" +
			"To execute Go functions, write a program that calls workermain.Main of fray/worker/workermain with them.")
	}
	_, err = a.CheckWorker(&o.Worker)
	if err := errors.Join(a.checkExec(address, o.Open), err); err != nil {
		return err
	}
	commands, endCommands, err := o.commands(a.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endCommands()) }()
	var linger time.Duration
	if o.outputDir != "" {
		linger = mapLinger
	}
	w, end, err := a.NewWorker(ctx, &o.Worker, []fray.Function{commands}, linger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	// What its commands leave behind falls to it: it can be found and collected.
	release := children.Adopt()
	defer release()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parent := os.Getppid()
	var cut atomic.Bool
	if o.lifeline {
		go a.watchLifeline(func(cause error) {
			cut.Store(true)
			cancel(cause)
			w.Close()
		})
	}
	err = a.RunWorker(ctx, w)
	if o.outputDir != "" && (cut.Load() || os.Getppid() != parent) {
		// The map has been killed, and cannot do it.
		err = errors.Join(err, os.RemoveAll(o.outputDir))
	}
	return err
}

// commands is the function that runs commands. What comes with it is to be called when the worker
// has ended.
func (o *workerOptions) commands(stderr io.Writer) (fray.Function, func() error, error) {
	var logger *slog.Logger
	if o.outputDir == "" {
		logger = o.Log.Logger(stderr)
	} else { // Who runs a map sees nothing but errors of its workers, and has to know why it does not go on.
		logger = (&command.Log{Level: "warn", Format: o.Log.Format}).Logger(stderr)
	}
	cfg, end, err := o.sandbox.config(logger)
	if err != nil {
		return nil, nil, err
	}
	cfg.OutputDir, cfg.FirstSlot = o.outputDir, o.firstSlot
	return execfn.New(cfg), end, nil
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/maprun"
	"github.com/frayrpc/fray/cmd/fray/internal/screen"
	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/certs"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/limit"
)

// mapOptions are those of the map command.
type mapOptions struct {
	workers, slots int
	retries        int
	workerLosses   int
	timeout        time.Duration
	keepGoing      bool
	tag            bool
	inputs         string
	null           bool
	dir            string
	dryRun         bool
	noProgress     bool
	bufferDir      string
	maxBuffered    int
	ofJob          jobFlags
	log            command.Log
}

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
		Long: `Run a command for each input, in parallel, and print what the commands print in the order of the inputs.

Inputs stand after ":::", or are the lines of the file --inputs, or of the standard input. {} in the command stands
for the input; if there is none, the input becomes the last argument. No shell is involved, unless the command is one.

Without a controller, map starts one of its own and worker processes on this machine, which end with it. A worker
that dies is replaced, and others do its work; what a command prints counts once, however often it had to be started.
With a controller, the commands run on the workers of its cluster, which must have been started with --allow-exec.

A command has ended when its program has, and all that it started has let go of its outputs, as behind a pipe. It has no
terminal and no input. What it prints waits in files in --buffer-dir until it is its turn; while more than
--max-buffered-bytes wait, no further command is submitted. So the disk holds that much, and what those print
that run by then. On a cluster of others, what a command prints is its task's result, of which 8 MiB are kept of each output and
11 MiB of both: one that prints more fails.

The first command that fails, all its retries included, ends the others, unless --keep-going is given, or more may fail as
--max-failed and --max-failed-share say. What failed is summed up at the end, on the standard error.`,
		Example: `  fray map -- sha256sum {} ::: *.iso
  find . -name '*.wav' -print0 | fray map --null --keep-going -- sh -c 'flac -s "$1"' sh {}
  fray map --workers 4 --retries 2 --timeout 1m --inputs urls.txt -- curl -fsSO {}`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.Address != "" {
				for _, name := range []string{"workers", "slots"} {
					if cmd.Flags().Changed(name) {
						return command.UsageError("--%s is for workers that map starts, but --controller names a cluster that has its own", name)
					}
				}
			} else if o.ofJob.parent != "" {
				return command.UsageError("--parent is for --controller: the cluster that map starts has no other jobs")
			}
			return a.runMap(cmd.Context(), o, args)
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.StringVarP(&o.inputs, "inputs", "i", "", "read inputs from this `file`; -: the standard input")
	flags.BoolVarP(&o.null, "null", "0", false, "NUL bytes separate the inputs that are read, not line ends")
	flags.BoolVarP(&o.keepGoing, "keep-going", "k", false, "run the other commands when one fails")
	command.Between(cmd.Flags(), &o.retries, 0, limit.Retries, "retries", 0, "how often a command that failed is tried again")
	command.DurationWithin(cmd.Flags(), &o.timeout, 0, limit.Timeout, "timeout", 0, "how long a command may run, each time, in whole milliseconds; 0: for ever")
	command.Between(cmd.Flags(), &o.workerLosses, 0, limit.WorkerLosses, "max-worker-losses", 3, "how many workers may die of a command before it counts as failed")
	addJobFlags(flags, &o.ofJob)
	flags.BoolVarP(&o.tag, "tag", "t", false, "begin each line of output with the input and a tab")
	command.Between(cmd.Flags(), &o.workers, 1, maxLocalWorkers, "workers", 2, "how many worker processes to start")
	command.Between(cmd.Flags(), &o.slots, 0, limit.Slots, "slots", 0, "how many commands each runs at once; 0: the CPUs divided among them")
	flags.StringVar(&o.dir, "dir", "", "run the commands in this `directory` (default: the current one; with --controller, the worker's)")
	flags.BoolVarP(&o.dryRun, "dry-run", "n", false, "print the commands and run none")
	flags.BoolVar(&o.noProgress, "no-progress", false, "show no progress on a terminal")
	flags.StringVar(&o.bufferDir, "buffer-dir", "", "the `directory` for output that waits for its turn (default: $TMPDIR, or /tmp)")
	command.AtLeast(cmd.Flags(), &o.maxBuffered, 1, "max-buffered-bytes", 1<<30, "bytes of output that wait for their turn; beyond, no commands are started")
	command.Momentary(cmd.Flags(), "inputs", "dry-run")
	a.addClientFlags(cmd)
	o.log.AddFlags(cmd.Flags(), "error")
	return cmd
}

func (a *app) runMap(ctx context.Context, o mapOptions, args []string) error {
	program, list, err := splitInputs(args)
	if err != nil {
		return err
	}
	inputs, file, err := a.openInputs(list, o.inputs, o.null)
	if err != nil {
		return err
	}
	defer file.Close()
	if o.dryRun {
		return a.printCommands(program, inputs)
	}
	// Else a write to a reader that is gone would end this process on the spot.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	out := screen.New(a.Stdout, a.Stderr, !o.noProgress)
	counts := o.ofJob.maxFailed.set || o.ofJob.share > 0
	err = a.mapInputs(ctx, &o, maprun.Config{
		Command: program, Inputs: inputs, Dir: o.dir,
		Retries: o.retries, WorkerLosses: o.workerLosses, Timeout: o.timeout, KeepGoing: o.keepGoing || counts,
		Counts: counts, Tag: o.tag,
		Slots: o.workers * slotsFor(o.slots, o.workers), MaxBuffered: int64(o.maxBuffered), Screen: out,
	})
	return errors.Join(err, out.Finish())
}

// separator stands between the command and inputs on the command line.
const separator = ":::"

// splitInputs cuts the arguments of map at the separator. Without one, inputs is nil.
func splitInputs(args []string) (program maprun.Command, inputs []string, err error) {
	i := slices.Index(args, separator)
	if i < 0 {
		program = args
	} else {
		program, inputs = args[:i], args[i+1:]
		if inputs == nil {
			inputs = []string{}
		}
		if slices.Contains(inputs, separator) {
			return nil, nil, command.UsageError("%s is there more than once: there is one list of inputs", separator)
		}
	}
	if len(program) == 0 {
		return nil, nil, command.UsageError("which command? give it after --, such as: fray map -- gzip -9 {} ::: *.log")
	}
	return program, inputs, nil
}

// openInputs returns the inputs, and the file that they are read from; nil: they are in none.
func (a *app) openInputs(list []string, path string, null bool) (maprun.Inputs, *os.File, error) {
	delimiter := byte('\n')
	if null {
		delimiter = 0
	}
	switch {
	case list != nil && path != "":
		return maprun.Inputs{}, nil, command.UsageError("inputs both after %s and from --inputs: give one of them", separator)
	case list != nil && null:
		return maprun.Inputs{}, nil, command.UsageError("--null is about inputs that are read, and these stand after %s", separator)
	case list != nil:
		return maprun.List(list), nil, nil
	case path == "" || path == "-":
		if screen.IsTerminal(a.Stdin) {
			fmt.Fprintln(a.Stderr, "fray map: reading inputs from the terminal, one a line; Ctrl-D ends them")
		}
		return maprun.Inputs{All: maprun.Read(a.Stdin, "standard input", delimiter)}, nil, nil
	}
	file, err := os.Open(path) // The user names it.
	if err != nil {
		return maprun.Inputs{}, nil, command.UsageError("open inputs: %w", err)
	}
	return maprun.Inputs{All: maprun.Read(file, path, delimiter), Bounded: true}, file, nil
}

// mapInputs runs the commands on a cluster: the one that the options name, or one of its own.
func (a *app) mapInputs(ctx context.Context, o *mapOptions, run maprun.Config) (err error) {
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
		run.Slots = max(run.Slots, int(info.GetSlotCount()))
	}
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
	return a.startCluster(ctx, clusterOptions{
		controller: controllerOptions{listen: "127.0.0.1:0", sessionTTL: mapSessionTTL, retainedBytes: mapMaxRetained, log: o.log},
		workers:    o.workers, slots: slotsFor(o.slots, o.workers),
		args:   append([]string{"--listen=", "--drain-grace", "0s", "--output-dir", run.Spool.Path(), "--exec-env", "*", "--exec-cgroup", cgroupOff}, o.log.Args()...),
		output: messages, tell: func(format string, args ...any) { fmt.Fprintf(messages, "fray map: "+format+"\n", args...) },
	})
}

func (a *app) printCommands(program maprun.Command, inputs maprun.Inputs) error {
	for input, err := range inputs.All {
		if err != nil {
			return err
		}
		argv := program.With(input)
		for i := range argv {
			argv[i] = shellQuote(argv[i])
		}
		if _, err := fmt.Fprintln(a.Stdout, strings.Join(argv, " ")); err != nil {
			return err
		}
	}
	return nil
}

// shellQuote is a word as one would type it.
func shellQuote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("%+,-./:=@_", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

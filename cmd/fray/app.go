package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/certs"
)

// app is one run of the command: what it may touch of the process, and what is common to its
// subcommands.
type app struct {
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	environ []string
	// The first one ends the command in good order, the second at once.
	signals <-chan os.Signal
	// executable returns the file that worker processes run.
	executable func() (string, error)
	seams      seams
	// Servers of this command want a token; and whom that lets in.
	secured bool
	listed  bool // a file lists who may call its servers
	access  func() *access.Policy
	shown   func() string // the token; nil: there is none
	// What tells of calls that change something; nil: nothing does.
	audit *slog.Logger

	root       *cobra.Command
	configFile string
	client     clientOptions
	tls        certs.Files
	tlsMin     string
	http3      bool // calls, or is served, by HTTP/3
	tokenFile  string
	output     string

	// Closed by the second signal.
	hurry chan struct{}
}

// run executes the command line args, and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	ctx, cancel := context.WithCancelCause(ctx)
	a.hurry = make(chan struct{})
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { a.watchSignals(over, cancel) })
	defer watching.Wait()
	defer cancel(nil)
	defer close(over)

	a.root = a.newRoot()
	a.root.SetArgs(args)
	a.root.SetIn(a.stdin)
	a.root.SetOut(a.stdout)
	a.root.SetErr(a.stderr)
	cmd, err := a.root.ExecuteContextC(ctx)
	if err != nil && !said(err) {
		a.explain(cmd, err)
	}
	return exitCode(err)
}

// watchSignals tells the command of signals until it is over.
func (a *app) watchSignals(over <-chan struct{}, cancel context.CancelCauseFunc) {
	for n := 1; ; n++ {
		select {
		case sig := <-a.signals:
			switch n {
			case 1:
				cancel(&signalError{sig})
			case 2:
				close(a.hurry)
			}
		case <-over:
			return
		}
	}
}

// explain prints err, and where to read on if the command line was wrong.
func (a *app) explain(cmd *cobra.Command, err error) {
	name := cmd.CommandPath()
	text := strings.TrimRight(err.Error(), "\n")
	fmt.Fprintf(a.stderr, "%s: %s\n", name, wording.Visible(text))
	if exitCode(err) == exitUsage && !strings.Contains(text, "\n") {
		fmt.Fprintf(a.stderr, "Run '%s --help' for usage.\n", name)
	}
}

func (a *app) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "fray",
		Short: "Distributed tasks over Connect RPC",
		Long: `fray runs commands and functions on a cluster of workers, each exactly once as far as its result goes.

Start with "fray map": it needs no cluster, and runs a command for each of its inputs on worker processes of
its own. "fray dev" starts a cluster on this machine; "fray controller" and "fray worker" start its parts.

An option is taken from the command line, else from the environment, else from the file named by --config,
else it has its default. See "fray help configuration" and "fray help exit-codes".`,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.configure(cmd)
		},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				return usageError("unknown command %q: did you mean %q?", args[0], near[0])
			}
			return usageError("unknown command %q", args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError("%w", err) })
	root.PersistentFlags().StringVar(&a.configFile, "config", "", "read options from this YAML `file`")
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "tasks", Title: "Tasks:"},
		&cobra.Group{ID: "operate", Title: "Operate:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add("run", a.newMap(), a.newDev(), a.newController(), a.newWorker())
	add("tasks", a.newSubmit(), a.newWait(), a.newGet(), a.newList(), a.newCancel())
	add("operate", a.newWorkers(), a.newDrain(), a.newCluster(), a.newBackup(), a.newDebug(), a.newFaults(), a.newBench())
	root.AddCommand(a.newVersion(), newTopic("exit-codes", "What the exit codes mean", exitCodesHelp), newConfigurationTopic(root))
	documentSources(root)
	return root
}

// newTopic is a page of help that is no command.
func newTopic(name, short, text string) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Long: short + ":\n\n" + strings.TrimRight(text, "\n")}
}

// noArgs refuses arguments that the command does not have.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("unexpected argument %q", args[0])
	}
	return nil
}

// someArgs demands at least one argument, named what.
func someArgs(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError("which %s? give at least one", what)
		}
		return nil
	}
}

// oneArg demands just one argument, named what.
func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError("give one %s, not %d", what, len(args))
		}
		return nil
	}
}

// logOptions say how a long-running command tells what it does.
type logOptions struct {
	level  string
	format string
}

func addLogFlags(cmd *cobra.Command, o *logOptions, level string) {
	oneOf(cmd, &o.level, "log-level", "", level, "log what is at least this `level`", "debug", "info", "warn", "error")
	oneOf(cmd, &o.format, "log-format", "", "text", "the log's `format`", "text", "json")
	shared(cmd, "log-level", "log-format")
}

// logger returns a logger that writes to w.
func (o *logOptions) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.level)); err != nil {
		panic("log level was not checked: " + err.Error())
	}
	options := &slog.HandlerOptions{Level: level}
	if o.format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// args are the options that have another command of this program log in the same way.
func (o *logOptions) args() []string {
	return []string{"--log-level", o.level, "--log-format", o.format}
}

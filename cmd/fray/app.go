package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/fray/h3"
	"github.com/frayrpc/fray/internal/command"
)

// app is one run of the command: what it may touch of the process, and what is common to its
// subcommands.
type app struct {
	command.Process

	// executable returns the file that worker processes run.
	executable func() (string, error)

	root           *cobra.Command
	configFile     string
	connectTimeout time.Duration
	output         string
}

// run executes the command line args, and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	ctx, over := a.HeedSignals(ctx)
	defer over()
	a.root = a.newRoot()
	a.root.SetArgs(args)
	a.root.SetIn(a.Stdin)
	a.root.SetOut(a.Stdout)
	a.root.SetErr(a.Stderr)
	cmd, err := a.root.ExecuteContextC(ctx)
	return a.Exit(cmd.CommandPath(), err, exitCode(err))
}

func (a *app) newRoot() *cobra.Command {
	a.DialHTTP3 = h3.Dial
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
				return command.UsageError("unknown command %q: did you mean %q?", args[0], near[0])
			}
			return command.UsageError("unknown command %q", args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return command.UsageError("%w", err) })
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
	add("tasks", a.newSubmit(), a.newWait(), a.newGet(), a.newList(), a.newPending(), a.newJobs(), a.newLimits(), a.newObjects(), a.newActors(), a.newSchedule(), a.newCancel(), a.newRetry())
	add("operate", a.newWorkers(), a.newDrain(), a.newCluster(), a.newBackup(), a.newStore(), a.newDebug(), a.newFaults(), a.newBench())
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
		return command.UsageError("unexpected argument %q", args[0])
	}
	return nil
}

// oneArg demands just one argument, named what.
func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return command.UsageError("give one %s, not %d", what, len(args))
		}
		return nil
	}
}

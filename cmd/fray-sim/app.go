package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/internal/spelling"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// exitError is an error that knows the exit code.
type exitError struct {
	code int
	err  error // nil: all has been said
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func invalid(format string, args ...any) error {
	return &exitError{exitInvalid, fmt.Errorf(format, args...)}
}

// run executes the command line args, and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.newRoot()
	a.args = args
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitPass
	}
	code := exitHarness
	var known *exitError
	if errors.As(err, &known) {
		code = known.code
		if known.err == nil {
			return code
		}
	}
	if ctx.Err() != nil {
		fmt.Fprintln(a.stderr, "fray-sim: interrupted")
		return exitInterrupted
	}
	fmt.Fprintf(a.stderr, "fray-sim: %s\n", strings.TrimRight(err.Error(), "\n"))
	return code
}

func (a *app) newRoot() *cobra.Command {
	var (
		o        runOptions
		commands []string
	)
	root := &cobra.Command{
		Use:   "fray-sim --scenario FILE|NAME",
		Short: "Run a Fray cluster under faults, in deterministic virtual time",
		Long: `fray-sim runs a scenario: an unmodified controller, its workers and its clients on simulated hosts and links, under the
faults that the scenario names, thousands of times faster than the clock. Oracles watch what clients and workers see.
The same seed gives the same run, to the byte.

Exit codes: 0 pass, 1 invariant broken, 2 liveness broken, 3 nondeterminism, 4 invalid scenario or command line,
5 harness error, 6 stalled: nothing happened for --stall of real time, 130 interrupted. A sweep exits with the code of its first failing seed.`,
		Example: `  fray-sim --scenario worker-crash
  fray-sim --scenario worker-crash --seeds 1..500
  fray-sim --scenario worker-crash --seeds 1..500 --format junit --out results
  fray-sim --scenario mine.yaml --seed 7 --verify --trace run.jsonl
  fray-sim --scenario worker-crash --html run.html`,
		SilenceErrors: true, SilenceUsage: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			if near := spelling.Nearest(args[0], commands); near != "" {
				return invalid("there is no command %q: did you mean %s?", args[0], near)
			}
			return invalid("unexpected argument %q: a scenario is named with --scenario", args[0])
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.runScenario(cmd.Context(), &o) },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return noneEmpty(cmd.Flags()) },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exitError{exitInvalid, err} })
	flags := root.Flags()
	flags.StringVar(&o.scenario, "scenario", "", "the `file` of a scenario, or the name of one of the library")
	o.addFlags(flags)
	for _, sub := range []*cobra.Command{
		a.newWorker(), a.newSweep(), a.newChaos(), a.newTest(), a.newOverlay(), a.newList(), a.newExplain(), a.newCoverage(), a.newValidate(), a.newSchema(), a.newDiff(), a.newBench(),
	} {
		commands = append(commands, sub.Name())
		sub.Args = usable(sub.Args)
		root.AddCommand(sub)
	}
	return root
}

// noneEmpty refuses options that are given without a value, such as --out "$DIR" in a script that
// never set DIR.
func noneEmpty(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(flag *pflag.Flag) {
		if flag.Value.String() == "" && err == nil {
			err = invalid("--%s: the value is empty: give one, or leave the option out", flag.Name)
		}
	})
	return err
}

// usable has arguments that a command cannot take end it as any other wrong command line does, with
// what it can take.
func usable(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return invalid("%w: use it as %s", err, strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		}
		return nil
	}
}

// load returns the scenario that a user names: a file if there is one, else one of the library.
func load(name string) (*scenario.Scenario, error) {
	if name == "" {
		return nil, invalid("which scenario? pass --scenario FILE or NAME; fray-sim list has the names")
	}
	if _, err := os.Stat(name); err == nil {
		s, err := cluster.ParseFile(name)
		return s, asInvalid(err)
	}
	s, err := cluster.Load(name)
	if errors.Is(err, cluster.ErrUnknown) {
		return nil, invalid("%w; and there is no such file", err)
	}
	return s, asInvalid(err)
}

func asInvalid(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{exitInvalid, err}
}

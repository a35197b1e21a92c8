package simtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/internal/spelling"
	"github.com/frayrpc/fray/sim/scenario"
)

// run executes the command line args, and returns the exit code.
func (a *App) run(ctx context.Context, args []string) int {
	root := a.newRoot()
	a.args = args
	root.SetArgs(args)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitPass
	}
	code := exitHarness
	var known *ExitError
	if errors.As(err, &known) {
		code = known.Code
		if known.Err == nil {
			return code
		}
	}
	if ctx.Err() != nil {
		fmt.Fprintln(a.Stderr, a.name()+": interrupted")
		return exitInterrupted
	}
	fmt.Fprintf(a.Stderr, "%s: %s\n", a.name(), strings.TrimRight(err.Error(), "\n"))
	return code
}

// long is what the help of a program says that says nothing itself.
const long = `%[1]s runs a scenario: hosts with their software on simulated machines and links, under the faults that the scenario names,
thousands of times faster than the clock. Oracles watch what comes of it. The same seed gives the same run, to the byte.
`

// exitCodes is the end of what the help of every program says.
const exitCodes = `
Exit codes: 0 pass, 1 invariant broken, 2 liveness broken, 3 nondeterminism, 4 invalid scenario or command line,
5 harness error, 6 stalled: nothing happened for --stall of real time, 130 interrupted. A sweep exits with the code of its first failing seed.`

func (a *App) newRoot() *cobra.Command {
	var (
		o        runOptions
		commands []string
	)
	p := a.program
	root := &cobra.Command{
		Use:   a.name() + " --scenario NAME|FILE|DIRECTORY|GLOB",
		Short: cmp.Or(p.Short, "Run scenarios about "+p.Subject.Format.Name+" under faults, in deterministic virtual time"),
		Long:  cmp.Or(p.Long, fmt.Sprintf(long, a.name())) + exitCodes, Example: p.Example,
		SilenceErrors: true, SilenceUsage: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			if near := spelling.Nearest(args[0], commands); near != "" {
				return Invalid("there is no command %q: did you mean %s?", args[0], near)
			}
			return Invalid("unexpected argument %q: a scenario is named with --scenario, or after %s run", args[0], a.name())
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.runScenarios(cmd.Context(), &o) },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return noneEmpty(cmd.Flags()) },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &ExitError{exitInvalid, err} })
	flags := root.Flags()
	o.addScenarios(flags)
	o.addFlags(flags, a)
	subs := []*cobra.Command{
		a.newRun(), a.newSweep(), a.newChaos(), a.newShrink(), a.newList(), a.newExplain(), a.newCoverage(), a.newValidate(), a.newSchema(), a.newDiff(),
	}
	if p.Commands != nil {
		subs = append(subs, p.Commands(a)...)
	}
	for _, sub := range subs {
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
			err = Invalid("--%s: the value is empty: give one, or leave the option out", flag.Name)
		}
	})
	return err
}

// usable has arguments that a command cannot take end it as any other wrong command line does, with
// what it can take.
func usable(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return Invalid("%w: use it as %s", err, strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		}
		return nil
	}
}

// load returns the scenario that a user names: a file if there is one, else one of the library.
func (a *App) load(name string) (*scenario.Scenario, error) {
	if name == "" {
		return nil, Invalid("which scenario? pass --scenario FILE or NAME; %s list has the names", a.name())
	}
	if info, err := os.Stat(name); err == nil && (!info.IsDir() || !a.inLibrary(name)) {
		s, err := a.vary(a.subjects().ParseFile(name))
		return s, asInvalid(err)
	}
	s, err := a.vary(a.library().Load(name))
	if errors.Is(err, scenario.ErrUnknown) && (strings.HasSuffix(name, scenarioEnding) || strings.ContainsRune(name, filepath.Separator)) {
		return nil, Invalid("%s: no such file or directory, and no name that %s list has", name, a.name())
	}
	if errors.Is(err, scenario.ErrUnknown) {
		return nil, Invalid("%w; and there is no such file", err)
	}
	return s, asInvalid(err)
}

// vary returns a scenario as the program's variant has it.
func (a *App) vary(s *scenario.Scenario, err error) (*scenario.Scenario, error) {
	if err != nil || a.program.Variant == nil {
		return s, err
	}
	return a.program.Variant.Apply(s)
}

// addVariant adds the flags of the program's variant to a command that runs scenarios.
func (a *App) addVariant(flags *pflag.FlagSet) {
	if a.program.Variant != nil {
		a.program.Variant.AddFlags(flags)
	}
}

func asInvalid(err error) error {
	if err == nil {
		return nil
	}
	return &ExitError{exitInvalid, err}
}

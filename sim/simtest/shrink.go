package simtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/report"
	"github.com/frayrpc/fray/sim/scenario"
	"github.com/frayrpc/fray/sim/shrink"
)

type shrinkOptions struct {
	chaosOptions

	limit time.Duration
	file  string
	// test is the file of a Go test that fails, and isolated has each run take place in a process of
	// its own.
	test     string
	isolated bool
}

func (a *App) newShrink() *cobra.Command {
	var o shrinkOptions
	cmd := &cobra.Command{
		Use: "shrink --scenario FILE|NAME --seed N", Short: "Make a failing scenario small", Args: cobra.NoArgs,
		Long: `shrink takes away faults, hosts, work, time and loss from a scenario that fails under a seed, for as long as it fails in the same
way: the same oracle breaks, or the same kind of expectation. What chance decided is written down first: faults that act on a
share of messages become faults that act on these messages. It prints what is left as a scenario, which fails under the same
seed. It exits with 0 if it found one.`,
		Example: fmt.Sprintf(`  %[1]s shrink --scenario mine.yaml --seed 7 --out small.yaml && %[1]s --scenario small.yaml --seed 7
  %[1]s shrink --chaos --seed 7
  %[1]s shrink --scenario mine.yaml --chaos --seed 7`, a.name()),
	}
	var random bool
	flags := cmd.Flags()
	flags.StringVar(&o.scenario, "scenario", "", "the `file` of a scenario, or the name of one of the library")
	flags.StringVar(&o.seed, "seed", "", "the `number` of the seed under which it fails (default: the first of the scenario's seeds)")
	flags.BoolVar(&random, "chaos", false, "shrink what chaos makes of the seed, with --scenario of that scenario")
	o.addRedraw(flags)
	a.addVariant(flags)
	flags.DurationVar(&o.limit, "for", shrink.DefaultLimit, "how much real `time` it may take")
	flags.StringVar(&o.file, "out", "", "write the scenario to this `file` and not to the standard output")
	flags.StringVar(&o.test, "test", "", "write a Go test that fails to this `file`, such as small_test.go, in the package that it is to be in")
	flags.BoolVar(&o.isolated, "isolated", false, "make each run in a process of its own; so it is anyway if the first one breaks down, stalls or leaks")
	flags.DurationVar(&o.stall, "stall", shrinkStall, "end a run in which nothing has happened for so much real `time`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.limit <= 0 || o.limit > maxStall {
			return Invalid("--for %v is not between 0 and %v", o.limit, maxStall)
		}
		if o.stall <= 0 || o.stall > maxStall {
			return Invalid("--stall %v is not between 0 and %v", o.stall, maxStall)
		}
		if o.redraw != "" && !random {
			return Invalid("--%s is for what chaos makes: pass --chaos", redrawFlag)
		}
		if err := a.checkTest(o.test); err != nil {
			return err
		}
		o.place.name, o.span = scenario.BackendSim, defaultSpan
		of, err := a.shrinkable(&o, random)
		if err != nil {
			return err
		}
		seed := of.first
		if o.seed != "" {
			if seed, err = strconv.ParseUint(o.seed, 10, 64); err != nil {
				return Invalid("--seed %q is not a number from 0 to %d", o.seed, uint64(1<<64-1))
			}
		}
		return a.shrink(cmd.Context(), of, seed, &o)
	}
	return cmd
}

func (a *App) shrinkable(o *shrinkOptions, random bool) (*subject, error) {
	if random {
		return a.drawn(&o.chaosOptions)
	}
	return a.named(o.scenario)
}

func (a *App) shrink(ctx context.Context, of *subject, seed uint64, o *shrinkOptions) error {
	run, release, err := a.shrinker(ctx, of.of(seed), seed, o)
	if err != nil {
		return err
	}
	defer release()
	began := time.Now()
	r, err := shrink.Shrink(ctx, of.of(seed), seed, run, shrink.Options{Limit: o.limit, Progress: a.shrinking(began)})
	switch {
	case errors.Is(err, shrink.ErrPasses):
		return Invalid("%s, seed %d: %w", of.Called, seed, err)
	case err != nil:
		return fmt.Errorf("%s, seed %d: %w", of.Called, seed, err)
	}
	text, err := r.Scenario.MarshalShort()
	if err != nil {
		return err
	}
	called := o.file
	if called == "" {
		called = "small.yaml"
		_, err = a.Stdout.Write(text)
	} else {
		err = writeFile(o.file, func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
	}
	if err != nil {
		return err
	}
	w := a.Stderr
	fmt.Fprintf(w, "\n%s, seed %d: %s: %s\n", of.Called, seed, cmp.Or(r.Run.Broken, r.Run.Verdict), broke(r.Run))
	fmt.Fprintf(w, "from %d faults to %d, from %d lines to %d, in %d runs and %s", r.Faults[0], r.Faults[1], r.Lines[0], r.Lines[1], r.Runs, engine.Short(time.Since(began)))
	if !r.Done {
		fmt.Fprint(w, "; the time was over, so there may be less")
	}
	if o.test != "" {
		if err := a.writeTest(o.test, r, seed); err != nil {
			return err
		}
	}
	small := report.Subject{Program: a.name(), Args: []string{"--scenario", called}}
	fmt.Fprintf(w, "\nRun it with\n\n  %s\n", small.Command(seed))
	if o.test != "" {
		fmt.Fprintf(w, "\nThe test is in %s.\n", o.test)
	}
	return nil
}

// broke says in a line how a run failed, of which there may be stacks to tell.
func broke(r *engine.Result) string {
	line, _, _ := strings.Cut(r.Text, "\n")
	if r.Broken == engine.BrokenPanic {
		return cmp.Or(panicLine.FindString(r.Text), line)
	}
	return line
}

var panicLine = regexp.MustCompile(`panic(ked)?: .*`)

// Bounds of runs in processes of their own, in real time.
const (
	// shrinkStall is how long nothing may happen in a run unless --stall says otherwise: one that
	// stalls is waited for again and again.
	shrinkStall = 5 * time.Second
	// isolatedLimit is how long a run may take besides.
	isolatedLimit = time.Minute
)

// shrinker returns what runs a scenario under a seed, in this process or in others, and what is to
// be called in the end.
func (a *App) shrinker(ctx context.Context, s *scenario.Scenario, seed uint64, o *shrinkOptions) (run shrink.Runner, release func(), err error) {
	executable, err := a.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find this program: %w", err)
	}
	dir, err := os.MkdirTemp("", "fray-sim-shrink-*")
	if err != nil {
		return nil, nil, fmt.Errorf("make a directory for runs: %w", err)
	}
	release = func() { _ = os.RemoveAll(dir) }
	apart := &isolated{executable: executable, dir: dir, seed: seed, stall: o.stall, limit: o.stall + isolatedLimit}
	if o.isolated {
		return apart.run, release, nil
	}
	first, err := apart.run(ctx, s, nil, nil)
	if err != nil {
		release()
		return nil, nil, err
	}
	if first.Broken == engine.BrokenPanic || first.Broken == engine.BrokenLeak || first.Verdict == scenario.VerdictStalled {
		return apart.run, release, nil
	}
	procs := runtime.GOMAXPROCS(1) // As for any run of a simulation.
	remove := release
	release = func() {
		runtime.GOMAXPROCS(procs)
		remove()
	}
	return func(ctx context.Context, s *scenario.Scenario, begun func(engine.Onset), acted func(string, uint64)) (*engine.Result, error) {
		options := virtual.Options{Stall: o.stall, OnStall: func(r *engine.Result) {
			fmt.Fprintf(a.Stderr, "%s: a run stalled, which ends this process: shrink with --isolated: %s\n", a.name(), r.Text)
			os.Exit(r.ExitCode())
		}}
		options.OnFault = begun
		if acted != nil {
			options.OnEvent = func(e sim.Event) {
				if e.Kind == sim.EventFault {
					acted(e.Fault, e.Match)
				}
			}
		}
		return virtual.Run(ctx, a.program.Subject, s, seed, options)
	}, release, nil
}

// shrinking returns what shows on a terminal how far it is; nil: nobody looks.
func (a *App) shrinking(began time.Time) func(runs int, what string, smaller bool) {
	file, ok := a.Stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	taken := 0
	return func(runs int, what string, smaller bool) {
		if smaller {
			taken++
		}
		fmt.Fprintf(file, "\r\x1b[K%d runs in %s, %d times smaller: %s", runs, engine.Short(time.Since(began)), taken, what)
	}
}

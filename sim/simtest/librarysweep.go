package simtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/scenario"
)

// sweepSeeds are the seeds of each scenario that a sweep of the library runs by default.
const sweepSeeds = "1..200"

func (a *App) newSweep() *cobra.Command {
	var (
		o       runOptions
		seedsOf map[string]string
	)
	cmd := &cobra.Command{
		Use: "sweep [NAME...]", Short: "Run many seeds of each scenario of the library, or of those that are named",
		Args: cobra.ArbitraryArgs,
		Long: `sweep runs the same seeds of one scenario after the other, prints a line for each, and names in the end those that fail. A
scenario that fails keeps no other from running. It exits with the code of the first that fails. With --backend, scenarios that cannot
run there are told with the reason, and are no failures.`,
		Example: fmt.Sprintf(`  %[1]s sweep --out results
  %[1]s sweep --seeds 1..1000 --seeds-of long-soak=1..10
  %[1]s sweep worker-crash controller-power-loss --seeds 1..50`, a.name()),
		RunE: func(cmd *cobra.Command, names []string) error { return a.sweepAll(cmd.Context(), names, &o, seedsOf) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.seeds, "seeds", sweepSeeds, "the `range` of seeds of each scenario")
	flags.StringToStringVar(&seedsOf, "seeds-of", nil, "other seeds of one scenario, as `NAME=RANGE`; may be repeated")
	flags.BoolVar(&o.verify, "verify", false, "run each seed again with other GOMAXPROCS, and compare the traces")
	flags.BoolVar(&o.failFast, "fail-fast", false, "end each scenario at its first seed that fails")
	flags.StringVar(&o.out, "out", "", "save what came of each scenario in a directory of its name in this `directory`")
	flags.DurationVar(&o.stall, "stall", sim.DefaultStall, "end a run in which nothing has happened for so much real `time`; 0: never")
	o.place.addFlags(flags, a)
	a.addVariant(flags)
	return cmd
}

// sweepAll runs the seeds of scenarios of the library, of all of them if there are no names.
func (a *App) sweepAll(ctx context.Context, names []string, common *runOptions, seedsOf map[string]string) error {
	if len(names) == 0 {
		names = a.library().List()
	}
	for name := range seedsOf { // order-free: any of those that are wrong is told
		if !slices.Contains(names, name) {
			return Invalid("--seeds-of: %q is not one of the scenarios to run", name)
		}
	}
	subjects, options := make([]*subject, len(names)), make([]runOptions, len(names))
	for i, name := range names {
		var err error
		if subjects[i], err = a.named(name); err != nil {
			return err
		}
		o := *common
		o.format = formatText
		if seeds, ok := seedsOf[name]; ok {
			o.seeds = seeds
		}
		if o.out != "" {
			o.out = filepath.Join(o.out, subjects[i].Name)
		}
		if _, _, err := o.pick(subjects[i]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		options[i] = o
	}
	var (
		failed []string
		first  *ExitError
		// How many pass, and how many cannot run there.
		passed, left int
	)
	for i, of := range subjects {
		var unsuitable *scenario.UnsuitableError
		if options[i].place.used() && errors.As(options[i].place.prepare(of, of.first), &unsuitable) {
			fmt.Fprintf(a.Stdout, "%s: %v\n", of.Called, unsuitable)
			left++
			continue
		}
		var text bytes.Buffer
		each := *a
		each.Stdout = &text
		err := each.runSubject(ctx, of, &options[i])
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var told *ExitError
		if err != nil && (!errors.As(err, &told) || told.Err != nil) {
			return fmt.Errorf("%s: %w", names[i], err)
		}
		line, rest, _ := strings.Cut(text.String(), "\n")
		fmt.Fprintln(a.Stdout, line)
		if err == nil {
			passed++
			continue
		}
		failed = append(failed, names[i])
		if first == nil {
			first = told
		}
		if common.out == "" {
			fmt.Fprint(a.Stdout, rest, "\n")
		}
	}
	if first == nil {
		fmt.Fprintf(a.Stdout, "all %d scenarios pass%s\n", passed, besides(left))
		return nil
	}
	fmt.Fprintf(a.Stdout, "%d of %d scenarios fail: %s%s\n", len(failed), len(failed)+passed, strings.Join(failed, ", "), besides(left))
	if common.out != "" {
		fmt.Fprintf(a.Stdout, "see %s\n", filepath.Join(common.out, "NAME", fileSummary))
	}
	return first
}

// besides tells of scenarios that did not run, if there are any.
func besides(left int) string {
	if left == 0 {
		return ""
	}
	return fmt.Sprintf("; %d more cannot run there", left)
}

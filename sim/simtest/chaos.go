package simtest

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/sim/chaos"
	"github.com/frayrpc/fray/sim/scenario"
)

const (
	chaosCommand = "chaos"
	defaultSpan  = chaos.DefaultSpan
)

type chaosOptions struct {
	runOptions

	kinds []string
	span  time.Duration
	// redraw has parts that are drawn from other seeds.
	redraw string
	// runs is how many runs are guided.
	runs int
}

// redrawFlag names parts that are drawn from other seeds.
const redrawFlag = "redraw"

func (o *chaosOptions) addRedraw(flags *pflag.FlagSet) {
	flags.StringVar(&o.redraw, redrawFlag, "", "draw `parts` of the scenario from other seeds, such as faults=77 or fault-3=77")
}

func (a *App) newChaos() *cobra.Command {
	var (
		o    chaosOptions
		show bool
	)
	cmd := &cobra.Command{
		Use: chaosCommand + " --scenario FILE|NAME", Short: "Run a scenario under random faults, each seed its own", Args: cobra.NoArgs,
		Long: `chaos takes the hosts, the work and the expectations of a scenario, and gives each seed faults of its own in place of the
scenario's. The same seed gives the same faults and the same run. ` + longGuided,
		Example: fmt.Sprintf(`  %[1]s chaos --scenario mine.yaml --seeds 1..1000
  %[1]s chaos --scenario mine.yaml --guided --runs 1000
  %[1]s chaos --scenario mine.yaml --faults restart,partition --seed 7 --html run.html
  %[1]s chaos --scenario mine.yaml --seed 7 --print >failing.yaml && %[1]s --scenario failing.yaml`, a.name()),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.place.check(); err != nil {
				return a.xmlOf(&o.runOptions, chaosCommand, err)
			}
			if err := o.checkGuided(cmd.Flags(), show); err != nil {
				return a.xmlOf(&o.runOptions, chaosCommand, err)
			}
			if o.guided {
				return a.runGuided(cmd.Context(), &o)
			}
			of, err := a.drawn(&o)
			switch {
			case err != nil && kindOf(err) == scenario.VerdictInvalid && !show:
				return a.refused(&o.runOptions, cmp.Or(o.scenario, chaosCommand), err)
			case err != nil:
				return err
			case !show:
				return a.xmlOf(&o.runOptions, of.Name, a.runSubject(cmd.Context(), of, &o.runOptions))
			}
			seeds, single, err := o.pick(of)
			if err != nil {
				return err
			}
			if !single {
				return Invalid("--print is for one seed: pass --seed")
			}
			text, err := of.of(seeds.First).Marshal()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.Stdout, "%s", text)
			return err
		},
	}
	if a.program.Draw != nil {
		cmd.Use, cmd.Short = chaosCommand, "Run random scenarios, each seed its own"
		cmd.Long = `chaos makes a scenario of each seed: hosts, work, faults of all kinds, and what must be true whatever they were. It
runs it under that seed, judged by the same oracles as any other. The same seed gives the same scenario and, in virtual time, the same
run. With --scenario, the hosts, the work and the expectations are that scenario's, and the faults are the seed's. ` + longGuided
		cmd.Example = fmt.Sprintf(`  %[1]s chaos --seeds 1..1000
  %[1]s chaos --guided --runs 1000
  %[1]s chaos --seed 7 --html run.html
  %[1]s chaos --seed 7 --print >failing.yaml && %[1]s --scenario failing.yaml
  %[1]s chaos --scenario mine.yaml --faults restart,partition --seeds 1..100`, a.name())
	}
	flags := cmd.Flags()
	o.addFlags(flags, a)
	flags.StringVar(&o.scenario, "scenario", "", "the `file` or name of the scenario that gets other faults")
	flags.StringSliceVar(&o.kinds, "faults", nil, "the `kinds` of faults, with --scenario (default: "+strings.Join(chaos.Kinds(), ",")+")")
	flags.DurationVar(&o.span, "span", defaultSpan, "how much `time` things go wrong for, with --scenario")
	o.addRedraw(flags)
	flags.BoolVar(&o.guided, "guided", false, "vary the scenarios whose runs come to what none before came to")
	flags.IntVar(&o.runs, "runs", defaultRuns, "how many `runs` there are, with --guided")
	flags.DurationVar(&o.lasts, "for", 0, "go on until so much `time` is over, with seeds from the first on")
	flags.BoolVar(&show, "print", false, "print the scenario of one seed, and do not run it")
	return cmd
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

const chaosCommand = "chaos"

func (a *app) newChaos() *cobra.Command {
	var (
		o    runOptions
		show bool
	)
	cmd := &cobra.Command{
		Use: chaosCommand, Short: "Run random scenarios, each seed its own", Args: cobra.NoArgs,
		Long: `chaos makes a scenario of each seed: a cluster, a workload, faults of all kinds, and what must be true whatever they were. It
runs it under that seed, judged by the same oracles as any other. The same seed gives the same scenario and, in virtual time, the same
run. On processes scenarios are shorter, and others.`,
		Example: `  fray-sim chaos --seeds 1..1000
  fray-sim chaos --seed 7 --html run.html
  fray-sim chaos --seed 7 --print >failing.yaml && fray-sim --scenario failing.yaml
  fray-sim chaos --backend process --for 10m`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.process.check(); err != nil {
				return err
			}
			of := drawn(o.process.backend)
			if !show {
				return a.runSubject(cmd.Context(), of, &o)
			}
			seeds, single, err := o.pick(of)
			if err != nil {
				return err
			}
			if !single {
				return invalid("--print is for one seed: pass --seed")
			}
			text, err := of.of(seeds.First).Marshal()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "%s", text)
			return err
		},
	}
	flags := cmd.Flags()
	o.addFlags(flags)
	flags.DurationVar(&o.lasts, "for", 0, "go on with seeds from the first on until so much `time` is over")
	flags.BoolVar(&show, "print", false, "print the scenario of one seed, and do not run it")
	return cmd
}

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"github.com/frayrpc/fray/sim/scenario"
)

type runOptions struct {
	scenario, seed, seeds string
	verify                bool
	trace, html           string
	format                string
}

// range of seeds to run; single says that it is one run that the user looks at.
func (o *runOptions) pick(s *scenario.Scenario) (seeds scenario.Seeds, single bool, err error) {
	switch {
	case o.format != "text" && o.format != "json":
		return seeds, false, invalid("--format %q is neither text nor json", o.format)
	case o.seed != "" && o.seeds != "":
		return seeds, false, invalid("--seed and --seeds exclude each other")
	case o.seeds != "":
		if o.trace != "" || o.html != "" || o.verify {
			return seeds, false, invalid("--trace, --html and --verify are for one seed: pass --seed")
		}
		seeds, err = scenario.ParseSeeds(o.seeds)
		if err != nil {
			return seeds, false, invalid("--seeds: %w", err)
		}
		return seeds, false, nil
	case o.seed != "":
		seed, err := strconv.ParseUint(o.seed, 10, 64)
		if err != nil {
			return seeds, false, invalid("--seed %q is not a number from 0 to %d", o.seed, uint64(1<<64-1))
		}
		return scenario.Seeds{First: seed, Last: seed}, true, nil
	}
	first := max(s.Run.Seeds.First, 1)
	return scenario.Seeds{First: first, Last: first}, true, nil
}

func (a *app) runScenario(ctx context.Context, o *runOptions) error {
	s, err := load(o.scenario)
	if err != nil {
		return err
	}
	seeds, single, err := o.pick(s)
	if err != nil {
		return err
	}
	if !single {
		return a.sweep(ctx, o, seeds)
	}
	result, err := runOne(ctx, s, seeds.First, o)
	if err != nil {
		return err
	}
	if o.format == "json" {
		if err := json.NewEncoder(a.stdout).Encode(result); err != nil {
			return err
		}
	} else {
		writeReport(a.stdout, result, o.scenario)
	}
	if code := result.ExitCode(); code != exitPass {
		return &exitError{code: code}
	}
	return nil
}

func runOne(ctx context.Context, s *scenario.Scenario, seed uint64, o *runOptions) (result *scenario.Result, err error) {
	var options scenario.Options
	if o.trace != "" {
		file, err := os.Create(o.trace)
		if err != nil {
			return nil, invalid("write trace: %w", err)
		}
		buffered := bufio.NewWriter(file)
		options.Trace = buffered
		defer func() { err = errors.Join(err, buffered.Flush(), file.Close()) }()
	}
	drawn, err := draw(o, s, seed, &options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, drawn.finish(result)) }()
	if o.verify {
		result, err = scenario.Verify(ctx, s, seed, options, 1, max(runtime.NumCPU(), 2))
	} else {
		// Hardly ever is more than one goroutine of a simulation at work; to hand it from core to core costs half as much again.
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		result, err = scenario.Run(ctx, s, seed, options)
	}
	if err != nil {
		return nil, fmt.Errorf("seed %d: %w", seed, err)
	}
	return result, err
}

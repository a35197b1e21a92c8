package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/sim/cluster/process"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// processOptions are those of runs on real processes.
type processOptions struct {
	backend string
	fray    string
	maxWall time.Duration
	config  process.Config // set before runs
}

func (o *processOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.backend, "backend", scenario.BackendSim, "run in virtual time (sim), or on real processes (process)")
	flags.StringVar(&o.fray, "fray-binary", "", "process: the fray command to run as controller (default: the one beside fray-sim)")
	flags.DurationVar(&o.maxWall, "max-wall", process.DefaultMaxWall, "process: the longest that a run may take")
}

// used says whether runs are on processes.
func (o *processOptions) used() bool { return o.backend == scenario.BackendProcess }

func (o *processOptions) check() error {
	switch {
	case o.backend != scenario.BackendSim && !o.used():
		return invalid("--backend %q is neither %s nor %s", o.backend, scenario.BackendSim, scenario.BackendProcess)
	case o.fray != "" && !o.used():
		return invalid("--fray-binary is for --backend %s", scenario.BackendProcess)
	case o.maxWall <= 0:
		return invalid("--max-wall %v must be above 0", o.maxWall)
	}
	return nil
}

// prepareProcesses says whether the scenario of the first seed can run on processes, and finds what
// these are started from.
func (a *app) prepareProcesses(of *subject, seed uint64, o *runOptions) error {
	s := of.of(seed)
	err := process.Suitable(s, o.process.maxWall)
	if err == nil {
		err = s.RunsOn(scenario.BackendProcess)
	}
	if err != nil {
		return asInvalid(fmt.Errorf("%s: %w", of.Called, err))
	}
	self, err := a.executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	fray := cmp.Or(o.process.fray, filepath.Join(filepath.Dir(self), "fray"+filepath.Ext(self)))
	if info, err := os.Stat(fray); err != nil || info.IsDir() {
		const hint = "build it with go build -o DIR ./cmd/..., or name it with --fray-binary"
		return invalid("there is no fray command at %s to run as the controller: %s", fray, hint)
	}
	environ := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "FRAY_") }) // Which would configure the controller.
	o.process.config = process.Config{Fray: fray, Worker: []string{self, workerCommand}, Environ: environ, MaxWall: o.process.maxWall}
	return nil
}

// run runs a scenario on processes that are prepared for.
func (o *processOptions) run(ctx context.Context, s *scenario.Scenario, seed uint64) (*engine.Result, error) {
	result, err := process.Run(ctx, s, seed, system.Options{}, o.config)
	if err != nil {
		return nil, fmt.Errorf("seed %d: %w", seed, err)
	}
	return result, nil
}

// workerCommand is the command that makes a process a worker of a run of another one.
const workerCommand = "worker"

func (a *app) newWorker() *cobra.Command {
	return &cobra.Command{
		Use: workerCommand, Short: "Be a worker of a run on processes", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			const descriptor = 3
			file := os.NewFile(descriptor, "run")
			conn, err := net.FileConn(file)
			if err != nil {
				return errors.New("this command is for fray-sim itself: it runs the workers of --backend process")
			}
			_ = file.Close() // The connection has a copy.
			return process.Work(cmd.Context(), conn, a.stderr)
		},
	}
}

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
	"github.com/frayrpc/fray/sim/simtest"
)

// processes are where a cluster's scenarios run as real processes.
type processes struct {
	app     *simtest.App
	fray    string
	maxWall time.Duration
	mtls    bool
	config  process.Config // set before runs
}

// Name implements simtest.Backend.
func (*processes) Name() string { return scenario.BackendProcess }

// Help implements simtest.Backend.
func (*processes) Help() string { return "on real processes" }

// AddFlags implements simtest.Backend.
func (p *processes) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&p.fray, "fray-binary", "", "process: the fray command to run as controller (default: the one beside fray-sim)")
	flags.BoolVar(&p.mtls, "mtls", false, "process: have all processes speak TLS, and show certificates")
	flags.DurationVar(&p.maxWall, "max-wall", process.DefaultMaxWall, "process: the longest that a run may take")
}

// Check implements simtest.Backend.
func (p *processes) Check(used bool) error {
	switch {
	case p.fray != "" && !used:
		return simtest.Invalid("--fray-binary is for --backend %s", scenario.BackendProcess)
	case p.mtls && !used:
		return simtest.Invalid("--mtls is for --backend %s", scenario.BackendProcess)
	case p.maxWall <= 0:
		return simtest.Invalid("--max-wall %v must be above 0", p.maxWall)
	}
	return nil
}

// Prepare implements simtest.Backend: it says whether the scenario can run on processes, and finds
// what these are started from.
func (p *processes) Prepare(s *scenario.Scenario) error {
	if err := cmp.Or(process.Suitable(s, p.maxWall), s.RunsOn(scenario.BackendProcess)); err != nil {
		return err
	}
	self, err := p.app.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	fray := cmp.Or(p.fray, filepath.Join(filepath.Dir(self), "fray"+filepath.Ext(self)))
	if info, err := os.Stat(fray); err != nil || info.IsDir() {
		const hint = "build it with go build -o DIR ./cmd/..., or name it with --fray-binary"
		return simtest.Invalid("there is no fray command at %s to run as the controller: %s", fray, hint)
	}
	environ := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "FRAY_") }) // Which would configure the controller.
	p.config = process.Config{Fray: fray, Worker: []string{self, workerCommand}, Environ: environ, MTLS: p.mtls, MaxWall: p.maxWall}
	return nil
}

// Run implements simtest.Backend.
func (p *processes) Run(ctx context.Context, s *scenario.Scenario, seed uint64) (*engine.Result, error) {
	return process.Run(ctx, s, seed, system.Options{}, p.config)
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
			return process.Work(cmd.Context(), conn, a.Stderr)
		},
	}
}

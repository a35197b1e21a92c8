// Package workermain makes a program of its own of the functions that a worker executes. This is all of
// it:
//
//	func main() { workermain.Main(tasks.Resize, tasks.Classify) }
//
// The program has the options of the command "fray worker", but for those about executing commands, by
// flags and by the same variables of the environment: the controller's URL, the worker's name, slots,
// resources and labels, where it listens, for how long it drains, token, TLS, who may call it, metrics,
// profiles, the log, and faults for tests. --help lists them, and its functions. It serves gRPC health,
// /healthz, /readyz and Prometheus metrics under /metrics where it listens.
//
// SIGTERM, SIGINT and SIGHUP make it take no new tasks, end those that it runs within the drain grace,
// and leave; a second signal stops them at once. It exits with 0 then, with 2 if an option is wrong or
// the controller refuses what the worker says of itself, and with 3 if it cannot listen.
//
// Once it runs, FRAY_TOKEN is not in its environment any longer, so that no process that a function
// starts inherits the secret of the cluster.
//
// Programs that want it otherwise, or HTTP/3, build a worker with package worker.
package workermain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/internal/command"
)

// section is that of the options' variables: FRAY_WORKER_SLOTS is --slots.
const section = "worker"

// Main runs a worker of these functions, by the command line and the environment of the process, and
// ends the process. It is to be called by main, before anything else that begins to run.
func Main(functions ...fray.Function) { os.Exit(run(functions)) }

// run is Main, and returns the exit code.
func run(functions []fray.Function) int {
	signals, release := command.CatchSignals()
	defer release()
	p := &program{
		Process: command.Process{
			Name:  strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"),
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Signals: signals,
		},
		functions: functions,
	}
	ctx, over := p.HeedSignals(context.Background())
	defer over()
	err := p.run(ctx, os.Args[1:])
	return p.Exit(p.Name, err, command.ExitCode(err))
}

// program is one run of a worker.
type program struct {
	command.Process

	functions []fray.Function
	options   command.Worker
	flags     *pflag.FlagSet
	help      bool
}

func (p *program) run(ctx context.Context, args []string) error {
	p.flags = pflag.NewFlagSet(p.Name, pflag.ContinueOnError)
	p.flags.SetOutput(io.Discard)
	p.flags.Usage = func() {}
	p.AddWorkerFlags(p.flags, &p.options, "be made to misbehave by everybody who reaches this worker")
	p.flags.BoolVarP(&p.help, "help", "h", false, "print this")
	if err := p.flags.Parse(args); err != nil {
		return command.UsageError("%w", err)
	}
	if p.help {
		return p.printHelp()
	}
	if p.flags.NArg() > 0 {
		return command.UsageError("unexpected argument %q", p.flags.Arg(0))
	}
	if err := p.configure(); err != nil {
		return err
	}
	if len(p.functions) == 0 {
		return command.UsageError("this worker has nothing to execute: its program calls workermain.Main without functions")
	}
	w, end, err := p.NewWorker(ctx, &p.options, p.functions, 0)
	if err != nil {
		return err
	}
	return errors.Join(p.RunWorker(ctx, w), end())
}

// configure takes what the environment says.
func (p *program) configure() error {
	if err := command.CheckGiven(p.flags); err != nil {
		return err
	}
	env := p.Variables()
	if env[command.ConfigVariable] != "" {
		fmt.Fprintf(p.Stderr, "%s: warning: %s is for the command fray: this program reads no file\n", p.Name, command.ConfigVariable)
	}
	var known []string
	for _, s := range command.Sources(section, p.flags) {
		known = append(known, s.Variable)
	}
	return p.Configure(section, p.flags, env, known)
}

func (p *program) printHelp() error {
	var names strings.Builder
	for _, name := range p.names() {
		fmt.Fprintf(&names, "  %s\n", name)
	}
	command.DocumentSources(section, p.flags)
	_, err := fmt.Fprintf(p.Stdout, `Run a worker of Fray: it leases tasks from a controller, executes them, and reports how they ended. It tries to reach its
controller for ever.

SIGTERM and SIGINT make it take no new tasks, end those that it runs within the drain grace, and leave. A second signal
stops them at once.

Usage:
  %s [flags]

Functions:
%s
Flags:
%s
An option is taken from the command line, else from the environment. %s has the secret of the cluster.
`, p.Name, names.String(), p.flags.FlagUsages(), command.TokenVariable)
	return err
}

// names returns those of the functions, in order.
func (p *program) names() []string {
	names := make([]string, 0, len(p.functions))
	for _, f := range p.functions {
		names = append(names, f.Name())
	}
	slices.Sort(names)
	return names
}

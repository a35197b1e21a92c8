package simtest

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/sim/chaos"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/report"
	"github.com/frayrpc/fray/sim/scenario"
)

// A Program is a command that runs scenarios of a subject. Subject is required.
type Program struct {
	Subject *engine.Subject
	// Name is what its users call it. "": the name of the file that runs.
	Name string
	// Short and Long describe it in its help, and Example shows command lines. "": in general
	// words.
	Short, Long, Example string
	// Library has scenarios as NAME.yaml in its root. Nil: there are none.
	Library fs.FS
	// Draw returns the random scenario of a seed that is to run on a backend, with those parts drawn
	// from other seeds that are redrawn. An error says that there is no such part. Nil: chaos draws
	// faults only, for scenarios that it is given. Parts are those that any of its scenarios has, the
	// faults among them.
	Draw  func(v chaos.Variation, backend string) (*scenario.Scenario, error)
	Parts []string
	// Variant is how its command line has scenarios changed before they run. Nil: it cannot.
	Variant Variant
	// Test is how a Go test gets the subject, for shrink --test. Nil: by the exported function without
	// parameters that made the subject's Begin.
	Test *TestSubject
	// Backends returns where else than in virtual time scenarios run. Each command that runs them
	// has backends of its own. Nil: nowhere.
	Backends func(*App) []Backend
	// Commands returns commands of its own. Nil: there are none.
	Commands func(*App) []*cobra.Command
}

// A Variant changes every scenario before it runs, as flags of the command line say.
type Variant interface {
	// AddFlags adds the flags to a command that runs scenarios.
	AddFlags(flags *pflag.FlagSet)
	// Args are those flags that were given, for a command line that runs the same.
	Args() []string
	// Apply returns the scenario as it is to run.
	Apply(s *scenario.Scenario) (*scenario.Scenario, error)
}

// A Backend is where scenarios run that is not virtual time.
type Backend interface {
	// Name is what --backend and the scenario's run.backends have, and Help what it is, in a few
	// words.
	Name() string
	Help() string
	// AddFlags adds what it wants to know, and Check refuses what of it makes no sense. Used says
	// whether it was asked for.
	AddFlags(flags *pflag.FlagSet)
	Check(used bool) error
	// Prepare is called before any run, with the scenario of the first seed. An error of it is one
	// of the command line, or of the scenario.
	Prepare(s *scenario.Scenario) error
	Run(ctx context.Context, s *scenario.Scenario, seed uint64) (*engine.Result, error)
}

// An App is one run of a program's command line.
type App struct {
	Stdout, Stderr io.Writer
	// Executable returns the file that runs. It is started again for runs that may break down.
	Executable func() (string, error)

	program *Program
	args    []string // of the command line
	// suites gets those of sweeps, which are one of several then; nil: each writes its own.
	suites *[]*report.Suite
}

// Exit codes besides those of a scenario's result.
const (
	exitPass    = 0
	exitInvalid = 4
	exitHarness = 5
	// exitInterrupted is what shells make of a process that SIGINT ended.
	exitInterrupted = 130
)

// gcPercent lets the heap grow more than by default before it is collected: a simulation keeps
// little of what it allocates, and collecting a small heap over and over is a third of its time.
const gcPercent = 400

// Main runs the verbs of fray-sim over a subject and the scenarios that are NAME.yaml in the root of
// files, which may be nil, on the command line of this process, and ends the process.
func Main(subject *engine.Subject, files fs.FS) { (&Program{Subject: subject, Library: files}).Main() }

// Main runs the program on the command line of this process, and ends the process.
func (p *Program) Main() { os.Exit(p.run()) }

func (p *Program) run() int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &App{Stdout: os.Stdout, Stderr: os.Stderr, Executable: os.Executable, program: p}
	return a.run(ctx, os.Args[1:])
}

// name is what users call the program.
func (a *App) name() string {
	if a.program.Name != "" {
		return a.program.Name
	}
	return strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
}

// subjects are those whose files the program reads.
func (a *App) subjects() scenario.Subjects { return scenario.Subjects{a.program.Subject.Format} }

func (a *App) library() scenario.Library {
	return scenario.Library{Files: a.program.Library, Subjects: a.subjects()}
}

// ExitError is an error that knows the exit code.
type ExitError struct {
	Code int
	Err  error // nil: all has been said
}

// Error implements error.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns the error itself.
func (e *ExitError) Unwrap() error { return e.Err }

// Invalid returns an error of the command line, or of a file that it names.
func Invalid(format string, args ...any) error {
	return &ExitError{exitInvalid, fmt.Errorf(format, args...)}
}

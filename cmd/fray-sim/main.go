// Command fray-sim runs scenarios: a whole Fray cluster under faults, in deterministic virtual
// time.
//
//	fray-sim --scenario worker-crash              run one, with its first seed
//	fray-sim --scenario worker-crash --seeds 1..500
//	fray-sim list                                 the library
//
// A seed replays byte for byte. Exit codes: 0 pass, 1 invariant broken, 2 liveness broken, 3
// nondeterminism, 4 invalid scenario or command line, 5 harness error, 6 stalled in real time, 130
// interrupted.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// Exit codes besides those of a scenario's result.
const (
	exitPass    = 0
	exitInvalid = 4
	exitHarness = 5
	// exitInterrupted is what shells make of a process that SIGINT ended.
	exitInterrupted = 130
)

func main() { os.Exit(runProcess()) }

// gcPercent lets the heap grow more than by default before it is collected: a simulation keeps
// little of what it allocates, and collecting a small heap over and over is a third of its time.
const gcPercent = 400

func runProcess() int {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{stdout: os.Stdout, stderr: os.Stderr, executable: os.Executable}
	return a.run(ctx, os.Args[1:])
}

// app is one run of the command.
type app struct {
	stdout, stderr io.Writer
	executable     func() (string, error)
	args           []string // of the command line
}

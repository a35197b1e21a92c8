// Command fray runs a Fray cluster, and asks things of one: it starts controllers and workers, runs
// commands in parallel over either, and submits, watches and cancels tasks.
//
//	fray map -- sha256sum {} ::: *.iso   run a command for each input, like xargs or GNU parallel
//	fray dev                             a controller and workers on this machine
//	fray help                            everything else
package main

import (
	"context"
	"os"

	"github.com/frayrpc/fray/fray/worker/execfn"
	"github.com/frayrpc/fray/internal/command"
)

func main() {
	if execfn.Launch(os.Args) {
		os.Exit(command.ExitUnavailable)
	}
	os.Exit(runProcess())
}

// runProcess runs the command that the process was started as, and returns its exit code.
func runProcess() int {
	signals, release := command.CatchSignals()
	defer release()
	spareCollections(os.Environ())
	a := &app{
		Process: command.Process{
			Name:  "fray",
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Signals: signals,
		},
		executable: os.Executable,
	}
	return a.run(context.Background(), os.Args[1:])
}

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
	"os/signal"
	"syscall"

	"github.com/frayrpc/fray/fray/worker/execfn"
)

func main() {
	if execfn.Launch(os.Args) {
		os.Exit(exitUnavailable)
	}
	os.Exit(runProcess())
}

// runProcess runs the command that the process was started as, and returns its exit code.
func runProcess() int {
	signals := make(chan os.Signal, 4)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) { // as under nohup, or in the background of a shell script
			signal.Notify(signals, sig)
		}
	}
	defer signal.Stop(signals)
	spareCollections(os.Environ())
	a := &app{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		environ: os.Environ(), signals: signals, executable: os.Executable,
	}
	return a.run(context.Background(), os.Args[1:])
}

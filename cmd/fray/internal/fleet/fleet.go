// Package fleet keeps worker processes running on this machine, for the commands that bring their
// own: dev, map and bench.
//
//	f := fleet.Fleet{Executable: program, Args: []string{"--controller", url}, Size: 4, ...}
//	err := f.Run(ctx) // until ctx is done; then the workers leave
//
// A worker that dies is started again, under the same id, so that the controller at once gives to
// others what the dead one held.
//
// No process outlives the fleet. Each worker leads a process group; it stops by itself when the
// pipe to its standard input breaks, as it does when this process is killed; and on Linux, whatever
// a dead worker left behind falls to this process, which kills it.
package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/frayrpc/fray/internal/children"
	"github.com/frayrpc/fray/internal/sleep"
)

// Bounds of a fleet.
const (
	// A worker that dies this often, and each time within a minute of its start, is not started
	// again.
	maxRestarts    = 8
	restartBase    = 100 * time.Millisecond
	restartCap     = 5 * time.Second
	restartForgive = time.Minute
	// How long a worker may take to stop a task, and how long to leave in all.
	stopGrace = 4 * time.Second
	leaveTime = 10 * time.Second
)

// ErrNoWorkers ends what needs workers when none is left.
var ErrNoWorkers = errors.New("no worker process is left")

// A Fleet says which workers there are to be.
type Fleet struct {
	// Executable is the fray program, and Environ the environment that it gets.
	Executable string
	Environ    []string
	// Command has the words of the command that is a worker. Nil: worker.
	Command []string
	// Args are options of each worker, besides those that make it one of the fleet.
	Args []string
	// ArgsOf returns options that only the i-th worker has, from 0 on, and which come last. Nil: none has any.
	ArgsOf func(i int) []string
	// Name begins the ids of workers, as in worker-1. Empty: worker.
	Name string
	// Size is the number of workers.
	Size int
	// Output gets what the workers write to their standard error, in whole lines. Several
	// goroutines write it.
	Output io.Writer
	// Tell is called with what happens to workers.
	Tell func(format string, args ...any)
	// Started is called with the id and the process id of each worker that was started, by several
	// goroutines. Nil: nothing is.
	Started func(id string, pid int)
	// Hurry is closed to have workers killed, which otherwise are asked to leave.
	Hurry <-chan struct{}
	// Hopeless is the exit code of a worker that would only end the same way again.
	Hopeless int

	starter *children.Starter
}

// Run keeps the workers running until ctx is done, and then ends them. It returns an error if none
// is left before that. While it runs, this process starts others by package children alone.
func (f *Fleet) Run(ctx context.Context) error {
	release := children.Adopt()
	defer release()
	defer children.KillOrphans() // what workers have left behind
	f.starter = children.NewStarter(syscall.SIGTERM)
	defer f.starter.Close()

	var places sync.WaitGroup
	for i := range f.Size {
		var own []string
		if f.ArgsOf != nil {
			own = f.ArgsOf(i)
		}
		places.Go(func() { f.keep(ctx, cmp.Or(f.Name, "worker")+"-"+strconv.Itoa(i+1), own) })
	}
	places.Wait()
	if ctx.Err() == nil {
		return ErrNoWorkers
	}
	return nil
}

// keep keeps one worker, with some options of its own, running until ctx is done, it leaves of its own accord,
// or it dies too often.
func (f *Fleet) keep(ctx context.Context, id string, own []string) {
	delay := restartBase
	for deaths := 0; ctx.Err() == nil; {
		started := time.Now()
		err := f.runOnce(ctx, id, own)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			f.Tell("%s has left, as it was told to", id)
			return
		}
		children.KillOrphans()
		if time.Since(started) > restartForgive {
			deaths, delay = 0, restartBase
		}
		deaths++
		var exit *exec.ExitError
		if deaths > maxRestarts || (errors.As(err, &exit) && exit.ExitCode() == f.Hopeless) {
			f.Tell("%s died (%v), and is not started again", id, err)
			return
		}
		f.Tell("%s died (%v), starting it again", id, err)
		_ = sleep.For(ctx, delay)
		delay = min(2*delay, restartCap)
	}
}

// runOnce runs a worker process until it ends. When ctx is done it is asked to, and killed if it
// takes too long.
func (f *Fleet) runOnce(ctx context.Context, id string, own []string) error {
	command := f.Command
	if command == nil {
		command = []string{"worker"}
	}
	args := slices.Concat(command, []string{"--id", id, "--lifeline", "--stop-grace", stopGrace.String()}, f.Args, own)
	cmd := exec.Command(f.Executable, args...) //nolint:noctx // It is this program; it is asked to leave before it is killed.
	cmd.Env = f.Environ
	cmd.Stderr = &prefixWriter{w: f.Output, prefix: id + ": "}
	worker, err := f.starter.Start(cmd)
	if err != nil {
		return fmt.Errorf("start worker process: %w", err)
	}
	if f.Started != nil {
		f.Started(id, cmd.Process.Pid)
	}
	select {
	case <-worker.Gone():
		return worker.Wait()
	case <-ctx.Done():
		return worker.Stop(leaveTime, f.Hurry, func() { f.Tell("%s does not leave, killing it", id) })
	}
}

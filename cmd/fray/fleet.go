package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/frayrpc/fray/internal/children"
	"github.com/frayrpc/fray/internal/sleep"
)

// Bounds of a fleet.
const (
	// A worker that dies this often, and each time within a minute of its start, is not started again.
	maxRestarts    = 8
	restartBase    = 100 * time.Millisecond
	restartCap     = 5 * time.Second
	restartForgive = time.Minute
	// How long the workers of map may take to stop a task, and how long a fleet's may take to leave in all.
	fleetStopGrace = 4 * time.Second
	fleetLeaveTime = 10 * time.Second
)

// errNoWorkers ends what needs workers when none is left.
var errNoWorkers = errors.New("no worker process is left")

// fleet is a number of worker processes of this same program. A worker that dies is started again, under the same
// id, so that the controller at once gives to others what the dead one held.
//
// No process outlives the fleet: each worker leads a process group; it stops by itself when the pipe to its standard
// input breaks, as it does when this process is killed; and on Linux, whatever a dead worker left behind falls to this
// process, which kills it.
type fleet struct {
	executable string
	environ    []string
	args       []string // of each worker, besides its id
	size       int
	output     io.Writer // what the workers write to their standard error; written by several goroutines
	tell       func(format string, args ...any)
	hurry      <-chan struct{} // closed: kill, don't ask

	starts chan func() // run by one goroutine, on a thread that lives as long as the fleet
}

// run keeps the workers running until ctx is done, and then ends them. It returns an error if none is left before that.
func (f *fleet) run(ctx context.Context) error {
	f.starts = make(chan func())
	release := children.Adopt()
	defer release()
	defer children.KillOrphans() // what workers have left behind
	// Linux tells a child of the death of the thread that started it, which therefore must last.
	var starter sync.WaitGroup
	starter.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for start := range f.starts {
			start()
		}
	})
	defer starter.Wait()
	defer close(f.starts)

	var places sync.WaitGroup
	for i := range f.size {
		places.Go(func() { f.keep(ctx, "worker-"+strconv.Itoa(i+1)) })
	}
	places.Wait()
	if ctx.Err() == nil {
		return &codedError{exitUnavailable, errNoWorkers}
	}
	return nil
}

// keep keeps one worker running until ctx is done, it leaves of its own accord, or it dies too often.
func (f *fleet) keep(ctx context.Context, id string) {
	delay := restartBase
	for deaths := 0; ctx.Err() == nil; {
		started := time.Now()
		err := f.runOnce(ctx, id)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			f.tell("%s has left, as it was told to", id)
			return
		}
		children.KillOrphans()
		if time.Since(started) > restartForgive {
			deaths, delay = 0, restartBase
		}
		deaths++
		var exit *exec.ExitError
		if deaths > maxRestarts || (errors.As(err, &exit) && exit.ExitCode() == exitUsage) {
			f.tell("%s died (%v), and is not started again", id, err)
			return
		}
		f.tell("%s died (%v), starting it again", id, err)
		_ = sleep.For(ctx, delay)
		delay = min(2*delay, restartCap)
	}
}

// runOnce runs a worker process until it ends. When ctx is done it is asked to, and killed if it takes too long.
func (f *fleet) runOnce(ctx context.Context, id string) error {
	cmd := exec.Command(f.executable, append([]string{"worker", "--id", id, "--lifeline"}, f.args...)...) //nolint:gosec,noctx // It is this program; it is asked to leave before it is killed.
	cmd.Env = f.environ
	cmd.Stderr = &prefixWriter{w: f.output, prefix: id + ": "}
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = workerProcess()
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer lifeline.Close()
	if err := f.start(cmd); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- children.Wait(cmd) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	timer := time.NewTimer(fleetLeaveTime)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err
	case <-f.hurry:
	case <-timer.C:
		f.tell("%s does not leave, killing it", id)
	}
	killGroup(cmd.Process)
	return <-ended
}

func (f *fleet) start(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	f.starts <- func() { started <- children.Start(cmd) }
	if err := <-started; err != nil {
		return fmt.Errorf("start worker process: %w", err)
	}
	return nil
}

// prefixWriter puts a prefix before each line. The writer below gets whole lines.
type prefixWriter struct {
	w      io.Writer
	prefix string
	rest   []byte // of a line that has not ended
}

// maxLogLine bounds what is kept of a line that does not end.
const maxLogLine = 64 << 10

func (p *prefixWriter) Write(data []byte) (int, error) {
	p.rest = append(p.rest, data...)
	for {
		line, rest, ok := cutLine(p.rest)
		if !ok {
			return len(data), nil
		}
		if _, err := p.w.Write(append([]byte(p.prefix), line...)); err != nil {
			return 0, err
		}
		p.rest = rest
	}
}

// cutLine returns the first line with its end, or as much as is kept of one.
func cutLine(data []byte) (line, rest []byte, ok bool) {
	for i, c := range data {
		if c == '\n' {
			return data[:i+1], data[i+1:], true
		}
	}
	if len(data) > maxLogLine {
		return append(data[:maxLogLine:maxLogLine], '\n'), data[maxLogLine:], true
	}
	return nil, data, false
}

package tasks

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/internal/sleep"
)

// gatePoll is how often a held task looks whether its gate is open.
const gatePoll = 5 * time.Millisecond

// Touch appends a line to the ledger at a path and returns the worker's id.
var Touch = fray.Define("touch", func(ctx context.Context, ledger string) (string, error) {
	return workerID(ctx), record(ctx, ledger, "touch")
})

// Hold is what a held task waits for.
type Hold struct {
	// Ledger is the path of the ledger that tells of its start and its end. Empty: nothing is told.
	Ledger string `json:"ledger"`
	// Gate is the path of the file whose existence ends it.
	Gate string `json:"gate"`
	// Stubborn has it go on when its context is done.
	Stubborn bool `json:"stubborn,omitempty"`
}

// Held runs until its gate opens, and returns the worker's id.
var Held = fray.Define("held", func(ctx context.Context, h Hold) (string, error) {
	if err := record(ctx, h.Ledger, "start"); err != nil {
		return "", err
	}
	done := ctx.Done()
	if h.Stubborn {
		done = nil
	}
	ticker := time.NewTicker(gatePoll)
	defer ticker.Stop()
	for {
		_, err := os.Stat(h.Gate)
		if err == nil {
			return workerID(ctx), record(ctx, h.Ledger, "end")
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		select {
		case <-ticker.C:
		case <-done:
			return "", errors.Join(context.Cause(ctx), record(ctx, h.Ledger, "stop"))
		}
	}
})

// Death says how a worker dies of a task.
type Death struct {
	Ledger string `json:"ledger"`
	// Attempts is how many attempts kill their worker. 0: all.
	Attempts int `json:"attempts,omitempty"`
	// Exit has the process exit by itself in place of being killed.
	Exit bool `json:"exit,omitempty"`
}

// Crash ends the process that runs it, and returns the number of the attempt that does not.
var Crash = fray.Define("crash", func(ctx context.Context, d Death) (int, error) {
	if err := record(ctx, d.Ledger, "start"); err != nil {
		return 0, err
	}
	info, _ := fray.InTask(ctx)
	if d.Attempts > 0 && info.Attempt > d.Attempts {
		return info.Attempt, nil
	}
	if d.Exit {
		os.Exit(3)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		return 0, err
	}
	<-ctx.Done()
	return 0, context.Cause(ctx)
})

// Exit ends the goroutine that runs it without a return and without a panic.
var Exit = fray.Define("goexit", func(context.Context, struct{}) (int, error) {
	runtime.Goexit()
	return 0, nil
})

// Draw says where to note what is drawn, and for how long to draw.
type Draw struct {
	Ledger string        `json:"ledger"`
	For    time.Duration `json:"for"`
}

// Drawn returns a number that no other execution returns, and notes it in the ledger first.
var Drawn = fray.Define("drawn", func(ctx context.Context, d Draw) (string, error) {
	if err := sleep.For(ctx, d.For); err != nil {
		return "", err
	}
	number := rand.Text()
	return number, record(ctx, d.Ledger, number)
})

package fray_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker"
)

// rayWorkerVariable has the program of these tests be a worker. Its value says of what kind.
const (
	rayWorkerVariable = "FRAY_TEST_RAY_WORKER"
	rayWorkerGood     = "good"
	rayWorkerMute     = "mute" // It runs and does not register.
)

// meeting is a task that ends once so many of its kind run at the same time, each in a worker of one
// slot. It returns the worker that ran it.
var meeting = fray.Define("meeting", func(ctx context.Context, m meetingIn) (string, error) {
	info, _ := fray.InTask(ctx)
	if err := os.WriteFile(filepath.Join(m.Dir, info.WorkerID), nil, 0o644); err != nil {
		return "", err
	}
	for {
		entries, err := os.ReadDir(m.Dir)
		if err != nil || len(entries) >= m.Workers {
			return info.WorkerID, err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
})

type meetingIn struct {
	Dir     string
	Workers int
}

// runRayWorker is what the program does that a Ray cluster runs.
func runRayWorker() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if os.Getenv(rayWorkerVariable) == rayWorkerMute {
		fmt.Fprintln(os.Stderr, "no model to load")
		<-ctx.Done()
		return 0
	}
	err := func() error {
		cfg, err := worker.FromEnvironment()
		if err != nil {
			return err
		}
		cfg.Functions, cfg.Slots, cfg.DrainGrace = []fray.Function{meeting, echo}, 1, -1
		w, err := worker.New(cfg)
		if err != nil {
			return err
		}
		return w.Run(ctx)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		if errors.Is(err, worker.ErrJobUnwatched) {
			return unwatchedCode
		}
		return 1
	}
	return 0
}

const unwatchedCode = 7

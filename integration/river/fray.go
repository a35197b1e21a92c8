package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/pgstore"
	"github.com/frayrpc/fray/fray/worker"
)

// frayBatch is how many tasks Fray is given at a time.
const frayBatch = 1000

// noop is what Fray executes. What it returns is stored and comes back, unlike that of a job of River.
var noop = fray.Define("noop", func(_ context.Context, in string) (string, error) { return in, nil })

// frayCluster is a controller, a worker and a client.
type frayCluster struct {
	db     *pgstore.Database
	job    *fray.JobContext
	stop   context.CancelFunc
	ending sync.WaitGroup
	mu     sync.Mutex
	failed error
}

func startFray(ctx context.Context, database string, slots int) (s system, err error) {
	quiet := slog.New(slog.DiscardHandler)
	f := &frayCluster{}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if f.db, err = pgstore.Open(ctx, pgstore.Config{URL: database}); err != nil {
		return nil, err
	}
	m, err := controller.NewMember(controller.Config{ListenAddress: "127.0.0.1:0", Logger: quiet}, lead.Config{Database: f.db, Holder: lead.Holder{ID: "bench"}})
	if err != nil {
		return nil, err
	}
	if err := m.Listen(ctx); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	f.stop = stop
	f.run("controller", func() error { return m.Run(running) })
	w, err := worker.New(worker.Config{ControllerURL: m.URL(), ID: "bench", Functions: []fray.Function{noop}, Slots: slots, Logger: quiet})
	if err != nil {
		return nil, err
	}
	leaving, leave := context.WithCancel(context.WithoutCancel(ctx))
	f.run("worker", func() error { return w.Run(leaving) })
	f.stop = func() { // First the worker, which tells the controller that it leaves.
		leave()
		stop()
	}
	if f.job, err = fray.NewJobContext(context.WithoutCancel(ctx), fray.KindFray, fray.WithControllerAddress(m.URL()), fray.WithLogger(quiet)); err != nil {
		return nil, err
	}
	for !m.Leads() {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
	return f, f.call(ctx) // The worker is there then.
}

func (f *frayCluster) run(what string, run func() error) {
	f.ending.Go(func() {
		if err := run(); err != nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.failed = errors.Join(f.failed, fmt.Errorf("%s: %w", what, err))
		}
	})
}

func (f *frayCluster) batch(ctx context.Context, n int) error {
	ctx = fray.NewContext(ctx, f.job)
	futures := make([]*fray.Future[string], 0, n)
	for left := n; left > 0; {
		ins := make([]string, min(left, frayBatch))
		for i := range ins {
			ins[i] = payload
		}
		some, err := noop.RunAll(ctx, ins)
		if err != nil {
			return err
		}
		futures = append(futures, some...)
		left -= len(some)
	}
	for _, future := range futures {
		if v, err := future.Get(ctx); err != nil || v != payload {
			return errors.Join(err, errors.New("a task did not come back as it went"))
		}
	}
	return nil
}

func (f *frayCluster) call(ctx context.Context) error {
	_, err := noop.Call(fray.NewContext(ctx, f.job), payload)
	return err
}

func (f *frayCluster) close() error {
	var err error
	if f.job != nil {
		err = f.job.Close()
	}
	if f.stop != nil {
		f.stop()
	}
	f.ending.Wait()
	if f.db != nil {
		err = errors.Join(err, f.db.Close())
	}
	return errors.Join(err, f.failed)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const (
	// riverBatch is how many jobs River inserts at a time.
	riverBatch = 10_000
	// riverConnections bounds River's connections. pgxpool's default, four, is fewer than callers.
	riverConnections = 20
	// riverCooldown and riverPoll are how soon River fetches jobs again. Its defaults, 100 ms and a
	// second, spare the database; its own benchmark has these.
	riverCooldown = 2 * time.Millisecond
	riverPoll     = 20 * time.Millisecond
	// riverEvents is how many ends may wait to be read; River drops what is more.
	riverEvents = 1 << 20
)

// jobArgs are those of a job.
type jobArgs struct {
	Data string `json:"data"`
}

// Kind implements river.JobArgs.
func (jobArgs) Kind() string { return "noop" }

// jobWorker executes jobs.
type jobWorker struct {
	river.WorkerDefaults[jobArgs]

	queue *riverQueue
}

// Work implements river.Worker.
func (w *jobWorker) Work(ctx context.Context, job *river.Job[jobArgs]) error {
	if !w.queue.inTx {
		return nil
	}
	err := pgx.BeginFunc(ctx, w.queue.pool, func(tx pgx.Tx) error {
		_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		return err
	})
	if err == nil {
		w.queue.ended(job.ID)
	}
	return err
}

// riverQueue is a client of River, with workers.
type riverQueue struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
	inTx   bool // jobs are completed by their worker, which tells of it, and not by River's batches
	cancel func()
	events sync.WaitGroup

	mu      sync.Mutex
	waiting map[int64]chan struct{} // by job; nil: it has ended before its caller waits
	left    int                     // of a batch
	done    chan struct{}           // told when none is left
}

func startRiver(ctx context.Context, database string, slots int) (system, error) {
	return newRiver(ctx, database, slots, false)
}

// startRiverTx is River as it is fastest to tell of one job: by the worker, which completes it in a
// transaction of its own.
func startRiverTx(ctx context.Context, database string, slots int) (system, error) {
	return newRiver(ctx, database, slots, true)
}

func newRiver(ctx context.Context, database string, slots int, inTx bool) (s system, err error) {
	config, err := pgxpool.ParseConfig(database)
	if err != nil {
		return nil, err
	}
	config.MaxConns = riverConnections
	q := &riverQueue{inTx: inTx, waiting: make(map[int64]chan struct{}), done: make(chan struct{}, 1)}
	if q.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			q.pool.Close()
		}
	}()
	driver := riverpgxv5.New(q.pool)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &jobWorker{queue: q})
	q.client, err = river.NewClient(driver, &river.Config{
		FetchCooldown: riverCooldown, FetchPollInterval: riverPoll,
		Logger: slog.New(slog.DiscardHandler), Workers: workers,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: slots}},
	})
	if err != nil {
		return nil, err
	}
	events, cancel := q.client.SubscribeConfig(&river.SubscribeConfig{ChanSize: riverEvents, Kinds: []river.EventKind{
		river.EventKindJobCompleted, river.EventKindJobFailed, river.EventKindJobCancelled,
	}})
	q.cancel = cancel
	q.events.Go(func() {
		for e := range events {
			if !q.inTx {
				q.ended(e.Job.ID)
			}
		}
	})
	if err := q.client.Start(ctx); err != nil {
		return nil, err
	}
	return q, q.call(ctx)
}

// ended notes that a job has ended.
func (q *riverQueue) ended(id int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.left > 0 {
		if q.left--; q.left == 0 {
			q.done <- struct{}{}
		}
		return
	}
	waiter, ok := q.waiting[id]
	switch {
	case !ok:
		q.waiting[id] = nil
	default:
		delete(q.waiting, id)
		close(waiter)
	}
}

func (q *riverQueue) batch(ctx context.Context, n int) error {
	q.mu.Lock()
	q.left = n
	q.mu.Unlock()
	for left := n; left > 0; {
		jobs := make([]river.InsertManyParams, min(left, riverBatch))
		for i := range jobs {
			jobs[i] = river.InsertManyParams{Args: jobArgs{payload}}
		}
		if _, err := q.client.InsertManyFast(ctx, jobs); err != nil {
			return err
		}
		left -= len(jobs)
	}
	select {
	case <-q.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var completed, open int
	err := q.pool.QueryRow(ctx, "SELECT count(*) FILTER (WHERE state = 'completed'), count(*) FILTER (WHERE state <> 'completed') FROM river_job").Scan(&completed, &open)
	if err == nil && (completed < n || open > 0) {
		err = fmt.Errorf("%d of %d jobs are completed, and %d are not", completed, n, open)
	}
	return err
}

func (q *riverQueue) call(ctx context.Context) error {
	job, err := q.client.Insert(ctx, jobArgs{payload}, nil)
	if err != nil {
		return err
	}
	q.mu.Lock()
	if _, ended := q.waiting[job.Job.ID]; ended {
		delete(q.waiting, job.Job.ID)
		q.mu.Unlock()
		return nil
	}
	waiter := make(chan struct{})
	q.waiting[job.Job.ID] = waiter
	q.mu.Unlock()
	select {
	case <-waiter:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (q *riverQueue) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := q.client.Stop(ctx)
	q.cancel()
	q.events.Wait()
	q.pool.Close()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/core/slots"
	"github.com/frayrpc/fray/fray/internal/dial"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
)

// Run executes attempts until ctx is done, Close is called or the controller has the worker drain.
// Then it asks for no more, gives back what waits, lets what runs go on for the grace, delivers the
// last reports, closes the session, and returns nil. It does the same, and returns [ErrJobUnwatched],
// once no client watches the job of Config.JobLease.
//
// It returns an error when the worker cannot listen, or when the controller refuses what it says of
// itself. A controller that is away is no error. When Run returns, all that it started has ended,
// save abandoned attempts, which are logged.
func (w *Worker) Run(ctx context.Context) error {
	if w.ran.Swap(true) {
		return ErrRunTwice
	}
	if w.transport != nil {
		defer w.transport.CloseIdleConnections()
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	closeTasks, err := w.openTasks(life)
	if err != nil {
		return err
	}
	defer closeTasks()
	if w.server != nil {
		if err := w.server.Listen(ctx); err != nil {
			return err
		}
		if w.cfg.AdvertiseURL == "" {
			w.cfg.AdvertiseURL = w.server.URL()
		}
		w.logger.InfoContext(ctx, "listening", "url", w.server.URL())
	}
	failed := make(chan error, 2) // by the server, and by the session
	var running, connected sync.WaitGroup
	running.Go(func() { w.awaitDeadlines(life) })
	running.Go(func() { w.sendReports(life, lane{&w.reports, w.rands.report, lingerReport}) })
	running.Go(func() { w.sendReports(life, lane{&w.bulk, w.rands.bulk, lingerBulk}) })
	if w.server != nil {
		running.Go(func() { failed <- w.server.Run(life) })
	}
	var unwatched atomic.Bool
	if w.cfg.JobLease != "" {
		running.Go(func() {
			if w.awaitUnwatched(life) {
				unwatched.Store(true)
				w.leave(w.cfg.DrainGrace)
			}
		})
	}
	session, disconnect := context.WithCancel(life)
	defer disconnect()
	connected.Go(func() { failed <- w.keepSession(session) })

	select {
	case <-ctx.Done():
	case <-w.closed:
	case <-w.leaving.Done(): // by order of the controller, or because nobody watches its job
	case err = <-failed:
		w.leave(0)
	}
	w.awaitDrained(ctx)
	if err == nil {
		w.awaitDelivered()
	}
	disconnect()
	connected.Wait()
	w.unregister(life)
	end()
	running.Wait()
	if n := w.counts().Abandoned; n > 0 {
		w.logger.WarnContext(ctx, "left functions behind that ignore their contexts", "abandoned", n)
	}
	if err == nil && unwatched.Load() {
		return ErrJobUnwatched
	}
	return err
}

// openTasks makes the job context that tasks submit tasks through. It belongs to the worker and not
// to each attempt, so that one long poll serves them all; and it is a job of its own, so that
// children do not queue behind their parents' siblings.
func (w *Worker) openTasks(ctx context.Context) (closeTasks func(), err error) {
	options := []fray.Option{
		fray.WithControllerAddress(w.cfg.ControllerURL), fray.WithClientOptions(w.cfg.ClientOptions...), fray.WithToken(w.cfg.Token),
		fray.WithLogger(w.logger), fray.WithRand(w.taskRand), fray.WithHTTPClient(w.cfg.HTTPClient),
		fray.WithObjectCache(w.cfg.ObjectCache),
	}
	if w.transport != nil {
		options = append(options, fray.WithHTTPClient(w.transport))
	}
	jobs, err := fray.NewJobContext(ctx, fray.KindFray, options...)
	if err != nil {
		return nil, err
	}
	w.base = fray.NewContext(context.WithoutCancel(ctx), jobs)
	return func() {
		if err := jobs.Close(); err != nil {
			w.logger.Warn("close the tasks' job context", "error", err)
		}
	}, nil
}

// leave begins to drain: polls are over, and what runs is stopped after the grace. Of several
// graces the one that ends first counts.
func (w *Worker) leave(grace time.Duration) {
	grace = max(grace, 0)
	w.step(func(now core.Time, s *slots.Machine) { s.Drain(now, now.Add(grace)) })
	if w.leaving.Err() == nil {
		w.setLeaving()
		w.logger.Info("leaving", "grace", grace)
	}
}

// awaitDrained waits until nothing runs, and sees to it that this comes to pass: within the drain
// grace once ctx is done, and within the stop grace once Close is called.
func (w *Worker) awaitDrained(ctx context.Context) {
	done, closed := ctx.Done(), w.closed
	for {
		select {
		case <-w.drained:
			return
		case <-done:
			w.leave(w.cfg.DrainGrace)
			done = nil
		case <-closed:
			w.leave(0)
			closed = nil
		}
	}
}

// awaitDelivered waits until all reports are acknowledged, for the flush grace at most. If a call is
// under way by then, nobody knows whether it was lost: it may take its time, and one more after it. So may the next
// after one that was just found to be lost.
func (w *Worker) awaitDelivered() {
	timer := time.NewTimer(w.flushTime(flushGrace))
	defer timer.Stop()
	closed, extended := w.closed, false
	for {
		select {
		case <-w.delivered:
			return
		case <-closed:
			timer.Reset(w.flushTime(closeGrace))
			closed, extended = nil, true
		case <-timer.C:
			if !extended && (w.reporting.Load() > 0 || w.unanswered.Load()) {
				timer.Reset(dial.DefaultAttemptTimeout)
				extended = true
				continue
			}
			w.logger.Warn("left reports undelivered", "reports", w.counts().Outbox)
			return
		}
	}
}

// flushTime is how long the last reports may take: so long, and what they need on a slow line.
func (w *Worker) flushTime(grace time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return grace + min(number.FromSeconds(int64(w.unjudged))/dial.FloorRate, maxFlush)
}

// unregister closes the session, if there is one. It is a courtesy: a session that is not closed
// expires.
func (w *Worker) unregister(ctx context.Context) {
	s := w.currentSession()
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	err := dial.Do(ctx, dial.Policy{Rand: w.rands.register, AttemptTimeout: leaveTimeout}, func(ctx context.Context) error {
		_, err := w.client.UnregisterWorker(ctx, &frayv1.UnregisterWorkerRequest{SessionToken: s.token})
		return err
	})
	if err != nil {
		w.logger.Info("session is not closed and will expire", "error", err)
	}
}

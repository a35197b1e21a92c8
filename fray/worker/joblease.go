package worker

import (
	"context"
	"time"

	"github.com/frayrpc/fray/fray/internal/dial"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/sleep"
)

const (
	// jobLeaseAsks is how often a worker asks within Config.JobLeaseTTL whether its job is watched.
	jobLeaseAsks = 3
	// jobLeaseSilence is how many of these times it waits for a controller that does not say.
	jobLeaseSilence = 10
	// minJobLeaseAnswer is what such a question has at least until it counts as unanswered.
	minJobLeaseAnswer = time.Second
)

// awaitUnwatched asks again and again whether a client watches the job that the worker is there for,
// and reports true once the worker is to leave because none does; false: ctx is done.
//
// It counts answers, each of which is a part of the TTL later than the one before. So time in which
// this process stood still counts no more than one of them, and a question without an answer has the
// count begin anew: the controller may have restarted, and clients need time to come back to it.
func (w *Worker) awaitUnwatched(ctx context.Context) bool {
	interval := w.cfg.JobLeaseTTL / jobLeaseAsks
	unwatched, silent := 0, 0
	for {
		if sleep.For(ctx, interval+w.rands.job.Duration(interval/10)) != nil {
			return false
		}
		watchers, err := w.watchersOfJob(ctx, interval)
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			unwatched = 0
			if silent++; silent == 1 {
				w.logger.WarnContext(ctx, "controller does not say whether the job is watched that this worker is there for, will ask again",
					"job_id", w.cfg.JobLease, "error", err)
			}
		case watchers > 0:
			unwatched, silent = 0, 0
		default:
			silent = 0
			unwatched++
		}
		if unwatched > jobLeaseAsks || silent >= jobLeaseSilence*jobLeaseAsks {
			w.logger.WarnContext(ctx, "nobody watches the job that this worker is there for, so it leaves",
				"job_id", w.cfg.JobLease, "for", w.cfg.JobLeaseTTL, "unanswered", silent)
			return true
		}
	}
}

// watchersOfJob asks once how many clients watch the job.
func (w *Worker) watchersOfJob(ctx context.Context, interval time.Duration) (uint32, error) {
	ctx, cancel := context.WithTimeout(ctx, max(minJobLeaseAnswer, min(interval, dial.DefaultAttemptTimeout)))
	defer cancel()
	res, err := w.client.GetJob(ctx, &frayv1.GetJobRequest{JobId: w.cfg.JobLease})
	if err != nil {
		w.metrics.failed("GetJob")
		return 0, err
	}
	return res.GetWatcherCount(), nil
}

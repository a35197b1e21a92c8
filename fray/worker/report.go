package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

const (
	// Bounds of one call. A report that is larger by itself goes alone.
	maxBatchReports = 8192
	maxBatchBytes   = 4 << 20
	// reportOverhead is about what a report takes besides its value and error.
	reportOverhead = 64
	// maxSplits bounds the calls that look for the one to blame in a refused batch: twice what the largest needs.
	maxSplits = 32
	// refusedPause is the longest time until a refused report is offered again.
	refusedPause = 5 * time.Second
)

// refusedError is a controller's answer that the same call will always get. It hides its cause, so that nothing takes it for one
// that passes.
type refusedError struct{ cause error }

func (e *refusedError) Error() string { return e.cause.Error() }

// sendReports delivers reports until ctx is done: one call at a time, and in each what has gathered during the last. Those that the
// controller refuses are offered again for ever, without the others having to wait for it.
func (w *Worker) sendReports(ctx context.Context) {
	var refused []*frayv1.TaskReport
	again := time.NewTimer(idleTimer)
	defer again.Stop()
	for {
		select {
		case <-w.pending:
		case <-again.C:
			w.putBack(refused)
			refused = nil
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil {
			w.linger(ctx, lingerReport)
			batch := w.takeReports()
			if len(batch) == 0 {
				break
			}
			splits := maxSplits
			failed := w.deliver(ctx, batch, &splits)
			if len(failed) > 0 && len(refused) == 0 {
				again.Reset(refusedPause/2 + w.rands.report.Duration(refusedPause/2))
			}
			refused = append(refused, failed...)
		}
	}
}

func (w *Worker) putBack(reports []*frayv1.TaskReport) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reports = append(w.reports, reports...)
}

// takeReports returns the next batch.
func (w *Worker) takeReports() []*frayv1.TaskReport {
	w.mu.Lock()
	defer w.mu.Unlock()
	unsignal(w.pending)
	// Attempts that end at the same instant do so in any order; that of their leases is always the same.
	slices.SortStableFunc(w.reports, func(a, b *frayv1.TaskReport) int {
		return cmp.Compare(a.GetAttempt().GetLeaseToken(), b.GetAttempt().GetLeaseToken())
	})
	n, size := 0, 0
	for n < len(w.reports) && n < maxBatchReports {
		r := w.reports[n]
		size += reportOverhead + len(r.GetValue().GetData()) + len(r.GetError().GetMessage()) + len(r.GetError().GetStack()) +
			len(r.GetError().GetDetails().GetData())
		if n > 0 && size > maxBatchBytes {
			break
		}
		n++
	}
	batch := w.reports[:n:n]
	w.reports = w.reports[n:]
	if len(w.reports) == 0 {
		w.reports = nil
	}
	return batch
}

// deliver sends reports until each has a verdict or ctx is done, and returns those that the controller refuses to judge. Whatever
// happens to the calls, no report is changed by that.
func (w *Worker) deliver(ctx context.Context, reports []*frayv1.TaskReport, splits *int) (refused []*frayv1.TaskReport) {
	var res *frayv1.ReportTasksResponse
	for {
		s := w.awaitSession(ctx)
		if s == nil {
			return nil
		}
		err := w.call(ctx, "ReportTasks", w.rands.report, dial.Policy{}, func(ctx context.Context) (err error) {
			res, err = w.client.ReportTasks(ctx, &frayv1.ReportTasksRequest{SessionToken: s.token, Reports: reports})
			return asRefused(err)
		})
		var refusal *refusedError
		switch {
		case err == nil && len(res.GetVerdicts()) == len(reports):
			w.judged(reports, res.GetVerdicts())
			return nil
		case ctx.Err() != nil:
			return nil
		case err == nil:
			err = fmt.Errorf("%d verdicts on %d reports", len(res.GetVerdicts()), len(reports))
		case errors.Is(err, errStale):
			w.lose(s)
			continue
		case errors.As(err, &refusal):
			w.metrics.failed("ReportTasks")
			if *splits--; len(reports) > 1 && *splits > 0 {
				// One of them is to blame, and the others are not to suffer for it.
				half := len(reports) / 2
				return append(w.deliver(ctx, reports[:half], splits), w.deliver(ctx, reports[half:], splits)...)
			}
			w.logger.ErrorContext(ctx, "controller refused reports, will offer them again",
				"reports", len(reports), "task_id", reports[0].GetAttempt().GetTaskId(), "error", err)
			return reports
		}
		w.pauseAfter(ctx, "ReportTasks", w.rands.report, err)
	}
}

// awaitSession returns the session as soon as there is one, or nil once ctx is done.
func (w *Worker) awaitSession(ctx context.Context) *session {
	for {
		if s := w.currentSession(); s != nil {
			return s
		}
		select {
		case <-w.connected:
		case <-ctx.Done():
			return nil
		}
	}
}

// asRefused marks the errors that say of a call that it is not acceptable as it is: not valid, or too large. A
// controller that is too busy gives a reason.
func asRefused(err error) error {
	if err == nil || !connect.IsWireError(err) {
		return err
	}
	reason, _ := wire.Info(err)
	code := connect.CodeOf(err)
	if code == connect.CodeInvalidArgument || code == connect.CodeResourceExhausted && reason == "" {
		return &refusedError{err}
	}
	return err
}

// judged clears what has a verdict, whichever it is.
func (w *Worker) judged(reports []*frayv1.TaskReport, verdicts []frayv1.ReportVerdict) {
	for _, v := range verdicts {
		w.metrics.judged(v)
	}
	w.step(func(_ core.Time, s *core.Slots) {
		for _, r := range reports {
			if r.GetOutcome() != frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STARTED {
				s.Ack(core.Token(r.GetAttempt().GetLeaseToken()))
			}
		}
	})
}

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
	"github.com/frayrpc/fray/fray/core/slots"
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
	// Bounds of the reports that a poll carries.
	maxCarried      = 1024
	maxCarriedBytes = 64 << 10
	// largeReport is from how many bytes on a report goes in calls of its own kind, so that on a
	// thin line the others need not wait for it.
	largeReport = 256 << 10
	// maxSplits bounds the calls that look for the one to blame in a refused batch: twice what the
	// largest needs.
	maxSplits = 32
	// refusedPause is the longest time until a refused report is offered again.
	refusedPause = 5 * time.Second
)

// refusedError is a controller's answer that the same call will always get. It hides its cause, so
// that nothing takes it for one that passes.
type refusedError struct{ cause error }

func (e *refusedError) Error() string { return e.cause.Error() }

// outbox is reports to be sent one call after the other.
type outbox struct {
	reports []*frayv1.TaskReport // oldest first
	// Each has one place, as those of state.
	pending   chan struct{} // there are reports
	connected chan struct{} // there is a session
}

func newOutbox() outbox {
	return outbox{pending: make(chan struct{}, 1), connected: make(chan struct{}, 1)}
}

// lane is how the reports of an outbox travel.
type lane struct {
	*outbox

	rand   *dial.Rand
	linger int
}

// file puts a report in the outbox that it goes out from. It runs under the lock.
func (w *Worker) file(r *frayv1.TaskReport) {
	w.unjudged += reportSize(r)
	if reportSize(r) >= largeReport {
		w.bulk.reports = append(w.bulk.reports, r)
	} else {
		w.reports.reports = append(w.reports.reports, r)
	}
}

func reportSize(r *frayv1.TaskReport) int {
	return sizeOf(r.GetValue(), r.GetError(), r.GetCheckpoint())
}

func sizeOf(value *frayv1.Payload, failure *frayv1.TaskError, checkpoint *frayv1.Payload) int {
	return reportOverhead + len(value.GetData()) + len(checkpoint.GetData()) +
		len(failure.GetMessage()) + len(failure.GetStack()) + len(failure.GetDetails().GetData())
}

// sendReports delivers the reports of a lane until ctx is done: one call at a time, and in each
// what has gathered during the last. Those that the controller refuses are offered again for ever,
// without the others having to wait for it.
func (w *Worker) sendReports(ctx context.Context, l lane) {
	var refused []*frayv1.TaskReport
	again := time.NewTimer(idleTimer)
	defer again.Stop()
	for {
		select {
		case <-l.pending:
		case <-again.C:
			w.putBack(l.outbox, refused)
			refused = nil
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil {
			w.linger(ctx, l.linger)
			batch := w.takeReports(l)
			if len(batch) == 0 {
				break
			}
			splits := maxSplits
			failed := w.deliver(ctx, l, batch, &splits)
			if len(failed) > 0 && len(refused) == 0 {
				again.Reset(refusedPause/2 + l.rand.Duration(refusedPause/2))
			}
			refused = append(refused, failed...)
		}
	}
}

func (w *Worker) putBack(o *outbox, reports []*frayv1.TaskReport) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o.reports = append(o.reports, reports...)
	w.wake()
}

// takeReports returns the next batch.
func (w *Worker) takeReports(l lane) []*frayv1.TaskReport {
	w.mu.Lock()
	defer w.mu.Unlock()
	return l.take(maxBatchReports, maxBatchBytes)
}

// take returns the next batch. It runs under the lock.
func (l *outbox) take(most, mostBytes int) []*frayv1.TaskReport {
	unsignal(l.pending)
	// Attempts that end at the same instant do so in any order; that of their leases is always the
	// same.
	slices.SortStableFunc(l.reports, func(a, b *frayv1.TaskReport) int {
		return cmp.Compare(a.GetAttempt().GetLeaseToken(), b.GetAttempt().GetLeaseToken())
	})
	n, size := 0, 0
	for n < len(l.reports) && n < most {
		size += reportSize(l.reports[n])
		if n > 0 && size > mostBytes {
			break
		}
		n++
	}
	batch := l.reports[:n:n]
	l.reports = l.reports[n:]
	if len(l.reports) == 0 {
		l.reports = nil
	}
	return batch
}

// deliver sends reports until each has a verdict or ctx is done, and returns those that the
// controller refuses to judge. Whatever happens to the calls, no report is changed by that.
func (w *Worker) deliver(ctx context.Context, l lane, reports []*frayv1.TaskReport, splits *int) (refused []*frayv1.TaskReport) {
	size := 0
	for _, r := range reports {
		size += reportSize(r)
	}
	policy := dial.Policy{AttemptTimeout: dial.Allow(dial.DefaultAttemptTimeout, size)}
	var res *frayv1.ReportTasksResponse
	for {
		s := w.awaitSession(ctx, l)
		if s == nil {
			return nil
		}
		err := w.call(ctx, "ReportTasks", l.rand, policy, func(ctx context.Context) (err error) {
			w.reporting.Add(1)
			defer w.reporting.Add(-1)
			res, err = w.client.ReportTasks(ctx, &frayv1.ReportTasksRequest{SessionToken: s.token, Reports: reports})
			w.unanswered.Store(ctx.Err() != nil)
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
				return append(w.deliver(ctx, l, reports[:half], splits), w.deliver(ctx, l, reports[half:], splits)...)
			}
			w.logger.ErrorContext(ctx, "controller refused reports, will offer them again",
				"reports", len(reports), "task_id", reports[0].GetAttempt().GetTaskId(), "error", err)
			return reports
		}
		w.pauseAfter(ctx, "ReportTasks", l.rand, err)
	}
}

// awaitSession returns the session as soon as there is one, or nil once ctx is done.
func (w *Worker) awaitSession(ctx context.Context, l lane) *session {
	for {
		if s := w.currentSession(); s != nil {
			return s
		}
		select {
		case <-l.connected:
		case <-ctx.Done():
			return nil
		}
	}
}

// asRefused marks the errors that say of a call that it is not acceptable as it is: not valid, or
// too large. A controller that is too busy gives a reason.
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
	w.step(func(now core.Time, s *slots.Machine) {
		for _, r := range reports {
			w.unjudged -= reportSize(r)
			switch r.GetOutcome() {
			case frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STARTED, frayv1.AttemptOutcome_ATTEMPT_OUTCOME_READY: // are no end
			default:
				lease := core.Token(r.GetAttempt().GetLeaseToken())
				s.Ack(now, lease)
				w.actors.judged(lease)
			}
		}
	})
}

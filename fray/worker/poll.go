package worker

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/core/slots"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/dial"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/sleep"
)

const (
	// pollWait is how long the controller may hold a poll back that it has nothing for.
	pollWait = 20 * time.Second
	// answerMargin is how much longer than the controller's wait a call's deadline is. If they were
	// equal, a grant at the last moment would go to nobody.
	answerMargin = 5 * time.Second
	// verdictWait is pollWait of a poll that carries reports, whose verdicts come with its answer.
	verdictWait = time.Second
	// briefYields is how often what was just granted is given the processor before the next poll is
	// sent.
	briefYields = 16
	// lastPollGrace is how long a worker that leaves waits for the answer to its last poll, which
	// may bring attempts.
	lastPollGrace = 2 * time.Second
)

// errNoPoll says that the machine no longer wants the poll that was to be repeated.
var errNoPoll = errors.New("there is nothing to poll for")

// errUnderstated ends the wait for the answer to a poll that says less than there is room for by
// now.
var errUnderstated = errors.New("more slots are free than the poll says")

// errCarried says that a poll was refused with the reports that it carried, which may be why.
var errCarried = errors.New("the poll was refused with its reports")

// poll asks for work whenever there is room, until ctx is done or the worker leaves.
func (w *Worker) poll(ctx context.Context, s *session) {
	ctx, cancel := context.WithCancel(ctx)
	var bound sync.WaitGroup
	defer bound.Wait()
	defer cancel()
	defer w.pollOver()
	bound.Go(func() {
		select {
		case <-w.leaving.Done():
			_ = sleep.For(ctx, lastPollGrace)
			cancel()
		case <-ctx.Done():
		}
	})
	policy := dial.Policy{AttemptTimeout: pollWait + answerMargin}
	for ctx.Err() == nil {
		var (
			poll slots.Poll
			res  *frayv1.LeaseTasksResponse
		)
		err := w.call(ctx, "LeaseTasks", w.rands.lease, policy, func(ctx context.Context) (err error) {
			for {
				poll, res, err = w.lease(ctx, s)
				if !errors.Is(err, errUnderstated) && !errors.Is(err, errCarried) {
					return err
				}
			}
		})
		if err == nil {
			w.grant(poll.Seq, res.GetTasks(), s.carries)
			continue
		}
		w.pollOver()
		switch {
		case errors.Is(err, errNoPoll):
			select {
			case <-w.room:
			case <-w.leaving.Done():
				return
			case <-ctx.Done():
			}
		case errors.Is(err, errStale):
			w.lose(s)
		case ctx.Err() == nil:
			w.pauseAfter(ctx, "LeaseTasks", w.rands.lease, err)
		}
	}
}

// lease sends one poll and waits for its answer, or until more slots are free than it says.
func (w *Worker) lease(ctx context.Context, s *session) (slots.Poll, *frayv1.LeaseTasksResponse, error) {
	w.linger(ctx, lingerPoll)
	w.awaitBrief(ctx)
	waiting, abandon := context.WithCancelCause(ctx)
	defer abandon(nil)
	poll, reports, ok := w.nextPoll(func() { abandon(errUnderstated) })
	if !ok {
		return poll, nil, errNoPoll
	}
	wait := pollWait
	if len(reports) > 0 {
		wait = verdictWait
		dial.Within(ctx, wait+answerMargin)
	}
	res, err := w.client.LeaseTasks(waiting, &frayv1.LeaseTasksRequest{
		SessionToken: s.token, PollSeq: poll.Seq, ReceivedPollSeq: poll.Received,
		FreeSlots: number.Clamp[uint32](poll.Free), MaxTasks: number.Clamp[uint32](poll.Max),
		HeldAttempts: new(number.Clamp[uint32](poll.Held)), LentLeaseTokens: lent(poll.Lent),
		MaxWaitMs: number.Millis(wait - w.rands.lease.Duration(wait/10)),
		Reports:   reports,
	})
	w.answered()
	if len(reports) > 0 {
		err = w.carried(s, reports, res.GetVerdicts(), err)
	}
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(waiting), errUnderstated) {
		return poll, nil, errUnderstated
	}
	return poll, res, err
}

// lent is what a poll says of leases that lend their resources.
func lent(leases []core.Token) []uint64 {
	tokens := make([]uint64, len(leases))
	for i, l := range leases {
		tokens[i] = uint64(l)
	}
	return tokens
}

// carried takes in what became of the reports that went along with a poll. Those without a verdict go
// the way of all others, which finds out whether one of them is to blame.
func (w *Worker) carried(s *session, reports []*frayv1.TaskReport, verdicts []frayv1.ReportVerdict, err error) error {
	if err == nil && len(verdicts) == len(reports) {
		w.judged(reports, verdicts)
		return nil
	}
	w.putBack(&w.reports, reports)
	var refusal *refusedError
	switch {
	case err == nil:
		s.carries = false
	case errors.As(asRefused(err), &refusal):
		w.metrics.failed("LeaseTasks")
		return errCarried
	}
	return err
}

// awaitBrief lets what was just granted end if that takes it no time, so that the next poll carries
// its reports.
func (w *Worker) awaitBrief(ctx context.Context) {
	runs := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.carries && w.slots.Counts().Running > 0
	}
	if w.cfg.Linger > 0 {
		if runs() {
			w.linger(ctx, lingerBrief)
		}
		return
	}
	for n := 0; n < briefYields && runs(); n++ {
		runtime.Gosched()
	}
}

// nextPoll returns the poll to send, and the reports that it carries: those of what the last one was
// granted, as far as they are there. Until it is answered, repoll has it sent again.
func (w *Worker) nextPoll(repoll func()) (slots.Poll, []*frayv1.TaskReport, bool) {
	now := w.lock()
	defer w.mu.Unlock()
	unsignal(w.room)
	var reports []*frayv1.TaskReport
	poll, ok := w.slots.NextPoll(now)
	if w.polling = ok; ok {
		w.repoll = repoll
		if w.carries {
			reports = w.reports.take(maxCarried, maxCarriedBytes)
		}
	}
	if w.carries {
		w.carries = false
		w.wake()
	}
	return poll, reports, ok
}

// answered says that the poll waits no longer.
func (w *Worker) answered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.repoll = nil
}

// pollOver says that no poll is on its way any more.
func (w *Worker) pollOver() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.polling, w.carries = false, false
	w.wake()
}

// grant takes in what a poll brought, in one step.
func (w *Worker) grant(seq uint64, tasks []*frayv1.LeasedTask, carry bool) {
	grants := make([]slots.Grant, len(tasks))
	for i, t := range tasks {
		a := w.newAttempt(t)
		grants[i] = slots.Grant{
			Lease: core.Token(a.wire.GetLeaseToken()), Timeout: a.timeout, Bytes: a.bytes(), Value: a,
			Priority: t.GetSpec().GetPriority(),
			Keeps:    t.GetSpec().GetActor() != nil, // Its state is what they are for.
		}
		if m := t.GetSpec().GetResources(); len(m) > 0 {
			grants[i].Resources = corewire.Resources(m)
		}
	}
	w.step(func(now core.Time, s *slots.Machine) {
		w.polling, w.carries = false, carry && len(tasks) > 0
		s.Grant(now, seq, grants)
	})
}

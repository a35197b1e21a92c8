package worker

import (
	"context"
	"errors"
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
	// lastPollGrace is how long a worker that leaves waits for the answer to its last poll, which
	// may bring attempts.
	lastPollGrace = 2 * time.Second
)

// errNoPoll says that the machine no longer wants the poll that was to be repeated.
var errNoPoll = errors.New("there is nothing to poll for")

// errUnderstated ends the wait for the answer to a poll that says less than there is room for by
// now.
var errUnderstated = errors.New("more slots are free than the poll says")

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
				if !errors.Is(err, errUnderstated) {
					return err
				}
			}
		})
		if err == nil {
			w.grant(poll.Seq, res.GetTasks())
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
	waiting, abandon := context.WithCancelCause(ctx)
	defer abandon(nil)
	poll, ok := w.nextPoll(func() { abandon(errUnderstated) })
	if !ok {
		return poll, nil, errNoPoll
	}
	res, err := w.client.LeaseTasks(waiting, &frayv1.LeaseTasksRequest{
		SessionToken: s.token, PollSeq: poll.Seq, ReceivedPollSeq: poll.Received,
		FreeSlots: number.Clamp[uint32](poll.Free), MaxTasks: number.Clamp[uint32](poll.Max),
		HeldAttempts: new(number.Clamp[uint32](poll.Held)),
		MaxWaitMs:    number.Millis(pollWait - w.rands.lease.Duration(pollWait/10)),
	})
	w.answered()
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(waiting), errUnderstated) {
		return poll, nil, errUnderstated
	}
	return poll, res, err
}

// nextPoll returns the poll to send. Until it is answered, repoll has it sent again.
func (w *Worker) nextPoll(repoll func()) (slots.Poll, bool) {
	now := w.lock()
	defer w.mu.Unlock()
	unsignal(w.room)
	poll, ok := w.slots.NextPoll(now)
	if w.polling = ok; ok {
		w.repoll = repoll
	}
	return poll, ok
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
	w.polling = false
	w.wake()
}

// grant takes in what a poll brought, in one step.
func (w *Worker) grant(seq uint64, tasks []*frayv1.LeasedTask) {
	grants := make([]slots.Grant, len(tasks))
	for i, t := range tasks {
		a := w.newAttempt(t)
		grants[i] = slots.Grant{
			Lease: core.Token(a.wire.GetLeaseToken()), Timeout: a.timeout, Bytes: len(a.input.Data), Value: a,
			Priority: t.GetSpec().GetPriority(),
		}
		if m := t.GetSpec().GetResources(); len(m) > 0 {
			grants[i].Resources = corewire.Resources(m)
		}
	}
	w.step(func(now core.Time, s *slots.Machine) {
		w.polling = false
		s.Grant(now, seq, grants)
	})
}

package worker

import (
	"context"
	"errors"
	"time"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/core/slots"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/dial"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/sleep"
)

// beat renews the session and does what the controller asks for, until ctx is done or the session
// is gone.
//
// A heartbeat waits at the controller for half the interval, so that an order to stop arrives at
// once; it is given up after the interval, so that two in a row may be lost before the session
// expires. One that fails is followed by another soon.
func (w *Worker) beat(ctx context.Context, s *session) {
	policy := dial.Policy{Base: s.interval / 20, Cap: s.interval / 2, AttemptTimeout: s.interval}
	wait := max(s.interval/2, time.Millisecond)
	var seq uint64
	for ctx.Err() == nil {
		var res *frayv1.HeartbeatResponse
		call, cancel := context.WithCancel(ctx)
		stop := func() bool { return false }
		if w.leaving.Err() == nil {
			// The controller is to hear at once that the worker leaves.
			stop = context.AfterFunc(w.leaving, cancel)
		}
		var sent core.Time
		var told news
		err := w.call(call, "Heartbeat", w.rands.heartbeat, policy, func(ctx context.Context) (err error) {
			w.linger(ctx, lingerHeartbeat)
			seq++
			sent = w.now()
			var req *frayv1.HeartbeatRequest
			req, told = w.heartbeat(s)
			req.SessionToken, req.HeartbeatSeq = s.token, seq
			req.MaxWaitMs = number.Millis(wait - w.rands.heartbeat.Duration(wait/10))
			res, err = w.client.Heartbeat(ctx, req)
			return err
		})
		interrupted := call.Err() != nil
		stop()
		cancel()
		switch {
		case err == nil:
			w.renew(s, sent, &told)
			if news := w.obey(res); !news && w.now().Sub(sent) < wait/2 {
				// It was answered early for nothing that is new: do not make that a busy loop.
				_ = sleep.For(ctx, w.rands.heartbeat.Duration(wait/2))
			}
		case errors.Is(err, errStale):
			w.lose(s)
		case !interrupted:
			w.pauseAfter(ctx, "Heartbeat", w.rands.heartbeat, err)
		}
	}
}

// renew notes that a heartbeat was answered.
func (w *Worker) renew(s *session, sent core.Time, told *news) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.renewed = sent
	told.told(s)
}

// heartbeat says what the worker holds, and what its attempts say of themselves.
func (w *Worker) heartbeat(s *session) (*frayv1.HeartbeatRequest, news) {
	w.mu.Lock()
	held, told := w.slots.Held(), w.progress(s)
	w.mu.Unlock()
	return &frayv1.HeartbeatRequest{
		ReceivedPollSeq:     held.ReceivedPoll,
		QueuedLeaseTokens:   corewire.RawTokens(held.Queued),
		RunningLeaseTokens:  corewire.RawTokens(held.Running),
		FinishedLeaseTokens: corewire.RawTokens(held.Finished),
		Draining:            held.Draining,
		Progress:            told.message(),
	}, told
}

// obey does what a heartbeat's reply asks for, and says whether anything of it was new.
func (w *Worker) obey(res *frayv1.HeartbeatResponse) (news bool) {
	if tokens := res.GetStopLeaseTokens(); len(tokens) > 0 {
		news = w.step(func(now core.Time, s *slots.Machine) { s.Stop(now, corewire.Tokens(tokens)) })
	}
	// The controller repeats an order to drain, also to a worker that drains by itself; the first
	// one has the grace.
	if res.GetDrain() && w.leaving.Err() == nil {
		w.logger.Info("told to drain")
		w.leave(number.FromMillis(res.GetDrainGraceMs()))
		news = true
	}
	return news
}

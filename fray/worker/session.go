package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/core/slots"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/sleep"
)

const (
	// defaultTTL is what a controller that does not tell is taken to mean.
	defaultTTL = 15 * time.Second
	// oddErrorPause is the longest pause after an error that is none of those which pass by
	// themselves.
	oddErrorPause = 5 * time.Second
	// supersededPause is the longest pause after a call whose copy, made on its way, took its
	// place.
	supersededPause = 50 * time.Millisecond
	// twinPause is how long a worker whose id another process has waits before it asks again, at
	// least, and twinPatience how long it does so.
	twinPause    = time.Second
	twinPatience = time.Minute
	// manyBriefSessions is how many sessions in a row that end within their TTL are no accident.
	manyBriefSessions = 5
	// maxHeldListed bounds the attempts of an earlier session that a registration lists.
	maxHeldListed = 65536
)

// errStale says that the session which a call was made in is gone.
var errStale = errors.New("session is gone")

// session is one registration with a controller.
type session struct {
	token uint64
	// incarnation is the controller's.
	incarnation uint64
	interval    time.Duration // between heartbeats
	ttl         time.Duration // how long it lasts without one
	carries     bool          // polls take reports along; of the goroutine that polls
	end         context.CancelFunc
	renewed     core.Time // when the last heartbeat that was answered was sent; guarded by state.mu
}

// keepSession has the worker registered until ctx is done. Two workers that have one id by mistake
// take it away from each other all the time, so what follows a session that did not last is delayed
// more and more, unless the controller began anew. It returns an error if the controller refuses
// the first registration as invalid, which no repetition will mend, or if another process has the
// worker's id and keeps it.
func (w *Worker) keepSession(ctx context.Context) error {
	brief := 0 // sessions in a row with one incarnation that did not last
	var incarnation uint64
	for first := true; ctx.Err() == nil; first = false {
		s, kept, err := w.register(ctx, first)
		if s == nil {
			return err
		}
		if s.incarnation != incarnation {
			brief, incarnation = 0, s.incarnation
		}
		var loop context.Context
		loop, s.end = context.WithCancel(ctx)
		opened := w.lock()
		w.session, s.renewed, w.speaking = s, opened, true // What was told to another counts for nothing.
		w.slots.Registered(opened, kept)
		w.apply(false)
		w.announce()
		signal(w.reports.connected)
		signal(w.bulk.connected)
		w.mu.Unlock()
		w.metrics.sessions.Inc()
		w.logger.InfoContext(ctx, "registered", "heartbeat_interval", s.interval, "kept_attempts", len(kept))
		polls := make(chan struct{})
		go func() {
			defer close(polls)
			w.poll(loop, s)
		}()
		w.beat(loop, s)
		<-polls
		s.end()
		if w.now().Sub(opened) > s.ttl {
			brief = 0
			continue
		}
		brief++
		if brief == manyBriefSessions {
			w.logger.WarnContext(ctx, "sessions end as soon as they begin: another worker may have this id, too")
		}
		_ = sleep.For(ctx, dial.Policy{Cap: s.ttl, Rand: w.rands.register}.Delay(brief-1))
	}
	return nil
}

// register opens a session, however long it takes. It returns nil once ctx is done.
func (w *Worker) register(ctx context.Context, first bool) (s *session, kept []core.Token, err error) {
	// With the clock in it, it differs from all ids before even if the source of randomness was
	// seeded alike.
	id := fmt.Sprintf("%x-%016x", w.cfg.Clock.Now().UnixNano(), w.rands.register.Uint64())
	if w.process == "" {
		w.process = id
	}
	w.registrations++
	asked := w.now()
	for ctx.Err() == nil {
		var res *frayv1.RegisterWorkerResponse
		err := w.call(ctx, "RegisterWorker", w.rands.register, dial.Policy{}, func(ctx context.Context) (err error) {
			w.linger(ctx, lingerPoll)
			req := w.cfg.registration()
			req.RegistrationId, req.ProcessId, req.ProcessRegistration = id, w.process, w.registrations
			req.Held, req.Fresh = w.heldForRegistration(), first
			res, err = w.client.RegisterWorker(ctx, req)
			return err
		})
		switch {
		case err == nil:
			ttl := positive(number.FromMillis(res.GetSessionTtlMs()), defaultTTL)
			s = &session{
				token: res.GetSessionToken(), incarnation: res.GetControllerIncarnation(),
				carries: res.GetPollsTakeReports(), ttl: ttl, interval: positive(number.FromMillis(res.GetHeartbeatIntervalMs()), ttl/3),
			}
			return s, corewire.Tokens(res.GetKeptLeaseTokens()), nil
		case first && connect.IsWireError(err) && connect.CodeOf(err) == connect.CodeInvalidArgument:
			return nil, nil, fmt.Errorf("register worker %q: %w", w.cfg.ID, err)
		case isTwin(err) && w.now().Sub(asked) >= twinPatience:
			return nil, nil, fmt.Errorf("register worker: %w: give one of them another id", err)
		case isTwin(err):
			w.metrics.failed("RegisterWorker")
			delay := twinPause + w.rands.register.Duration(twinPause)
			w.logger.WarnContext(ctx, "another process with this worker's id is alive, will ask again", "error", err, "delay", delay)
			_ = sleep.For(ctx, delay)
		case ctx.Err() == nil:
			w.pauseAfter(ctx, "RegisterWorker", w.rands.register, err)
		}
	}
	return nil, nil, nil
}

// isTwin says whether a registration was refused because another process has the worker's id.
func isTwin(err error) bool {
	reason, _ := wire.Info(err)
	return reason == wire.ReasonWorkerLives
}

func positive(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// heldForRegistration lists what the worker holds: unfinished attempts first, should there be too
// many.
func (w *Worker) heldForRegistration() []*frayv1.HeldAttempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	var unfinished, finished []*frayv1.HeldAttempt
	for _, v := range w.slots.Attempts() {
		a, _ := v.Value.(*attempt)
		held := &frayv1.HeldAttempt{Attempt: a.wire, State: attemptState(v.Phase)}
		switch {
		case held.State != frayv1.AttemptState_ATTEMPT_STATE_FINISHED:
			unfinished = append(unfinished, held)
		case v.Unacked:
			finished = append(finished, held)
		}
	}
	unfinished = append(unfinished, finished...)
	return unfinished[:min(len(unfinished), maxHeldListed)]
}

// attemptState is how the controller sees a phase: an abandoned attempt has ended.
func attemptState(p slots.Phase) frayv1.AttemptState {
	switch p {
	case slots.Queued:
		return frayv1.AttemptState_ATTEMPT_STATE_QUEUED
	case slots.Running:
		return frayv1.AttemptState_ATTEMPT_STATE_RUNNING
	default:
		return frayv1.AttemptState_ATTEMPT_STATE_FINISHED
	}
}

// lose ends a session that the controller said is gone.
func (w *Worker) lose(s *session) {
	now := w.lock()
	current := w.session == s
	if current {
		w.session = nil
		// Until the next session says what it keeps. A controller that restarted waits for that as
		// long, even if it restarts once more meanwhile.
		w.slots.SessionLost(now, s.ttl)
		w.apply(false)
	}
	w.mu.Unlock()
	s.end()
	if current {
		w.logger.Warn("session is lost, registering anew")
	}
}

func (w *Worker) currentSession() *session {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.session
}

// call makes a call until it is answered, and returns errStale when the answer is that the session
// is gone.
func (w *Worker) call(ctx context.Context, name string, r *dial.Rand, p dial.Policy, fn func(context.Context) error) error {
	p.Rand = r
	p.OnRetry = func(err error, delay time.Duration) {
		w.metrics.failed(name)
		w.logger.WarnContext(ctx, "controller call failed, will repeat it", "call", name, "error", err, "delay", delay)
	}
	err := dial.Do(ctx, p, fn)
	if reason, _ := wire.Info(err); reason == wire.ReasonSessionStale {
		return errStale
	}
	return err
}

// pauseAfter waits after an error that does not pass by itself: it may pass with a new release of
// the controller. One that only says that a copy of the call took its place is followed by the next
// copy at once.
func (w *Worker) pauseAfter(ctx context.Context, name string, r *dial.Rand, err error) {
	w.metrics.failed(name)
	if reason, _ := wire.Info(err); reason == wire.ReasonSuperseded {
		_ = sleep.For(ctx, r.Duration(supersededPause))
		return
	}
	delay := oddErrorPause/2 + r.Duration(oddErrorPause/2)
	w.logger.ErrorContext(ctx, "controller refused a call, will repeat it", "call", name, "error", err, "delay", delay)
	_ = sleep.For(ctx, delay)
}

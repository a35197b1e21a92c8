package fray

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/frayrpc/fray/fray/internal/actor"
	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/internal/failure"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// stopGrace is how long a function may go on after its context is done, before the backends of this
// process go on without it.
const stopGrace = 5 * time.Second

// localBackend is what the backends of this process have in common. Its mutex guards what stands below it, here and in
// them.
type localBackend struct {
	host   actorHost
	ledger *ledger
	idle   chan struct{} // closed once closed and nothing runs

	mu     sync.Mutex
	closed bool
	actors roster
	limits *limiter
	once   map[string]onceCall // by their keys
	// With so many, those go who have no key any longer.
	sweepOnce int
}

// actorHost is the backend itself, which constructs actors and ends them in its way.
type actorHost interface {
	submit(ctx context.Context, calls []*call)
	// built has an actor take calls. If it has died meanwhile, its state is closed at once.
	built(a *localActor, i *actor.Instance)
	// kill has an actor be dead, and its calls end or stop.
	kill(a *localActor, cause error)
}

// newLocalBackend has refilled called, without the mutex, when a bucket may have a token.
func newLocalBackend(host actorHost, refilled func(*limitBucket)) localBackend {
	return localBackend{host: host, ledger: newLedger(), idle: make(chan struct{}), actors: newRoster(), limits: newLimiter(refilled)}
}

func (*localBackend) why(*call) error { return nil }

func (l *localBackend) find(c *call)  { l.ledger.find(c) }
func (l *localBackend) share(c *call) { l.ledger.note(c) }

func (l *localBackend) wait() error { return waitIdle(l.idle) }

// sequel is what follows an attempt: its end, or another one after a delay.
type sequel struct {
	retry bool
	delay time.Duration
	err   error // of the end; nil: it has a value
}

// attempt executes the call once on the calling goroutine, as attempt.Run does. The values are those of the
// tasks that it needs.
func (c *call) attempt(ctx context.Context, info TaskInfo, values attempt.Needed[Payload], grace time.Duration, done func(attempt.Result[Payload])) {
	ctx = attempt.WithInfo(NewContext(ctx, c.jc), info)
	if len(c.jc.environment) > 0 {
		ctx = attempt.WithInfo(ctx, c.jc.environment)
	}
	if values != nil {
		ctx = attempt.WithInfo(ctx, values)
	}
	attempt.Run(ctx, attempt.Limits{Timeout: c.config.executionTimeout, Grace: grace},
		func(ctx context.Context) (Payload, error) { return c.function.Invoke(ctx, c.input) }, done)
}

func (c *call) info(workerID string, number int) TaskInfo {
	info := TaskInfo{
		TaskID: c.id, JobID: c.jc.jobID, Function: c.function.Name(), WorkerID: workerID,
		Attempt: number, MaxAttempts: int(c.config.retries) + 1, NotBefore: c.config.notBefore.UTC(),
	}
	if c.gang != nil {
		info.Gang = *c.gang
	}
	return info
}

// conclude judges an attempt. Errors go through their wire form, so that they look the same on
// every backend.
func (c *call) conclude(info TaskInfo, r attempt.Result[Payload]) sequel {
	var wire *frayv1.TaskError
	reason := ReasonApplication
	switch r.Outcome {
	case attempt.Succeeded:
		if n, limit := len(r.Value.Data), c.jc.maxPayload; n > limit {
			return sequel{err: newTaskError(c, ReasonUndecodable, info, &frayv1.TaskError{
				Message: fmt.Sprintf("result has %d bytes, this job context takes at most %d", n, limit), Type: "size limit",
			})}
		}
		return sequel{}
	case attempt.Stopped:
		return sequel{err: c.stopped(info, r.Err)}
	case attempt.TimedOut:
		reason = ReasonTimeout
		wire = failure.EncodeDetails(r.Returned)
	case attempt.Failed:
		wire = failure.Encode(r.Err)
		var undecodable *UndecodableError
		if errors.As(r.Err, &undecodable) {
			return sequel{err: newTaskError(c, ReasonUndecodable, info, wire)}
		}
	}
	// Workers are not lost here, so the attempts are the failures.
	if info.Attempt >= info.MaxAttempts || wire.GetNonRetryable() {
		return sequel{err: newTaskError(c, reason, info, wire)}
	}
	delay := retryAfter(wire)
	if delay == 0 {
		delay = c.config.backoff(info.Attempt, c.jc.rand.Float64())
	}
	return sequel{retry: true, delay: delay}
}

// stopped is what a call ends with that was stopped for a cause.
func (c *call) stopped(info TaskInfo, cause error) error {
	switch {
	case errors.Is(cause, ErrClosed):
		return c.closed()
	case errors.Is(cause, ErrActorDead):
		return c.actorDead(info, cause)
	}
	return newTaskError(c, ReasonCancelled, info, nil)
}

// byID returns calls in the order of their ids, so that what is done to all of them is done in one
// order.
func byID(calls iter.Seq[*call]) []*call {
	return slices.SortedFunc(calls, func(a, b *call) int { return cmp.Compare(a.id, b.id) })
}

// waitIdle waits for a closed backend of this process to come to rest, and no longer than the grace
// of its functions.
func waitIdle(idle <-chan struct{}) error {
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-idle:
		return nil
	case <-timer.C:
		if isClosed(idle) {
			return nil
		}
		return fmt.Errorf("close job context: functions still run %v after they were stopped: they ignore their context", stopGrace)
	}
}

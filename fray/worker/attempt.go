package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/core/slots"
	runner "github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/internal/failure"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
)

// attempt is one leased attempt, from its grant to the verdict on its report.
type attempt struct {
	wire     *frayv1.Attempt
	name     string    // of the function
	function *function // what executes it, or stands in for what is not here
	timeout  time.Duration
	expired  *runner.TimeoutError // the cause of its context's end after that; nil: it has no timeout
	input    fray.Payload
	values   runner.Needed[fray.Payload] // of the tasks that it needs, which came along; nil: none did

	environment map[string]string // of its job; nil: that has none

	ctx    context.Context //nolint:containedctx // Made with the grant, so that a stop can come before the start.
	cancel context.CancelCauseFunc
	resume chan struct{} // a slot that was lent is back
	life   *life         // nil: it is no actor's
	call   *call         // nil: it is none

	// What its function says of itself, and what of it the controller has heard, in which session; guarded
	// by state.mu.
	progress, heard *frayv1.Progress
	heardBy         *session

	// Set before the end is told to the machine, and read with its report.
	outcome core.Outcome
	value   *frayv1.Payload
	failure *frayv1.TaskError
	over    bool // the function has returned; guarded by state.mu
}

// newAttempt makes an attempt of what a poll brought.
func (w *Worker) newAttempt(leased *frayv1.LeasedTask) *attempt {
	spec := leased.GetSpec()
	a := &attempt{
		wire:    leased.GetAttempt(),
		name:    spec.GetFunction(),
		timeout: number.FromMillis(spec.GetExecutionTimeoutMs()),
		input:   payload(spec.GetPayload()),
		resume:  make(chan struct{}, 1),
	}
	if needed := leased.GetNeededValues(); len(needed) > 0 {
		a.values = make(runner.Needed[fray.Payload], len(needed))
		for _, n := range needed {
			a.values[n.GetTaskId()] = payload(n.GetValue())
		}
	}
	a.function = w.functions[a.name]
	switch {
	case a.function == nil:
		a.function = &function{Function: missing{worker: w.cfg.ID, name: a.name}, metrics: w.metrics.of("unknown")}
	case (a.function.class != nil) != (spec.GetActor() != nil):
		a.function = &function{Function: misplaced{a.function}, metrics: a.function.metrics}
	case a.function.class != nil:
		a.life = &life{concurrency: number.Clamp[int](spec.GetActor().GetMaxConcurrency())}
		if leased.GetCheckpoint() != nil {
			a.life.from = new(payload(leased.GetCheckpoint()))
		}
	}
	if spec.GetCall() != nil {
		a.call = &call{life: core.Token(leased.GetLifeLeaseToken())}
	}
	info := fray.TaskInfo{
		TaskID: spec.GetTaskId(), JobID: leased.GetJobId(), Function: a.name, WorkerID: w.cfg.ID,
		Attempt: int(a.wire.GetNumber()), MaxAttempts: int(spec.GetRetryPolicy().GetMaxRetries()) + 1,
	}
	if g := spec.GetGang(); g != nil {
		info.Gang = fray.GangPlace{ID: g.GetGangId(), Size: int(g.GetSize()), Index: int(g.GetIndex())}
	}
	if ms := spec.GetNotBeforeUnixMs(); ms > 0 {
		info.NotBefore = time.UnixMilli(ms).UTC()
	}
	ctx := runner.WithInfo(w.base, info)
	if e := leased.GetEnvironment(); len(e) > 0 {
		a.environment = e
		ctx = runner.WithInfo(ctx, runner.Environment(e))
	}
	ctx = runner.WithInfo(ctx, runner.ProgressTo(func(p runner.Progress) { w.note(a, p) }))
	if a.timeout > 0 {
		a.expired = &runner.TimeoutError{Timeout: a.timeout}
	}
	a.ctx, a.cancel = context.WithCancelCause(runner.WithSlot(ctx, &lender{worker: w, attempt: a}))
	return a
}

func payload(p *frayv1.Payload) fray.Payload {
	return fray.Payload{Encoding: p.GetEncoding(), Data: p.GetData()}
}

func (a *attempt) lease() core.Token { return core.Token(a.wire.GetLeaseToken()) }

// execute runs a, and then whatever the machine has for a free goroutine.
func (w *Worker) execute(a *attempt) {
	defer func() {
		if a != nil { // The function ended the goroutine.
			if next := w.finish(a); next != nil {
				go w.execute(next)
			}
		}
	}()
	for a != nil {
		// The machine sees to the timeout: it knows when this process stood still.
		runner.Run(a.withDeadline(), runner.Limits{Expired: a.expired}, func(ctx context.Context) (fray.Payload, error) {
			return w.invoke(ctx, a)
		}, a.end)
		a = w.finish(a)
	}
}

// withDeadline returns the attempt's context as its function sees it from now on, with the deadline
// that its timeout makes.
func (a *attempt) withDeadline() context.Context {
	if a.expired == nil {
		return a.ctx
	}
	return &deadlined{a.ctx, time.Now().Add(a.timeout)}
}

// deadlined is a context that says when it will be done, by and large, and leaves it to another to
// see to that.
type deadlined struct {
	context.Context //nolint:containedctx // It is one.

	deadline time.Time
}

// Deadline implements context.Context. It is not put off when the process stood still, so that what
// the function does with it ends early rather than late.
func (d *deadlined) Deadline() (time.Time, bool) { return d.deadline, true }

func (w *Worker) invoke(ctx context.Context, a *attempt) (fray.Payload, error) {
	if a.values != nil {
		ctx = runner.WithInfo(ctx, a.values)
	}
	switch {
	case a.life != nil:
		return fray.Payload{}, w.live(ctx, a)
	case a.call != nil:
		return a.call.invoke(ctx, a)
	default:
		return a.function.Invoke(ctx, a.input)
	}
}

// bytes is what the attempt holds until it has run.
func (a *attempt) bytes() int {
	n := len(a.input.Data)
	for _, v := range a.values { // order-free: a sum
		n += len(v.Data)
	}
	for name, value := range a.environment { // order-free: a sum
		n += len(name) + len(value)
	}
	if a.life != nil && a.life.from != nil {
		n += len(a.life.from.Data)
	}
	return n
}

// end takes down how the function ended.
func (a *attempt) end(r runner.Result[fray.Payload]) {
	a.function.metrics.observe(r.Elapsed)
	var undecodable *fray.UndecodableError
	switch {
	case r.Outcome == runner.Succeeded:
		a.outcome = core.Succeeded
		a.value = &frayv1.Payload{Encoding: r.Value.Encoding, Data: r.Value.Data}
	case r.Outcome == runner.TimedOut:
		a.outcome = core.TimedOut
		a.failure = failure.EncodeDetails(r.Returned)
	case r.Outcome == runner.Stopped:
		a.outcome = core.Stopped
	case handedBack(r.Err):
		a.outcome = core.Returned
	case errors.As(r.Err, &undecodable):
		a.outcome = core.UndecodableOutcome
		a.failure = failure.Encode(r.Err)
	default:
		a.outcome = core.FailedOutcome
		a.failure = failure.Encode(r.Err)
	}
}

// handedBack says whether the function could not be started here and now, see fray.HandBack.
func handedBack(err error) bool {
	_, ok := failure.MarkOf[failure.HandBack](err)
	return ok
}

// finish tells the machine that a's function has returned. It returns what to run next on this
// goroutine.
func (w *Worker) finish(a *attempt) (next *attempt) {
	a.cancel(errReturned)
	now := w.lock()
	defer w.mu.Unlock()
	a.over = true
	a.input, a.values = fray.Payload{}, nil
	size := sizeOf(a.value, a.failure, nil)
	if a.call != nil {
		w.actors.left(a)
		size = sizeOf(a.value, a.failure, a.call.checkpoint)
	}
	w.slots.Finish(now, a.lease(), a.outcome, size)
	next, _ = w.apply(true)
	return next
}

// report returns what to tell the controller.
func (a *attempt) report(outcome core.Outcome, ran time.Duration) *frayv1.TaskReport {
	if a.call != nil && a.call.on == nil {
		ran = 0 // Nothing of it has run, whatever its attempt has done.
	}
	r := &frayv1.TaskReport{Attempt: a.wire, Outcome: frayv1.AttemptOutcome(outcome), RunDurationUs: number.Micros(ran)}
	switch outcome {
	case core.Succeeded:
		r.Value = a.value
		if a.call != nil {
			r.Checkpoint = a.call.checkpoint
		}
	case core.FailedOutcome, core.UndecodableOutcome:
		r.Error = a.failure
	case core.TimedOut:
		if a.over { // else it is abandoned, and may be writing this
			r.Error = a.failure
		}
	}
	return r
}

// lender is the slot of an attempt, as a wait for other tasks sees it.
type lender struct {
	worker  *Worker
	attempt *attempt
}

// Block implements runner.Slot.
func (l *lender) Block() {
	l.tell((*slots.Machine).Block)
}

// Unblock implements runner.Slot.
func (l *lender) Unblock() (wait func()) {
	if !l.tell((*slots.Machine).Unblock) {
		return func() {}
	}
	return func() {
		select {
		case <-l.attempt.resume:
		case <-l.attempt.ctx.Done():
		}
	}
}

// tell passes an event on, unless the attempt is over: what a function leaves running has no slot
// to lend.
func (l *lender) tell(event func(*slots.Machine, core.Time, core.Token)) bool {
	told := false
	l.worker.step(func(now core.Time, s *slots.Machine) {
		if !l.attempt.over {
			told = true
			event(s, now, l.attempt.lease())
		}
	})
	return told
}

// missing stands for a function that the worker does not have. The controller is not supposed to
// ask for one.
type missing struct{ worker, name string }

func (m missing) Name() string { return m.name }

func (m missing) Invoke(context.Context, fray.Payload) (fray.Payload, error) {
	return fray.Payload{}, fmt.Errorf("worker %s has no function %q", m.worker, m.name)
}

// misplaced stands for a class of actors where a function is asked for that runs once, and the other
// way round.
type misplaced struct{ *function }

func (m misplaced) Invoke(context.Context, fray.Payload) (fray.Payload, error) {
	if m.class != nil {
		return fray.Payload{}, fray.NonRetryable(fmt.Errorf("%q is a class of actors, and was to run as a task: create an actor of it", m.Name()))
	}
	return fray.Payload{}, fray.NonRetryable(fmt.Errorf("%q is a function, and was to construct an actor: create one of a class of actors", m.Name()))
}

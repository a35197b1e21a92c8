package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/actor"
	runner "github.com/frayrpc/fray/fray/internal/attempt"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// host is the actors that live at a worker. It is guarded by state.mu, so that whether a call finds
// its actor depends on the order of events alone.
type host struct {
	incarnations map[core.Token]*incarnation // those that take calls, by the leases of their lives
	calls        map[core.Token]*incarnation // whose calls they are, from the start to the verdict, by their leases
	leaving      bool                        // the worker leaves, and no more calls can come
}

func newHost() host {
	return host{incarnations: make(map[core.Token]*incarnation), calls: make(map[core.Token]*incarnation)}
}

// life is what an attempt has that is the life of an actor.
type life struct {
	concurrency int
	from        *fray.Payload // the checkpoint that it goes on from; nil: there is none
}

// call is what an attempt has that is a call.
type call struct {
	life       core.Token   // the lease of the life that it is granted for
	on         *incarnation // what it runs on; nil: its actor is not here. Guarded by state.mu until it starts.
	checkpoint *frayv1.Payload
}

// incarnation is an actor from the return of its constructor to its end. But for the channels and
// what never changes it is guarded by state.mu.
type incarnation struct {
	attempt  *attempt // its life
	instance *actor.Instance
	took     time.Duration // its construction
	running  []core.Token  // calls whose functions run on it, but for those that were abandoned
	owed     int           // calls whose reports have no verdict
	ended    bool          // it takes no more calls

	dismissed chan struct{} // closed: the worker leaves, and nothing is owed
	idle      chan struct{} // closed: it has ended, and nothing runs
}

// live is the function of a life: it constructs the actor, and lets it take calls until its context
// is done or the worker leaves.
func (w *Worker) live(ctx context.Context, a *attempt) error {
	began := w.now()
	state, err := a.function.class.Construct(ctx, a.input, a.life.from)
	if err != nil {
		return err
	}
	a.input, a.life.from = fray.Payload{}, nil
	if closer, ok := state.(io.Closer); ok {
		defer w.closeState(a, closer)
	}
	if _, ok := state.(fray.Checkpointer); ok && a.life.concurrency > 1 {
		return fray.NonRetryable(fmt.Errorf("actor of class %q leaves checkpoints, so that it cannot have %d calls at once: leave max_concurrency at 1",
			a.name, a.life.concurrency))
	}
	// It is not taken back: what is left to do in the end needs none. As a loan, it is one with those of
	// what the constructor has left running.
	runner.Lend(ctx)
	if i := w.ready(a, state, began); i != nil {
		select {
		case <-i.dismissed:
		case <-ctx.Done():
		}
		<-i.idle
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fray.HandBack(ErrLeaving)
}

// ready has an actor take calls, and tells the controller that it does. It returns nil if it is to
// end at once.
func (w *Worker) ready(a *attempt, state any, began core.Time) *incarnation {
	now := w.lock()
	defer w.mu.Unlock()
	if a.ctx.Err() != nil || w.slots.Draining() {
		return nil
	}
	i := &incarnation{
		attempt: a, instance: actor.New(state, a.life.concurrency), took: max(now.Sub(began), time.Microsecond),
		dismissed: make(chan struct{}), idle: make(chan struct{}),
	}
	w.actors.incarnations[a.lease()] = i
	w.file(i.report())
	w.wake()
	return i
}

// report says that i takes calls.
func (i *incarnation) report() *frayv1.TaskReport { return i.attempt.report(core.ReadyOutcome, i.took) }

// announce tells the controller of a new session which actors take calls. It runs under the lock.
func (w *Worker) announce() {
	for _, i := range w.actors.sorted() {
		w.file(i.report())
	}
	w.wake()
}

// closeState lets the state of an actor that has ended close what it has open.
func (w *Worker) closeState(a *attempt, state io.Closer) {
	defer func() {
		if p := recover(); p != nil {
			w.logger.Error("actor panicked when it was closed", "function", a.name, "task_id", a.wire.GetTaskId(), "panic", p)
		}
	}()
	if err := state.Close(); err != nil {
		w.logger.Error("close actor", "function", a.name, "task_id", a.wire.GetTaskId(), "error", err)
	}
}

// invoke runs the function of a call on its actor.
func (c *call) invoke(ctx context.Context, a *attempt) (fray.Payload, error) {
	if c.on == nil {
		return fray.Payload{}, fray.HandBack(errNotHere)
	}
	on := &actor.Call[fray.Payload]{Instance: c.on.instance}
	value, err := a.function.Invoke(runner.WithInfo(ctx, on), a.input)
	if err != nil || on.Checkpoint == nil {
		return value, err
	}
	c.checkpoint = &frayv1.Payload{Encoding: on.Checkpoint.Encoding, Data: on.Checkpoint.Data}
	return value, nil
}

// errNotHere is why a call is handed back.
var errNotHere = errors.New("the actor that is to be called is not at this worker")

// owe notes that the report of a call is to be judged before its actor leaves with the worker. It
// returns what the call is for, or nil if that is not here.
func (h *host) owe(a *attempt) *incarnation {
	i := h.calls[a.lease()]
	if i == nil {
		if i = h.incarnations[a.call.life]; i != nil {
			h.calls[a.lease()] = i
			i.owed++
		}
	}
	return i
}

// started finds the actor of a call whose function is about to run.
func (h *host) started(a *attempt) {
	if i := h.owe(a); i != nil {
		a.call.on = i
		i.running = append(i.running, a.lease())
	}
}

// left notes that the function of a call has returned, or is waited for no longer.
func (h *host) left(a *attempt) {
	i := a.call.on
	if i == nil {
		return
	}
	if at := slices.Index(i.running, a.lease()); at >= 0 {
		i.running = slices.Delete(i.running, at, at+1)
	}
	if i.ended && len(i.running) == 0 {
		closeOnce(i.idle)
	}
}

// judged notes that a report has its verdict.
func (h *host) judged(lease core.Token) {
	i := h.calls[lease]
	if i == nil {
		return
	}
	delete(h.calls, lease)
	i.owed--
	h.dismiss(i)
}

// leave dismisses what is owed nothing, now that no more calls can come; the others follow as their
// calls' reports are judged.
func (h *host) leave() {
	if h.leaving {
		return
	}
	h.leaving = true
	for _, i := range h.sorted() {
		h.dismiss(i)
	}
}

func (h *host) dismiss(i *incarnation) {
	if h.leaving && i.owed == 0 && !i.ended {
		h.end(i)
		close(i.dismissed)
	}
}

// stopped ends the actor of a life that is to stop. It returns the calls that run on it, which are to
// stop, too.
func (h *host) stopped(a *attempt) []core.Token {
	i := h.incarnations[a.lease()]
	if i == nil {
		return nil
	}
	h.end(i)
	return i.running
}

func (h *host) end(i *incarnation) {
	delete(h.incarnations, i.attempt.lease())
	i.ended = true
	if len(i.running) == 0 {
		close(i.idle)
	}
}

// sorted returns the actors in an order that depends on nothing but them.
func (h *host) sorted() []*incarnation {
	all := make([]*incarnation, 0, len(h.incarnations))
	for _, lease := range slices.Sorted(maps.Keys(h.incarnations)) {
		all = append(all, h.incarnations[lease])
	}
	return all
}

// actorCount returns how many actors take calls here.
func (w *Worker) actorCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.actors.incarnations)
}

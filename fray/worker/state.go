package worker

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/core/slots"
)

// idleTimer is how long the wait for a deadline is when there is none.
const idleTimer = time.Hour

// state is the slot machine and what its effects go to. Nothing blocks under its lock, so a
// goroutine with something to tell the machine tells it directly.
type state struct {
	mu        sync.Mutex
	slots     *slots.Machine
	latest    core.Time  // of which the machine was told
	armed     core.Time  // what awaitDeadlines waits for
	reports   outbox     // to be sent, but for those of bulk
	bulk      outbox     // large ones to be sent
	unseen    int        // changes since the account was looked at
	unjudged  int        // bytes of the reports without a verdict
	abandoned []*attempt // not logged yet
	actors    host
	session   *session // nil: there is none
	speaking  bool     // attempts may have said what the session was not told
	carries   bool     // the next poll carries the reports, which are not sent otherwise until then
	polling   bool     // a poll is on its way, and may bring attempts
	repoll    func()   // has the poll that waits for its answer sent again; nil: none waits

	// Each has one place, so that a signal is kept until its reader looks.
	rearm chan struct{} // something is due before armed
	room  chan struct{} // there is something to poll for
	// Closed once.
	drained   chan struct{} // nothing runs, and nothing will arrive
	delivered chan struct{} // and every report is acknowledged
}

func newState(cfg slots.Config) state {
	return state{
		slots:     slots.New(cfg),
		armed:     core.Never,
		rearm:     make(chan struct{}, 1),
		room:      make(chan struct{}, 1),
		reports:   newOutbox(),
		bulk:      newOutbox(),
		actors:    newHost(),
		drained:   make(chan struct{}),
		delivered: make(chan struct{}),
	}
}

// lock takes the lock, and returns the time, of which it has told the machine. It never falls.
func (w *Worker) lock() core.Time {
	now := w.now()
	w.mu.Lock()
	w.latest = max(w.latest, now)
	w.slots.Pass(w.latest)
	return w.latest
}

// step tells the machine what happened, and does what it answers. It reports whether there was any
// effect.
func (w *Worker) step(event func(now core.Time, s *slots.Machine)) (effect bool) {
	now := w.lock()
	defer w.mu.Unlock()
	event(now, w.slots)
	_, effect = w.apply(false)
	return effect
}

// apply does what the machine asks for. It runs under the lock. If its caller is free to run an
// attempt, the first one that starts is left to it.
func (w *Worker) apply(free bool) (next *attempt, effect bool) {
	effects := w.slots.Effects()
	more := false // what is done has effects, too
	for i := range effects {
		e := &effects[i]
		a, _ := e.Value.(*attempt)
		switch e.Kind {
		case slots.Start:
			if a.call != nil {
				w.actors.started(a)
			}
			if free && next == nil {
				next = a
			} else {
				go w.execute(a)
			}
		case slots.Cancel:
			if e.Cause == slots.TimedOut {
				a.cancel(a.expired)
			} else {
				a.cancel(causeError(e.Cause))
			}
			if a.life != nil {
				w.slots.Stop(w.latest, w.actors.stopped(a))
				more = true
			}
		case slots.Resume:
			signal(a.resume)
		case slots.Abandon:
			w.abandoned = append(w.abandoned, a)
			if a.call != nil {
				w.actors.left(a)
			}
		case slots.Report:
			if e.Outcome == core.Started {
				if w.actors.incarnations[a.lease()] == nil { // else it is known to be ready
					w.file(a.report(e.Outcome, e.Ran))
				}
				continue
			}
			if a.call != nil {
				w.actors.owe(a)
			}
			w.file(a.report(e.Outcome, e.Ran))
			a.function.metrics.ended(e.Outcome)
		}
	}
	if more {
		second, _ := w.apply(free && next == nil)
		return cmp.Or(next, second), true
	}
	w.wake()
	w.inspect()
	return next, len(effects) > 0
}

// inspect tells what of the machine's account does not add up, if it is time to look. It runs under
// the lock.
func (w *Worker) inspect() {
	tell := w.cfg.Inspect
	if w.unseen++; tell == nil || w.unseen < max(inspectChanges, w.slots.Known()/inspectShare) {
		return
	}
	w.unseen = 0
	if err := w.slots.Check(); err != nil {
		tell(err)
	}
}

// wake tells those who wait for the machine's state that it is there.
func (w *Worker) wake() {
	if w.slots.Deadline() < w.armed {
		signal(w.rearm)
	}
	if w.slots.Polls() {
		signal(w.room)
	}
	if w.repoll != nil && w.slots.Understated() {
		w.repoll()
		w.repoll = nil
	}
	if len(w.reports.reports) > 0 && !w.carries {
		signal(w.reports.pending)
	}
	if len(w.bulk.reports) > 0 {
		signal(w.bulk.pending)
	}
	if w.slots.Draining() && !w.polling {
		w.actors.leave()
	}
	if w.slots.Drained() && !w.polling {
		closeOnce(w.drained)
		if w.slots.Counts().Outbox == 0 {
			closeOnce(w.delivered)
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// unsignal takes back a signal. A goroutine that looks at the state under the lock calls it there,
// so that no signal is left over for what was seen: whether one is must not depend on which
// goroutine of an instant comes first.
func unsignal(c chan struct{}) {
	select {
	case <-c:
	default:
	}
}

func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// counts returns how the attempts stand.
func (w *Worker) counts() slots.Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.slots.Counts()
}

// awaitDeadlines ticks the machine when something is due, until ctx is done.
func (w *Worker) awaitDeadlines(ctx context.Context) {
	timer := time.NewTimer(idleTimer)
	defer timer.Stop()
	for {
		now := w.lock()
		unsignal(w.rearm)
		w.armed = w.slots.Deadline()
		wait := idleTimer
		if w.armed != core.Never {
			wait = w.armed.Sub(now)
		}
		w.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-timer.C:
			w.step(func(now core.Time, s *slots.Machine) { s.Tick(now) })
			w.logAbandoned()
		case <-w.rearm:
		case <-ctx.Done():
			return
		}
	}
}

func (w *Worker) logAbandoned() {
	w.mu.Lock()
	abandoned := w.abandoned
	w.abandoned = nil
	w.mu.Unlock()
	for _, a := range abandoned {
		w.logger.Warn("abandoned an attempt whose function ignores its context",
			"function", a.name, "task_id", a.wire.GetTaskId(), "attempt", a.wire.GetNumber())
	}
}

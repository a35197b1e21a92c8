package fray

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/internal/number"
)

// Bounds of Map.
const (
	// DefaultMapInFlight is how many inputs [Map] has taken, and not yielded the results of, at most.
	DefaultMapInFlight = 1024
	maxMapInFlight     = 1 << 20
	// mapEndPatience is how long a Map that ends early waits at most for the backend to take its
	// cancellations.
	mapEndPatience = 5 * time.Second
)

// MapOption configures a [Map]. Every [CallOption] is one, too: it holds for each of the calls.
type MapOption interface {
	applyToMap(*mapConfig) error
}

type mapConfig struct {
	inFlight    int
	asCompleted bool
	progress    func(done, taken int)
	calls       []CallOption
}

type mapOption func(*mapConfig) error

func (o mapOption) applyToMap(c *mapConfig) error { return o(c) }

// MapInFlight bounds how many inputs have been taken whose results have not been yielded, 1 to
// 1,048,576. While there are so many, no input is taken. The default is DefaultMapInFlight. It bounds
// what Map holds in memory, and what it has the cluster hold: so many inputs and results at once.
func MapInFlight(n int) MapOption {
	return mapOption(func(c *mapConfig) (err error) {
		c.inFlight, err = number.Within("inputs in flight", n, 1, maxMapInFlight)
		return err
	})
}

// MapAsCompleted has results yielded as tasks end. By default they come in the order of the inputs, so
// that one task that takes long holds up those after it, and at last the inputs. Nothing but the result
// itself says then which input it is of; of an error, the task's id may.
func MapAsCompleted() MapOption {
	return mapOption(func(c *mapConfig) error {
		c.asCompleted = true
		return nil
	})
}

// MapProgress has report called whenever an input has been taken or a task has ended, with how many
// have so far. It is called by the goroutine that ranges, between the rounds of its loop, and has to be
// quick. If the loop is not left early, the last call has as many done as taken.
func MapProgress(report func(done, taken int)) MapOption {
	return mapOption(func(c *mapConfig) error {
		c.progress = report
		return nil
	})
}

// Map runs a task for each input, on the job context of ctx, and ranges over their results: in the
// order of the inputs, or with [MapAsCompleted] as tasks end. [slices.Values] makes an iterator of a
// slice.
//
//	for thumbnail, err := range fray.Map(ctx, resize, slices.Values(images), fray.WithRetries(3)) {
//		...
//	}
//
// A task that ends without a value yields its error, a [*TaskError], in its place, and so does an
// input that cannot be encoded or is refused; the others go on. Break to end at the first error. If
// an option is not valid, or ctx has no job context, that error is all that is yielded.
//
// Inputs are taken one by one as results are yielded, so that ins can be longer than memory: see
// [MapInFlight]. All of that is done by the goroutine that ranges: ins must not wait for results of the
// same Map, and while it waits for something else no result is yielded.
//
// If the loop is left early, by break, return or panic, or by a panic of ins, then Map cancels its open
// tasks, as [Future.Cancel] does: those that have not started do not, and the contexts of those that run
// are cancelled. It waits until the backend has taken these requests, for five seconds at most; where
// the controller is away for longer, tasks may go on. Once ctx is done, Map does the same, yields the
// error of ctx, and ends.
//
// With [WithTaskID] the tasks have the ids id/0, id/1 and so on. Whoever ranges over a Map twice has
// the tasks run twice, unless they have such ids. Inside of a task, the task lends its slot while it
// waits.
func Map[In, Out any](ctx context.Context, t *Task[In, Out], ins iter.Seq[In], opts ...MapOption) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		var none Out
		m, err := newMapping(ctx, t, opts)
		if err != nil {
			yield(none, err)
			return
		}
		defer m.end(ctx)
		for in := range ins {
			m.take(ctx, in)
			if !m.yield(ctx, yield, m.inFlight-1) {
				return
			}
		}
		if m.yield(ctx, yield, 0) && ctx.Err() != nil {
			yield(none, m.because(ctx.Err())) // It may be why ins has ended.
		}
	}
}

// mapping is one range over a Map. All of it belongs to the goroutine that ranges.
type mapping[In, Out any] struct {
	mapConfig

	task    *Task[In, Out]
	jc      *JobContext
	call    *callConfig
	receipt *receipt // of all calls, and of one more until the end

	taken, done, yielded int
	// What is in flight, each at a place of its own, and which places are free.
	flights     []flight[Out]
	free        []int
	completions *completions // by place
	// queue has the places of what is to be yielded, in order: of what is in flight, or else of what is
	// done.
	queue []int
}

// flight is a task whose result has not been yielded.
type flight[Out any] struct {
	future *Future[Out] // nil: the place is free
	done   bool
}

func newMapping[In, Out any](ctx context.Context, t *Task[In, Out], opts []MapOption) (*mapping[In, Out], error) {
	m := &mapping[In, Out]{task: t, completions: makeCompletions(0), receipt: newReceipt(1)}
	m.inFlight, m.progress = DefaultMapInFlight, func(int, int) {}
	for _, opt := range opts {
		if err := opt.applyToMap(&m.mapConfig); err != nil {
			return nil, fmt.Errorf("map %s: %w", t.name, err)
		}
	}
	var err error
	m.jc, m.call, err = t.prepare(ctx, m.calls)
	return m, err
}

// take submits a task for one input.
func (m *mapping[In, Out]) take(ctx context.Context, in In) {
	n := m.taken
	m.taken++
	id := m.call.taskID + "/" + strconv.Itoa(n)
	if m.call.taskID == "" {
		id = newID(m.jc.rand)
	}
	m.receipt.add()
	f := m.task.newFuture(m.jc, m.call, id, m.receipt)
	place := len(m.flights)
	if last := len(m.free) - 1; last >= 0 {
		place, m.free = m.free[last], m.free[:last]
		m.flights[place] = flight[Out]{future: f}
	} else {
		m.flights = append(m.flights, flight[Out]{future: f})
	}
	if !m.asCompleted {
		m.queue = append(m.queue, place)
	}
	m.completions.watch(place, &f.promise)
	m.progress(m.done, m.taken)
	if err := m.task.encodeInput(f, in); err != nil {
		f.refuse(fmt.Errorf("map %s: input %d: %w", m.task.name, n, err))
		return
	}
	m.jc.backend.submit(ctx, []*call{&f.call})
}

// yield yields results until there is none ready, and at most so many are in flight. It reports false
// if that is the end: the loop was left, or ctx is done.
func (m *mapping[In, Out]) yield(ctx context.Context, yield func(Out, error) bool, most int) bool {
	for m.collect(); m.ready() || m.taken-m.yielded > most; m.collect() {
		if m.await(ctx); ctx.Err() != nil {
			var none Out
			yield(none, m.because(ctx.Err()))
			return false
		}
		if !yield(m.next(ctx)) {
			return false
		}
	}
	return true
}

// ready reports whether there is a result to yield.
func (m *mapping[In, Out]) ready() bool { return len(m.queue) > 0 && m.flights[m.queue[0]].done }

// collect notes which tasks have ended.
func (m *mapping[In, Out]) collect() {
	for {
		place, ok := m.completions.take()
		if !ok {
			return
		}
		m.note(place)
	}
}

func (m *mapping[In, Out]) note(place int) {
	m.flights[place].done = true
	m.done++
	if m.asCompleted {
		m.queue = append(m.queue, place)
	}
	m.progress(m.done, m.taken)
}

// await waits until there is a result to yield, or ctx is done.
func (m *mapping[In, Out]) await(ctx context.Context) {
	if m.ready() {
		return
	}
	loan := attempt.Lend(ctx)
	defer loan.TakeBack()
	if m.asCompleted {
		m.completions.expect(1, loan)
	} else {
		m.completions.expectOnly(m.queue[0], loan)
	}
	for !m.ready() {
		place, ok := m.completions.next(ctx)
		if !ok {
			return
		}
		m.note(place)
	}
}

// next returns the next result, which is ready.
func (m *mapping[In, Out]) next(ctx context.Context) (Out, error) {
	place := m.queue[0]
	m.queue = m.queue[1:]
	f := m.flights[place].future
	m.flights[place] = flight[Out]{}
	m.free = append(m.free, place)
	m.yielded++
	return f.Get(ctx)
}

// because adds to the error of a context what the first task that is open waits for in vain.
func (m *mapping[In, Out]) because(err error) error {
	var first *call
	for _, f := range m.flights {
		if f.future != nil && !f.future.isSettled() {
			first = &f.future.call
			break
		}
	}
	return fmt.Errorf("map %s: %w", m.task.name, m.jc.because(first, err))
}

// end cancels what is open.
func (m *mapping[In, Out]) end(ctx context.Context) {
	m.completions.close()
	var open []*call
	for _, f := range m.flights {
		if f.future != nil && !f.future.isSettled() {
			open = append(open, &f.future.call)
		}
	}
	if len(open) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mapEndPatience)
	defer cancel()
	// What is on its way to the backend could not be cancelled: it is known there, or never will be, once
	// it has been answered for.
	m.receipt.abandon(ErrCancelled)
	m.receipt.answer(nil)
	select {
	case <-m.receipt.done:
	case <-ctx.Done():
	}
	if err := m.jc.backend.cancel(ctx, open, cancelConfig{}); err != nil && !errors.Is(err, ErrTaskLost) {
		m.jc.logger.WarnContext(ctx, "cancel tasks of a map that has ended", "function", m.task.name, "tasks", len(open), "error", err)
	}
}

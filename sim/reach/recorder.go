// Package reach tells what a run comes to: a set of points, which are short texts that are the same in
// each run in which the same happens. Which fault acted where, which call ended how, what followed upon
// what at one host, and what a subject adds of its own. A run that comes to a point that no run before
// it came to has done something new.
//
//	r := reach.NewRecorder(subject, s)
//	r.Listen(&options)
//	result, err := virtual.Run(ctx, subject, s, seed, options)
//	points := r.Points()
//
// To look at a run does not change it.
package reach

import (
	"slices"
	"sync"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

// MaxEvents is how many events of a run's history are looked at, the first ones.
const MaxEvents = 1 << 18

// A Recorder collects the points of one run. Its methods are safe for concurrent use.
type Recorder struct {
	reacher engine.Reacher

	mu     sync.Mutex
	trace  *trace
	events []any
}

// NewRecorder returns a recorder for one run of a scenario of a subject.
func NewRecorder(of *engine.Subject, s *scenario.Scenario) *Recorder {
	r := &Recorder{trace: newTrace(s), reacher: newThings()}
	if of.Reach != nil {
		r.reacher = of.Reach()
	}
	return r
}

// Listen has the run with these options tell the recorder what happens, besides whom it tells
// already.
func (r *Recorder) Listen(o *virtual.Options) {
	o.Observe = both(o.Observe, r.observe)
	o.OnFault = both(o.OnFault, func(onset engine.Onset) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.trace.strike(onset)
	})
	o.OnEvent = both(o.OnEvent, func(e sim.Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.trace.take(&e)
	})
}

// both returns a function that calls first, which may be nil, and second.
func both[T any](first, second func(T)) func(T) {
	if first == nil {
		return second
	}
	return func(v T) {
		first(v)
		second(v)
	}
}

func (r *Recorder) observe(event any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) < MaxEvents {
		r.events = append(r.events, event)
	}
}

// Points returns what the run has come to. The run is over.
func (r *Recorder) Points() Points {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.trace.points.clone()
	// Events of one instant may have come in any order.
	slices.SortStableFunc(r.events, r.reacher.Compare)
	for _, event := range r.events {
		r.reacher.Take(event, all.add)
	}
	return all.sorted()
}

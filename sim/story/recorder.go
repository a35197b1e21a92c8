package story

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
	"github.com/frayrpc/fray/sim/shrink"
)

// MaxEvents is how many events of a run a Recorder keeps, the last ones, and as many of its faults.
const MaxEvents = 1 << 18

// kindFault is the kind of the event that a fault acted.
const kindFault = "fault"

// A Recorder keeps the history of one run. Its methods are safe for concurrent use.
type Recorder struct {
	scenario *scenario.Scenario

	mu     sync.Mutex
	events []engine.Event
	// Acts are those of faults, as events. The procedure of a message is in full.
	acts []engine.Event
	// What chance decided.
	pins shrink.Pins
}

// NewRecorder returns a recorder for one run of s.
func NewRecorder(s *scenario.Scenario) *Recorder { return &Recorder{scenario: s} }

// Listen has the run with these options tell the recorder what happens, besides whom it tells
// already.
func (r *Recorder) Listen(o *virtual.Options) {
	o.History = both(o.History, func(e engine.Event) {
		e.Record = nil // It is large.
		r.add(&r.events, e)
	})
	o.OnFault = both(o.OnFault, r.onset)
	o.OnEvent = both(o.OnEvent, r.act)
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

func (r *Recorder) add(list *[]engine.Event, e engine.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*list = append(*list, e)
	// Dropped a half at a time, so that an event costs nothing to drop.
	if len(*list) > 2*MaxEvents {
		*list = slices.Delete(*list, 0, len(*list)-MaxEvents)
	}
}

// onset takes in that a fault strikes hosts.
func (r *Recorder) onset(o engine.Onset) {
	r.pins.Begun(o)
	i := slices.IndexFunc(r.scenario.Faults, func(f scenario.Fault) bool { return f.ID == o.Fault })
	if i < 0 || !r.scenario.Faults[i].OnHosts() {
		return // Its acts are told one by one.
	}
	kind := r.scenario.Faults[i].Action.Key()
	for _, host := range o.Hosts {
		r.add(&r.acts, engine.Event{At: o.From, Host: host, Kind: kindFault, Text: o.Fault + ": " + kind, Gist: kindFault + " " + kind})
	}
}

// act takes in that a fault acted upon a message, or that the network lost one.
func (r *Recorder) act(e sim.Event) {
	procedure := e.Procedure[strings.LastIndexByte(e.Procedure, '/')+1:]
	caller, called := e.From, e.To
	var gist, text string
	switch {
	case e.Kind == sim.EventFault:
		r.pins.Acted(e.Fault, e.Match)
		gist = fmt.Sprintf("%s the %v of %s", e.Code, e.Message, procedure)
		text = e.Fault + ": " + gist
	case e.Kind == sim.EventDrop && e.Code == networkLoss:
		gist = fmt.Sprintf("the network loses the %v of %s", e.Message, procedure)
		text = gist
		if e.Message != sim.KindRequest {
			caller, called = e.To, e.From
		}
	default:
		return
	}
	r.add(&r.acts, engine.Event{
		At: e.Time, Host: caller, Kind: kindFault, Text: text, From: caller, To: called, Procedure: procedure, Gist: kindFault + " " + gist,
	})
}

// networkLoss is the reason of a message's end that topology.network.loss gives.
const networkLoss = "loss"

// Events returns the events that are kept, in the order of time, and of one instant by host: which
// comes first there may differ from run to run.
func (r *Recorder) Events() []engine.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return ordered(r.events[max(0, len(r.events)-MaxEvents):])
}

// ordered returns events in the order of time and host. A fault strikes a host before the host sees
// it, and a message after the host has sent it.
func ordered(events []engine.Event) []engine.Event {
	rank := func(e *engine.Event) int {
		switch {
		case e.Kind != kindFault:
			return 1
		case e.Procedure == "":
			return 0
		}
		return 2
	}
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b engine.Event) int {
		return cmp.Or(cmp.Compare(a.At, b.At), strings.Compare(a.Host, b.Host), cmp.Compare(rank(&a), rank(&b)))
	})
	return events
}

// Things returns the ids of all things that there are events about, sorted.
func (r *Recorder) Things() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[string]bool{}
	for i := range r.events {
		for _, thing := range r.events[i].Tasks {
			seen[thing] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Life returns all that touched a thing: the events about it, from the first that names it, those
// about all things, and what faults did to hosts that knew of it and to calls about it. With "" it
// is all that happened.
func (r *Recorder) Life(thing string) []engine.Event {
	events := r.Events()
	r.mu.Lock()
	acts := slices.Clone(r.acts[max(0, len(r.acts)-MaxEvents):])
	r.mu.Unlock()
	if thing == "" {
		return ordered(append(events, acts...))
	}
	first := slices.IndexFunc(events, func(e engine.Event) bool { return e.About(thing) })
	if first < 0 {
		return nil
	}
	events = slices.DeleteFunc(events[first:], func(e engine.Event) bool { return !e.All && !e.About(thing) })
	l := lines{}
	for i := range events {
		l.take(&events[i])
	}
	acts = slices.DeleteFunc(acts, func(a engine.Event) bool { return a.At < events[0].At || !l.touched(&a) })
	return ordered(append(events, acts...))
}

// HostLife returns all that a host saw, and what faults did to it and its calls.
func (r *Recorder) HostLife(host string) []engine.Event {
	return slices.DeleteFunc(r.Life(""), func(e engine.Event) bool { return e.Host != host && !e.All })
}

// lines are the calls about a thing, by their caller.
type lines map[string][]*engine.Event

// take takes in an event about the thing.
func (l lines) take(e *engine.Event) { l[e.Host] = append(l[e.Host], e) }

// touched says whether a fault acted upon a host that knew of the thing, or upon a call about it
// that was on its way.
func (l lines) touched(act *engine.Event) bool {
	var calling *engine.Event
	for _, e := range l[act.Host] {
		if act.Procedure == "" {
			return e.At <= act.At // A strike on the host.
		}
		if e.Procedure == "" || !strings.HasPrefix(act.Procedure, e.Procedure) {
			continue
		}
		switch {
		case e.To != act.Host && e.At <= act.At:
			calling = e
		case e.To == act.Host && e.At < act.At:
			calling = nil
		case e.To == act.Host && (calling != nil || e.Asked > 0 && e.Asked <= act.At):
			return true
		}
	}
	return calling != nil
}

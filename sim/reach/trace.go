package reach

import (
	"cmp"
	"slices"
	"strings"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// Kinds of points that the trace of any run has.
const (
	// KindFault: which fault acted, and at which procedure and phase, or on hosts of which role.
	KindFault = "fault"
	// KindCall: which procedure ended with which code, or lost which message.
	KindCall = "call"
	// KindPair: what followed upon what at one host.
	KindPair = "pair"
)

// lossLate is why what comes after the end of its call is lost.
const lossLate = "late"

// maxCalls bounds the calls whose answer is on its way.
const maxCalls = 1 << 16

// A trace makes points of what happens in a simulation. Hosts are told by their roles, so that it does
// not matter which of several did something.
type trace struct {
	points set
	roles  map[string]string // by host
	faults map[string]*scenario.Fault
	// last is what happened last at each host, and codes are those of answers on their way, by call.
	last  map[string]string
	codes map[uint64]string
}

func newTrace(s *scenario.Scenario) *trace {
	t := &trace{
		points: set{}, roles: map[string]string{}, faults: map[string]*scenario.Fault{},
		last: map[string]string{}, codes: map[uint64]string{},
	}
	for _, h := range s.Hosts() {
		t.roles[h.Name] = h.Role
	}
	for i := range s.Faults {
		t.faults[s.Faults[i].ID] = &s.Faults[i]
	}
	return t
}

// strike takes in that a fault strikes hosts. What faults do to messages comes one by one.
func (t *trace) strike(o engine.Onset) {
	f := t.faults[o.Fault]
	if f == nil || !f.OnHosts() {
		return
	}
	for _, host := range o.Hosts {
		t.points.add(KindFault, f.Action.Key()+" strikes "+t.roles[host])
		t.happen(host, "fault "+f.Action.Key())
	}
}

// happen notes what happens at a host of the scenario, and upon what it follows.
func (t *trace) happen(host, what string) {
	role := t.roles[host]
	if role == "" {
		return // It only looks on.
	}
	t.points.add(KindPair, role+": "+cmp.Or(t.last[host], "nothing")+", then "+what)
	t.last[host] = what
}

// take takes in an event of the trace.
func (t *trace) take(e *sim.Event) {
	procedure := e.Procedure[strings.LastIndexByte(e.Procedure, '/')+1:]
	switch e.Kind {
	case sim.EventFault:
		t.fault(e, procedure)
	case sim.EventSend:
		if e.Message == sim.KindResponse && len(t.codes) < maxCalls {
			t.codes[e.Call] = e.Code
		}
	case sim.EventDeliver:
		if what, code := t.ending(e); what != "" {
			t.call(e.To, procedure+" "+what, code)
		}
	case sim.EventDrop:
		caller := e.From
		if slices.Contains([]sim.MessageKind{sim.KindResponse, sim.KindResponseData, sim.KindReset}, e.Message) {
			caller = e.To
		}
		if e.Message == sim.KindResponse {
			delete(t.codes, e.Call)
		}
		what := procedure + " loses its " + e.Message.String()
		if e.Code == lossLate {
			t.points.add(KindCall, what+" "+e.Code) // Its caller has given up, and sees nothing of it.
			return
		}
		t.call(caller, what, e.Code)
	case sim.EventStart, sim.EventStop, sim.EventPause, sim.EventSuspend, sim.EventResume, sim.EventClock, sim.EventPanic:
		t.happen(e.From, string(e.Kind))
	case sim.EventCrash:
		t.happen(e.From, string(e.Kind)+" "+e.Code)
	case sim.EventExit:
		what := string(e.Kind)
		if e.Code != "" {
			what += " with an error"
		}
		t.happen(e.From, what)
	case sim.EventPartition, sim.EventRepair, sim.EventHold, sim.EventRelease, sim.EventSever:
		t.happen(e.From, string(e.Kind))
		t.happen(e.To, string(e.Kind))
	default:
	}
}

// ending says whether a message ends a call or begins a connection, and how.
func (t *trace) ending(e *sim.Event) (what, code string) {
	switch e.Message {
	case sim.KindResponse:
		code = t.codes[e.Call]
		delete(t.codes, e.Call)
		if code == "200" {
			code = "ok"
		}
		return "ends", code
	case sim.KindReset:
		return "is reset", ""
	case sim.KindAccept:
		return "connects", ""
	default:
		return "", ""
	}
}

// call notes how a call of a host went.
func (t *trace) call(host, what, how string) {
	what = strings.TrimSpace(what + " " + how)
	t.points.add(KindCall, what)
	t.happen(host, what)
}

// fault notes that a rule acted upon a message, which is that of a fault or, of one whose target may be
// several hosts, of one of them.
func (t *trace) fault(e *sim.Event, procedure string) {
	id, _, _ := strings.Cut(e.Fault, "..")
	phase := e.Message.String()
	if f := t.faults[id]; f != nil && f.Match != nil {
		phase = cmp.Or(f.Match.Phase, phase)
	}
	t.points.add(KindFault, e.Code+" "+phase+" "+procedure)
	t.happen(e.From, "fault "+e.Code+" "+e.Message.String()+" "+procedure)
}

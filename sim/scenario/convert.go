package scenario

import (
	"strconv"
	"time"

	"github.com/frayrpc/fray/faults"
)

// OnHosts says whether the fault acts upon hosts at a time: the simulator's verbs. Other faults act
// upon messages: rules.
func (f *Fault) OnHosts() bool { return f.Match == nil && f.Action.OnHost() }

// Signal returns what the host of an injector announces when the event has come: the name of
// [faults.Rule]'s Event.
func (o *On) Signal() string { return o.Event + "." + strconv.Itoa(o.Nth) }

// Rule returns the fault as a rule. The hosts are those that the names in match and of the victim
// stand for; the injector's time starts at the start of the run. A window without an end goes on
// until the plan is cleared.
func (f *Fault) Rule(from, to faults.Hosts, victim string) faults.Rule {
	r := faults.Rule{ID: f.ID}
	_, action := f.Action.set()
	if a, ok := action.(interface {
		fault(victim string) faults.Action
	}); ok {
		r.Action = a.fault(victim)
	}
	if m := f.Match; m != nil {
		r.Side, r.Phase, r.Procedure = faults.Side(m.Side), faults.Phase(m.Phase), procedurePattern(m.Procedure)
		r.From, r.To = from, to
	}
	w := &f.When
	r.Probability = float64(w.Probability)
	r.After, r.Nth, r.Every, r.First = uint64(w.Skip), uint64(w.Nth), uint64(w.EveryNth), uint64(w.First) //nolint:gosec // Checked to be positive.
	if w.Window != nil {
		r.Window = faults.Window{From: time.Duration(w.Window.From), Until: time.Duration(w.Window.Until)}
	}
	if w.On != nil {
		r.Event = w.On.Signal()
	}
	return r
}

package timeline

import (
	"strings"
	"time"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// A fault is one of the scenario's.
type fault struct {
	index  int // from 1
	id     string
	rule   faults.Rule
	server bool
	// tints: it has hosts of its own to show, and no state of theirs shows it.
	tints bool
}

// loses says whether the fault keeps messages from arriving, outside of hosts.
func (f *fault) loses() bool {
	return !f.server && (f.rule.Action.Kind == faults.Drop || f.rule.Action.Kind == faults.Partition)
}

// A firing is one time that a fault acted upon a message.
type firing struct {
	fault    *fault
	at       time.Duration
	from, to string
	// Where it shows.
	host      string
	procedure string
}

// A span is a time in which a fault acts.
type span struct {
	fault *fault
	engine.Onset
}

// faultLog is what the faults of a run did.
type faultLog struct {
	faults  []*fault
	byID    map[string]*fault
	firings *kept[firing]
	spans   *kept[span]
}

func newFaultLog(s *scenario.Scenario) faultLog {
	log := faultLog{
		byID:    map[string]*fault{},
		firings: newKept(MaxFirings, func(f firing) time.Duration { return f.at }),
		spans:   newKept(MaxBands, func(s span) time.Duration { return s.From }),
	}
	for i := range s.Faults {
		f := &fault{index: i + 1, id: s.Faults[i].ID}
		var from, to faults.Hosts
		if m := s.Faults[i].Match; m != nil {
			from, to = faults.Hosts(m.From), faults.Hosts(m.To)
			f.server = m.Side == string(faults.Server) || faults.Phase(m.Phase).Side() == faults.Server
			for _, name := range m.From {
				f.tints = f.tints || s.Target(name) != nil
			}
		}
		f.rule = s.Faults[i].Rule(from, to, s.Faults[i].Action.Victim())
		f.tints = f.tints || f.rule.Action.Kind == faults.Partition
		log.faults = append(log.faults, f)
		log.byID[f.id] = f
	}
	return log
}

// fire takes in that a fault acts upon a message, and returns which; nil if the scenario has no
// such fault.
func (l *faultLog) fire(e *sim.Event) *fault {
	id, _, _ := strings.Cut(e.Fault, "..")
	f := l.byID[id]
	if f == nil {
		return nil
	}
	host := e.From
	if f.server {
		host = e.To
	}
	l.firings.add(firing{fault: f, at: e.Time, from: e.From, to: e.To, host: host, procedure: lastPart(e.Procedure)})
	return f
}

func (l *faultLog) begin(o engine.Onset) {
	if f := l.byID[o.Fault]; f != nil {
		l.spans.add(span{f, o})
	}
}

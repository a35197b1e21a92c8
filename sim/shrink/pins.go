package shrink

import (
	"fmt"
	"slices"
	"strings"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// maxPins is how many faults one fault becomes at most: more are left to chance.
const maxPins = 40

// Pins are what chance decided in a run. The zero value is ready to use.
type Pins struct {
	onsets []engine.Onset
	// Which of a rule's matches it acted upon.
	matches map[string][]uint64
}

// Begun is told of each fault that begins, as [engine.Options] has it.
func (p *Pins) Begun(o engine.Onset) { p.onsets = append(p.onsets, o) }

// Acted is told of each time that a rule acted, and upon which of its matches.
func (p *Pins) Acted(rule string, match uint64) {
	if p.matches == nil {
		p.matches = map[string][]uint64{}
	}
	p.matches[rule] = append(p.matches[rule], match)
}

// pin writes down what chance decided.
func (p *Pins) pin(s *scenario.Scenario) bool {
	var faults []scenario.Fault
	changed := false
	for i := range s.Faults {
		f := &s.Faults[i]
		pinned := p.fault(s, f)
		if len(pinned) == 0 || len(pinned) > maxPins {
			faults = append(faults, *f)
			continue
		}
		changed = true
		faults = append(faults, pinned...)
	}
	s.Faults = faults
	expectAnyFaults(s)
	unusedTargets(s)
	return changed
}

// Split returns a scenario in which a fault that acted several times in a run is as many faults, of
// which each acts once, in their order; nil if it is not, or too many. It expects any faults.
func (p *Pins) Split(s *scenario.Scenario, fault string) (split *scenario.Scenario, parts []string, err error) {
	split, err = Change(s, func(s *scenario.Scenario) bool {
		i := slices.IndexFunc(s.Faults, func(f scenario.Fault) bool { return f.ID == fault })
		if i < 0 {
			return false
		}
		pinned := p.fault(s, &s.Faults[i])
		if len(pinned) < 2 || len(pinned) > maxPins {
			return false
		}
		for j := range pinned {
			parts = append(parts, pinned[j].ID)
		}
		s.Faults = slices.Replace(s.Faults, i, i+1, pinned...)
		expectAnyFaults(s)
		unusedTargets(s)
		return true
	})
	return split, parts, err
}

// Without returns a scenario without one of its faults, and expects any of the others.
func Without(s *scenario.Scenario, fault string) (*scenario.Scenario, error) {
	return Change(s, func(s *scenario.Scenario) bool {
		n := len(s.Faults)
		s.Faults = slices.DeleteFunc(s.Faults, func(f scenario.Fault) bool { return f.ID == fault })
		expectAnyFaults(s)
		unusedTargets(s)
		return len(s.Faults) < n
	})
}

// expectAnyFaults has a scenario expect nothing of what its faults do.
func expectAnyFaults(s *scenario.Scenario) {
	s.Expect.FaultsFired = scenario.Names{"none"}
	s.Expect.Finally = slices.DeleteFunc(s.Expect.Finally, func(e scenario.Expression) bool { return strings.Contains(e.That, "faults") })
	if len(s.Expect.Finally) == 0 {
		s.Expect.Finally = nil
	}
	s.Expect.Sometimes = nil
}

// fault returns what a fault did as faults of their own; none: it is as it is.
func (p *Pins) fault(s *scenario.Scenario, f *scenario.Fault) (all []scenario.Fault) {
	target := s.TargetOf(f)
	if f.OnHosts() {
		if f.When.On == nil && f.When.Every == 0 && f.When.Probability == 1 && target == nil {
			return nil
		}
		for _, o := range p.onsets {
			if o.Fault != f.ID {
				continue
			}
			for _, host := range o.Hosts {
				one := *f
				one.ID = fmt.Sprintf("%s-%d", f.ID, len(all)+1)
				one.When = *scenario.Default[scenario.When]()
				one.When.At = scenario.Duration(o.From)
				one.Action = f.Action.Clone()
				one.Action.Aim(host)
				all = append(all, one)
			}
		}
		return all
	}
	w := &f.When
	if target != nil || w.Nth > 0 || w.Probability == 1 && w.EveryNth == 0 && w.First == 0 {
		return nil
	}
	for _, match := range p.matches[f.ID] {
		one := *f
		one.ID = fmt.Sprintf("%s-%d", f.ID, len(all)+1)
		one.When = *scenario.Default[scenario.When]()
		one.When.On, one.When.Window = w.On, w.Window
		one.When.Nth = int(match) //nolint:gosec // No run has that many messages.
		all = append(all, one)
	}
	return all
}

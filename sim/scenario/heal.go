package scenario

import (
	"slices"
	"time"
)

// HealAt returns when everything is put right: as the file says, or when the last fault that ends
// by itself has. Faults that do not end by themselves then go on.
func (s *Scenario) HealAt() time.Duration {
	if s.Heal != nil {
		return time.Duration(s.Heal.At)
	}
	var last time.Duration
	for i := range s.Faults {
		if end, ok := s.Faults[i].end(); ok {
			last = max(last, end)
		}
	}
	return last
}

// FirstFault returns the earliest time at which a fault can act; MaxDuration if there is none. One
// that waits for an event may act from the start, and so does a network that loses messages.
func (s *Scenario) FirstFault() time.Duration {
	if s.Topology.Network.Loss > 0 {
		return 0
	}
	first := MaxDuration
	for i := range s.Faults {
		start := s.Faults[i].Start()
		if s.Faults[i].When.On != nil {
			start = 0
		}
		first = min(first, start)
	}
	return first
}

// Heals says whether no fault acts any longer after HealAt.
func (s *Scenario) Heals() bool {
	switch {
	case s.Topology.Network.Loss > 0:
		return false
	case s.Heal != nil:
		return true
	}
	for i := range s.Faults {
		if _, ok := s.Faults[i].end(); !ok {
			return false
		}
	}
	// A fault may wait for a target that does what is asked for.
	return !slices.ContainsFunc(s.Targets, func(t Target) bool { return t.When != WhenAny })
}

// Start returns the earliest time at which the fault can act.
func (f *Fault) Start() time.Duration {
	start := time.Duration(f.When.At)
	if f.When.Window != nil {
		start = max(start, time.Duration(f.When.Window.From))
	}
	return start
}

// end returns when the fault is over at the latest, and false if it does not end by itself or
// nobody knows when.
func (f *Fault) end() (time.Duration, bool) {
	if f.When.On != nil {
		return 0, false
	}
	if h, ok := f.Action.onHost(); ok {
		if _, ends := h.lasts(); !ends {
			return 0, false
		}
	}
	last := time.Duration(f.When.At)
	switch {
	case f.When.Window != nil && f.When.Window.Until > 0:
		last = time.Duration(f.When.Window.Until)
	case !f.OnHosts() || f.When.Every > 0:
		return 0, false
	}
	return last + f.Action.Lasts(), true
}

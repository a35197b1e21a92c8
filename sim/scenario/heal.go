package scenario

import "time"

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

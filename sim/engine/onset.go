package engine

import "time"

// An Onset is a fault that begins to act.
type Onset struct {
	// Fault is its id.
	Fault string `json:"fault"`
	// Hosts are those that it strikes, and of a fault on messages those of its match's from; nil:
	// all.
	Hosts []string `json:"hosts,omitempty"`
	// From is when it begins, from the start of the run, which may be yet to come. Until is when it
	// ends by itself, unless everything is put right before; 0: it does not.
	From  time.Duration `json:"from_ns"`
	Until time.Duration `json:"until_ns,omitempty"`
}

// announce tells the options of a fault that acts from now on.
func (e *Run) announce(o Onset) {
	if e.options.OnFault != nil {
		e.options.OnFault(o)
	}
}

// onset returns that of a fault on messages whose times count from then.
func (s *strike) onset(hosts []string, then time.Duration) Onset {
	o := Onset{Fault: s.ID, Hosts: hosts, From: then + s.Start()}
	if w := s.When.Window; w != nil && w.Until > 0 {
		o.Until = then + time.Duration(w.Until)
	}
	return o
}

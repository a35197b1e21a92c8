package wall

import (
	"time"

	"github.com/frayrpc/fray/faults"
)

// A Rule is one of a run's plan, which is given to processes that may start anew in the middle of it.
type Rule struct {
	faults.Rule

	// come says since when its event has been there, if it has.
	come  bool
	since time.Duration
}

// Signal notes that an event has come, at a time of the run.
func (r *Rule) Signal(event string, elapsed time.Duration) {
	if r.Event == event {
		r.come, r.since = true, elapsed
	}
}

// Rest returns the rule as it is in force from a time of the run on where it has acted so often
// already, which may be in the middle of its window and of its numbers, and false if it is over.
func (r *Rule) Rest(elapsed time.Duration, acted uint64) (faults.Rule, bool) {
	rest := r.Rule
	if rest.Event != "" {
		if !r.come {
			return rest, true
		}
		rest.Event, elapsed = "", elapsed-r.since
	}
	if w := &rest.Window; w.Until > 0 {
		if w.Until <= elapsed {
			return rest, false
		}
		w.Until -= elapsed
	}
	rest.Window.From = max(0, rest.Window.From-elapsed)
	if most := r.Most(); most > 0 {
		if acted >= most {
			return rest, false
		}
		if rest.First > 0 {
			rest.First -= acted
		}
	}
	return rest, true
}

// Most returns how often the rule may act; 0: there is no limit.
func (r *Rule) Most() uint64 {
	if r.Nth > 0 {
		return 1
	}
	return r.First
}

package faults

import (
	"slices"
	"time"
)

// A Wait is what a segment has to wait for. The zero value is nothing.
type Wait struct {
	plan  *activePlan
	until time.Time
	holds []held
}

// held is a hold that keeps a segment.
type held struct {
	released <-chan struct{}
	until    time.Time
}

// Over says whether there is nothing left to wait for. That changes when time comes to
// [Wait.Until], or before, of which [Config].OnRelease is told.
func (w *Wait) Over() bool {
	if w.plan == nil || w.plan.over() {
		return true
	}
	now := time.Now()
	return !now.Before(w.until) && !slices.ContainsFunc(w.holds, func(h held) bool {
		select {
		case <-h.released:
			return false
		default:
			return now.Before(h.until)
		}
	})
}

// Until returns when there is nothing left to wait for at the latest.
func (w *Wait) Until() time.Time {
	until := w.until
	for _, h := range w.holds {
		if h.until.After(until) {
			until = h.until
		}
	}
	return until
}

package check

import (
	"cmp"
	"math"
	"sync"
	"time"
)

// DefaultKeep is how many events a History keeps by default.
const DefaultKeep = 1 << 18

// HistoryConfig says how a History tells the time and what it keeps.
type HistoryConfig struct {
	// Clock returns the time since the history began. Nil: time.Since its creation, which is
	// virtual in a synctest bubble.
	Clock func() time.Duration
	// Observe is given every event, in order and one at a time, while the history is locked: it
	// must neither block nor call the history. It may keep what it is given, and must not change
	// it. Usually that of Oracles. Nil: nobody is.
	Observe func(e *Event)
	// Keep is how many of the last events stay readable. 0: DefaultKeep; negative: all.
	Keep int
}

// History is the list of what clients and workers saw, in the order in which they saw it. It is
// safe for concurrent use.
type History struct {
	cfg HistoryConfig

	mu     sync.Mutex
	events []*Event
	seq    uint64
	calls  uint64
	at     time.Duration // of the last event, so that time never runs backwards in the order of events
}

// NewHistory returns an empty history that begins now.
func NewHistory(cfg HistoryConfig) *History {
	if cfg.Clock == nil {
		start := time.Now()
		cfg.Clock = func() time.Duration { return time.Since(start) }
	}
	cfg.Keep = cmp.Or(cfg.Keep, DefaultKeep)
	return &History{cfg: cfg}
}

// Now returns the time since the history began.
func (h *History) Now() time.Duration { return h.cfg.Clock() }

// Len returns how many events there have been.
func (h *History) Len() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seq
}

// Still calls f while no event is added, so that it can ask Oracles that observe the history. It
// must not call the history.
func (h *History) Still(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// Events returns a copy of the events that are kept.
func (h *History) Events() []Event { return h.Last(math.MaxInt) }

// Last returns a copy of the last n events, or of as many as are kept.
func (h *History) Last(n int) []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := h.kept()
	kept = kept[max(0, len(kept)-n):]
	events := make([]Event, len(kept))
	for i, e := range kept {
		events[i] = *e
	}
	return events
}

// Task returns a copy of the events of one task that are kept: what led to a violation.
func (h *History) Task(id string) []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []Event
	for _, e := range h.kept() {
		if e.Task == id {
			found = append(found, *e)
		}
	}
	return found
}

// Crash notes that the controller's process died, or ended: what it did not keep is gone.
func (h *History) Crash(host string) { h.Add(Event{Kind: ControllerCrash, Host: host}) }

// Heal notes that from now on there are no faults: liveness counts from here.
func (h *History) Heal() { h.Add(Event{Kind: Heal}) }

// Quiesce notes that nothing is asked for any longer but how things stand: what clients read after
// this is the closing audit.
func (h *History) Quiesce() { h.Add(Event{Kind: Quiescent}) }

// Add appends events, which get their Seq and At from the history. Recorders do it for all that
// clients and workers see. The events belong to the history from then on.
func (h *History) Add(events ...Event) {
	if len(events) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = max(h.at, h.cfg.Clock())
	for i := range events {
		e := &events[i]
		if !e.Kind.Reply() {
			e.Invoked, e.InvokedAt = h.seq, h.at
		}
		h.seq++
		e.Seq, e.At = h.seq, h.at
		h.events = append(h.events, e)
		if h.cfg.Observe != nil {
			h.cfg.Observe(e)
		}
	}
	// Dropped a half at a time, so that an event costs nothing to drop.
	if keep := h.cfg.Keep; keep > 0 && len(h.events) > 2*keep {
		n := copy(h.events, h.events[len(h.events)-keep:])
		clear(h.events[n:])
		h.events = h.events[:n]
	}
}

func (h *History) kept() []*Event {
	if keep := h.cfg.Keep; keep > 0 && len(h.events) > keep {
		return h.events[len(h.events)-keep:]
	}
	return h.events
}

// instant is a place in a history: all events up to seq had happened.
type instant struct {
	seq uint64
	at  time.Duration
}

// Begin implements Log.
func (h *History) Begin() (seq uint64, at time.Duration, call uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = max(h.at, h.cfg.Clock())
	h.calls++
	return h.seq, h.at, h.calls
}

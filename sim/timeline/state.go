package timeline

import (
	"time"

	"github.com/frayrpc/fray/sim"
)

// What keeps a host from its work, as a page has it.
const (
	stateDown   = "down"   // it crashed
	statePaused = "paused" // it stands still
	stateOver   = "over"   // its software has returned, or not started yet
)

// A state is a time in which a host does not work.
type state struct {
	host, kind, why string
	from            time.Duration
	until           time.Duration // below 0: it goes on to the end
}

// states follows hosts down and up again.
type states struct {
	kept *kept[*state]
	open map[string]*state // by host and kind
	seen map[string]bool   // hosts that have started
}

func newStates() states {
	return states{kept: newKept(MaxBands, func(s *state) time.Duration { return s.from }), open: map[string]*state{}, seen: map[string]bool{}}
}

// take takes in what happens to a host.
func (s *states) take(e *sim.Event) {
	switch e.Kind {
	case sim.EventCrash:
		s.close(e, statePaused)
		s.close(e, stateOver)
		s.begin(e, stateDown, e.Code)
	case sim.EventExit:
		s.begin(e, stateOver, e.Code)
	case sim.EventPause, sim.EventSuspend:
		s.begin(e, statePaused, "")
	case sim.EventResume:
		s.close(e, statePaused)
	case sim.EventStart:
		if !s.seen[e.From] && e.Time > 0 {
			s.kept.add(&state{host: e.From, kind: stateOver, until: e.Time})
		}
		s.seen[e.From] = true
		s.close(e, stateDown)
		s.close(e, stateOver)
	default:
	}
}

func (s *states) begin(e *sim.Event, kind, why string) {
	if s.open[kind+e.From] != nil {
		return
	}
	begun := &state{host: e.From, kind: kind, why: why, from: e.Time, until: -1}
	s.open[kind+e.From] = begun
	s.kept.add(begun)
}

func (s *states) close(e *sim.Event, kind string) {
	if open := s.open[kind+e.From]; open != nil {
		open.until = e.Time
		delete(s.open, kind+e.From)
	}
}

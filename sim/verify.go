package sim

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/frayrpc/fray/sim/order"
)

// Scenario builds and drives a simulation. What it returns is the outcome of the run, which is
// compared too.
type Scenario func(s *Sim) error

// Bubble runs a function in a testing/synctest bubble of its own and returns when all goroutines in
// it have ended. Package sim/bubble has two.
type Bubble func(f func()) error

// maxVerified bounds how many events of each run Verify keeps to name the first that differs. What
// follows is compared by hash alone.
const maxVerified = 1 << 20

// Replay is one run of a scenario.
type Replay struct {
	Procs int // GOMAXPROCS
	Hash  uint64
	Stats Stats
	// Err is what the scenario returned, and after it what Close did.
	Err error
}

// A DivergenceError says that two runs of one seed differed.
type DivergenceError struct {
	Seed          uint64
	First, Second Replay
	// Index is the number of the first event that differs, from 0, and Want and Got are what it was
	// in each run: nil if it had ended. Before are the events that lead there. Index is -1 if only
	// the outcome differs, or an event past those that are kept.
	Index     int
	Want, Got *Event
	Before    []Event
}

// Error implements error.
func (e *DivergenceError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d is not deterministic: hash %016x with GOMAXPROCS=%d, %016x with %d",
		e.Seed, e.First.Hash, e.First.Procs, e.Second.Hash, e.Second.Procs)
	if e.Index < 0 {
		fmt.Fprintf(&b, "; outcomes: %v; %v", e.First.Err, e.Second.Err)
		return b.String()
	}
	fmt.Fprintf(&b, "; event %d differs", e.Index)
	for _, event := range e.Before {
		fmt.Fprintf(&b, "\n  %s", event)
	}
	for _, side := range []struct {
		mark  string
		event *Event
	}{{"-", e.Want}, {"+", e.Got}} {
		if side.event == nil {
			fmt.Fprintf(&b, "\n%s the end", side.mark)
		} else {
			fmt.Fprintf(&b, "\n%s %s", side.mark, side.event)
		}
	}
	return b.String()
}

// Verify runs a scenario once for each of procs with that GOMAXPROCS, or with 1 and with as many as
// there are if there are none, each in a bubble, and compares the traces. Where goroutines follow the
// seed, a run goes before these, for what a program does only the first time. It returns the first run,
// and a *DivergenceError, or an error of the bubble. What the scenario itself finds wrong is in
// Replay.Err and is no error of Verify.
func Verify(bubble Bubble, cfg Config, scenario Scenario, procs ...int) (Replay, error) {
	if len(procs) == 0 {
		procs = []int{1, runtime.NumCPU()}
	}
	if order.Followed() && len(procs) > 1 {
		// What a program does only the first time, such as filling caches, moves its later draws.
		if _, _, err := record(bubble, cfg, scenario, procs[0]); err != nil {
			return Replay{}, err
		}
	}
	first, want, err := record(bubble, cfg, scenario, procs[0])
	if err != nil {
		return first, err
	}
	for _, n := range procs[1:] {
		next, got, err := record(bubble, cfg, scenario, n)
		if err != nil {
			return first, err
		}
		if next.Hash != first.Hash || message(next.Err) != message(first.Err) {
			return first, diverge(cfg.Seed, first, next, want, got)
		}
	}
	return first, nil
}

// record runs a scenario once and returns its first maxVerified events.
func record(bubble Bubble, cfg Config, scenario Scenario, procs int) (Replay, []Event, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	replay := Replay{Procs: procs}
	var events []Event
	observe := cfg.OnEvent
	cfg.OnEvent = func(e Event) {
		if len(events) < maxVerified {
			events = append(events, e)
		}
		if observe != nil {
			observe(e)
		}
	}
	err := bubble(func() {
		runtime.GOMAXPROCS(procs) // Whatever the bubble's keeper thinks.
		s := New(cfg)
		defer func() {
			replay.Hash, replay.Stats = s.Hash(), s.Stats()
			kept := len(events)
			replay.Err = errors.Join(replay.Err, s.Close())
			events = events[:min(kept, len(events))]
		}()
		replay.Err = scenario(s)
	})
	var leak *LeakError
	if errors.As(replay.Err, &leak) {
		err = nil // Which is why the bubble could not end.
	}
	return replay, events, err
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// contextEvents is how many events before a difference are shown.
const contextEvents = 5

func diverge(seed uint64, first, second Replay, want, got []Event) *DivergenceError {
	d := &DivergenceError{Seed: seed, First: first, Second: second, Index: -1}
	for i := range max(len(want), len(got)) {
		switch {
		case i < len(want) && i < len(got) && want[i] == got[i]:
			continue
		case i < len(want) && i < len(got):
			d.Want, d.Got = &want[i], &got[i]
		case i < len(want):
			d.Want = &want[i]
		default:
			d.Got = &got[i]
		}
		d.Index = i
		d.Before = want[max(0, i-contextEvents):i]
		break
	}
	return d
}

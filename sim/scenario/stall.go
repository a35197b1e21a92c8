package scenario

import (
	"context"
	"time"

	"github.com/frayrpc/fray/sim"
)

// stopGrace is how much real time a run may take to end when its context has.
const stopGrace = 2 * time.Second

// watch has Options.OnStall told of a run that goes no further. It returns what the simulation is to be given, or nil if nobody wants
// to know, and what to call in the end.
func (e *engine) watch(ctx context.Context) (w *sim.Watchdog, release func()) {
	if e.options.OnStall == nil {
		return nil, func() {}
	}
	w = sim.NewWatchdog(e.options.Stall, func(s sim.Stall) { e.options.OnStall(e.stalled(s, VerdictStalled)) })
	stopping := context.AfterFunc(ctx, func() {
		time.AfterFunc(stopGrace, func() {
			if !w.Closed() {
				e.options.OnStall(e.stalled(w.Look(), VerdictInterrupted))
			}
		})
	})
	return w, func() {
		stopping()
		w.Close()
	}
}

// stalled is the result of a run that is not over, of which nothing else can be told: its goroutines go on.
func (e *engine) stalled(s sim.Stall, verdict string) *Result {
	return &Result{
		Scenario: e.Metadata.Name, Summary: e.Metadata.Summary, Seed: e.seed, Verdict: verdict, Text: s.String(),
		Virtual: s.Elapsed, Stats: sim.Stats{Steps: int(s.Steps)},
	}
}

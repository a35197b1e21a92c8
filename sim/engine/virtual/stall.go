package virtual

import (
	"context"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// stopGrace is how much real time a run may take to end when its context has.
const stopGrace = 2 * time.Second

// watch has Options.OnStall told of a run that goes no further. It returns what the simulation is
// to be given, or nil if nobody wants to know, and what to call in the end.
func watch(ctx context.Context, run *engine.Run, o *Options) (w *sim.Watchdog, release func()) {
	if o.OnStall == nil {
		return nil, func() {}
	}
	w = sim.NewWatchdog(o.Stall, func(s sim.Stall) { o.OnStall(run.Stalled(s, scenario.VerdictStalled)) })
	stopping := context.AfterFunc(ctx, func() {
		time.AfterFunc(stopGrace, func() {
			if !w.Closed() {
				o.OnStall(run.Stalled(w.Look(), scenario.VerdictInterrupted))
			}
		})
	})
	return w, func() {
		stopping()
		w.Close()
	}
}

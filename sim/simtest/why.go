package simtest

import (
	"context"
	"fmt"
	"os"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
	"github.com/frayrpc/fray/sim/story"
)

// why returns what a run that failed rests on; nil: it passed, or nothing tells, which the standard
// error has.
func (a *App) why(ctx context.Context, failed *engine.Result, rec *recording, s *scenario.Scenario, o *runOptions) *story.Why {
	if failed.Passed() {
		fmt.Fprintf(a.Stderr, "%s: --why is for a run that fails, and this one passes\n", a.name())
		return nil
	}
	run := func(ctx context.Context, s *scenario.Scenario, seed uint64, r *story.Recorder) (*engine.Result, error) {
		options := virtual.Options{Stall: o.stall, OnStall: func(stalled *engine.Result) {
			fmt.Fprintf(a.Stderr, "%s: --why: another run that was to be compared stalled: %s\n", a.name(), stalled.Text)
			os.Exit(failed.ExitCode())
		}}
		if o.stall == 0 {
			options.Stall = -1
		}
		r.Listen(&options)
		return virtual.Run(ctx, a.program.Subject, s, seed, options)
	}
	why, err := story.Find(ctx, s, failed.Seed, failed, rec.story, run)
	if err != nil {
		fmt.Fprintf(a.Stderr, "%s: --why: %v\n", a.name(), err)
		return nil
	}
	return why
}

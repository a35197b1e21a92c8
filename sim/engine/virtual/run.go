package virtual

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// Options are what a run can be given besides its scenario and seed. The zero value is ready to
// use.
type Options struct {
	engine.Options

	// Bubble makes the bubbles that runs live in. Nil: bubble.Run, which is not for tests; those
	// give bubble.In(t).
	Bubble sim.Bubble
	// Trace is written each event of the simulation, as one line of JSON. Nil: nobody.
	Trace io.Writer
	// OnEvent is told of each event of the simulation until the run is over, on the goroutine that
	// steps. Nil: nobody.
	OnEvent func(sim.Event)
	// Name is what a panic of a goroutine of the run names it, as [sim.Config] has it. "": it does
	// not.
	Name string
	// OnStall is told of a run that goes no further in real time for so long as Stall says, as
	// [sim.NewWatchdog] has it: of its name, seed and virtual time, and of what is in the way.
	// Nothing can end such a run but the end of the process. It is called on a goroutine of its
	// own. Nil: nobody watches. A run that ctx was to end is told of in the same way, once it has
	// not ended stopGrace later.
	OnStall func(*engine.Result)
	Stall   time.Duration
}

// bubble returns what makes the bubbles of the runs.
func (o *Options) bubble() sim.Bubble {
	if o.Bubble == nil {
		return bubble.Run
	}
	return o.Bubble
}

// Run runs a scenario of a subject under one seed, in virtual time. What goes wrong
// within the run is the result's verdict; an error says that there was no run, or that ctx ended
// it. In the latter case the result is what had come of it by then.
func Run(ctx context.Context, of *engine.Subject, s *scenario.Scenario, seed uint64, options Options) (*engine.Result, error) {
	e, err := engine.New(ctx, of, s, seed, options.Options, scenario.BackendSim)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	watchdog, release := watch(ctx, e, &options)
	defer release()
	err = options.bubble()(func() {
		v := &virtual{run: e, options: &options}
		config := configOf(e, v.onEvent)
		config.Watchdog, config.Name = watchdog, options.Name
		simulation := sim.New(config)
		v.begin(simulation)
		_ = e.Drive(v)
		e.Closed(simulation.Close())
	})
	result := e.Judge(err)
	result.Wall = time.Since(began)
	if ctx.Err() != nil {
		if result.Verdict == scenario.VerdictPass {
			result.Verdict = scenario.VerdictInterrupted
		}
		return result, fmt.Errorf("run scenario: %w", context.Cause(ctx))
	}
	return result, nil
}

// Verify runs a scenario once for each number of processors, by default one and as many as there
// are, and compares the traces. It returns the result of the first run, whose verdict becomes
// nondeterminism if another differs from it. Only the first run is traced and told of to the
// functions of the options.
func Verify(ctx context.Context, of *engine.Subject, s *scenario.Scenario, seed uint64, options Options, procs ...int) (*engine.Result, error) {
	first, err := engine.New(ctx, of, s, seed, options.Options, scenario.BackendSim)
	if err != nil {
		return nil, err
	}
	var current *virtual
	config := configOf(first, func(event sim.Event) { current.onEvent(event) })
	watchdog, release := watch(ctx, first, &options)
	defer release()
	config.Watchdog, config.Name = watchdog, options.Name
	began := time.Now()
	replay, err := sim.Verify(options.bubble(), config, func(simulation *sim.Sim) error {
		if current == nil {
			current = &virtual{run: first, options: &options}
		} else {
			again := options
			again.OnEvent, again.OnFault, again.Observe, again.Trace = nil, nil, nil, nil
			other, err := engine.New(ctx, of, s, seed, again.Options, scenario.BackendSim)
			if err != nil {
				return err
			}
			current = &virtual{run: other, options: &again}
		}
		current.begin(simulation)
		return current.run.Drive(current)
	}, procs...)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("verify scenario: %w", context.Cause(ctx))
	}
	var diverged *sim.DivergenceError
	var leak *sim.LeakError
	if errors.As(replay.Err, &leak) {
		first.Closed(leak)
	}
	if errors.As(err, &diverged) {
		err = nil
	}
	result := first.Judge(err)
	if diverged != nil {
		result.Verdict, result.Broken, result.Text = scenario.VerdictNondeterminism, "determinism", diverged.Error()
	}
	result.Verified = true
	result.Wall = time.Since(began)
	return result, nil
}

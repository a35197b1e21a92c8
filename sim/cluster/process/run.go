package process

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// DefaultMaxWall is how long a run takes at most unless its Config says otherwise.
const DefaultMaxWall = 5 * time.Minute

// busyMachine is how long a message may be on its way because the machine is busy.
const busyMachine = time.Second

// Config says what processes are started from. Fray and Worker are required.
type Config struct {
	// Fray is the fray command.
	Fray string
	// Worker is the command line of a program that calls [Work] with descriptor 3, and ends when it
	// returns.
	Worker []string
	// Environ is the environment of all processes.
	Environ []string
	// MTLS has all of them speak TLS, and show certificates of an authority of the run.
	MTLS bool
	// MaxWall is how long a run may take. 0: DefaultMaxWall.
	MaxWall time.Duration
}

// Run runs a scenario under one seed. An error is a [*scenario.UnsuitableError] if the scenario
// asks for what processes cannot do. Otherwise it says that there was no run, or that ctx ended it.
// Several runs may go on at once.
func Run(ctx context.Context, s *scenario.Scenario, seed uint64, options system.Options, config Config) (*engine.Result, error) {
	if config.Fray == "" || len(config.Worker) == 0 {
		return nil, errors.New("run scenario on processes: neither the fray command nor the worker may be missing")
	}
	config.MaxWall = cmp.Or(config.MaxWall, DefaultMaxWall)
	if err := Suitable(s, config.MaxWall); err != nil {
		return nil, err
	}
	options.MaxTime, options.Busy = config.MaxWall, busyMachine
	return engine.RunOn(ctx, system.Subject(options), s, seed, options.Options.Options, scenario.BackendProcess,
		func(run *engine.Run) (engine.Backend, func() error, error) {
			stage, err := open(ctx, run, config)
			if err != nil {
				return nil, nil, err
			}
			return stage, stage.close, nil
		})
}

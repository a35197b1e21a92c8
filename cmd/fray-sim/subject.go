package main

import (
	"fmt"
	"strings"

	"github.com/frayrpc/fray/sim/chaos"
	"github.com/frayrpc/fray/sim/scenario"
)

// A subject is what seeds are run of: one scenario under each, or a scenario of each seed's own.
type subject struct {
	// called is what the user calls it, and name what it calls itself.
	called, name string
	// args are those of the command line that name it.
	args []string
	// first is the seed that is run when none is asked for.
	first uint64
	// of returns the scenario of a seed.
	of func(seed uint64) *scenario.Scenario
}

// named returns the subject that is one scenario, which the user called so.
func named(called string) (*subject, error) {
	s, err := load(called)
	if err != nil {
		return nil, err
	}
	return &subject{
		called: called, name: s.Metadata.Name, args: []string{"--scenario", called}, first: s.Run.Seeds.First,
		of: func(uint64) *scenario.Scenario { return s },
	}, nil
}

// drawn returns the subject whose scenarios are random.
func drawn(backend string) *subject {
	return &subject{
		called: chaosCommand, name: chaosCommand, args: []string{chaosCommand}, first: 1,
		of: func(seed uint64) *scenario.Scenario {
			return chaos.Draw(seed, chaos.Options{Backend: backend})
		},
	}
}

// nameOf returns the name of the scenario of a seed.
func (s *subject) nameOf(seed uint64) string { return s.of(seed).Metadata.Name }

// command is the command line that runs a seed, in virtual time.
func (s *subject) command(seed uint64) string {
	return fmt.Sprintf("fray-sim %s --seed %d", strings.Join(s.args, " "), seed)
}

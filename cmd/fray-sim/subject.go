package main

import (
	"github.com/frayrpc/fray/sim/chaos"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/report"
	"github.com/frayrpc/fray/sim/scenario"
)

// A subject is what seeds are run of: one scenario under each, or a scenario of each seed's own.
type subject struct {
	report.Subject

	// first is the seed that is run when none is asked for.
	first uint64
	// of returns the scenario of a seed.
	of func(seed uint64) *scenario.Scenario
}

// fray is what every subject is about.
var fray = system.Subject(system.Options{})

// named returns the subject that is one scenario, which the user called so.
func named(called string) (*subject, error) {
	s, err := load(called)
	if err != nil {
		return nil, err
	}
	return &subject{
		Subject: report.Subject{Tell: fray.Tell, Sum: fray.Sum, Called: called, Name: s.Metadata.Name, Args: []string{"--scenario", called}},
		first:   s.Run.Seeds.First,
		of:      func(uint64) *scenario.Scenario { return s },
	}, nil
}

// drawn returns the subject whose scenarios are random.
func drawn(backend string) *subject {
	return &subject{
		Subject: report.Subject{Tell: fray.Tell, Sum: fray.Sum, Called: chaosCommand, Name: chaosCommand, Args: []string{chaosCommand}},
		first:   1,
		of: func(seed uint64) *scenario.Scenario {
			return chaos.Draw(seed, chaos.Options{Backend: backend})
		},
	}
}

// nameOf returns the name of the scenario of a seed.
func (s *subject) nameOf(seed uint64) string { return s.of(seed).Metadata.Name }

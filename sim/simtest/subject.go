package simtest

import (
	"strings"
	"time"

	"github.com/frayrpc/fray/sim/chaos"
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

// called returns what reports say of a subject.
func (a *App) called(called, name string, args ...string) report.Subject {
	of := a.program.Subject
	return report.Subject{Called: called, Name: name, Args: args, Program: a.name(), Tell: of.Tell, Sum: of.Sum}
}

// named returns the subject that is one scenario, which the user called so.
func (a *App) named(called string) (*subject, error) {
	s, err := a.load(called)
	if err != nil {
		return nil, err
	}
	return &subject{
		Subject: a.called(called, s.Metadata.Name, "--scenario", called),
		first:   s.Run.Seeds.First,
		of:      func(uint64) *scenario.Scenario { return s },
	}, nil
}

// nameOf returns the name of the scenario of a seed.
func (s *subject) nameOf(seed uint64) string { return s.of(seed).Metadata.Name }

// drawn returns the subject whose scenarios are random: the program's own, or a scenario with
// faults of each seed's own. The first seed is told whether that can be.
func (a *App) drawn(o *chaosOptions) (*subject, error) {
	if o.scenario == "" && a.program.Draw != nil {
		return &subject{
			Subject: a.called(chaosCommand, chaosCommand, chaosCommand),
			first:   1,
			of:      func(seed uint64) *scenario.Scenario { return a.program.Draw(seed, o.place.name) },
		}, nil
	}
	if o.span < time.Second || o.span > maxStall {
		return nil, Invalid("--span %v is not between %v and %v", o.span, time.Second, maxStall)
	}
	base, err := a.load(o.scenario)
	if err != nil {
		return nil, err
	}
	args := []string{chaosCommand, "--scenario", o.scenario}
	if len(o.kinds) > 0 {
		args = append(args, "--faults", strings.Join(o.kinds, ","))
	}
	if o.span != chaos.DefaultSpan {
		args = append(args, "--span", o.span.String())
	}
	draw := func(seed uint64) (*scenario.Scenario, error) {
		return chaos.Draw(base, seed, chaos.Options{Kinds: o.kinds, Span: o.span})
	}
	if _, err := draw(1); err != nil {
		return nil, asInvalid(err)
	}
	return &subject{
		Subject: a.called(chaosCommand+" of "+o.scenario, base.Metadata.Name+"-"+chaosCommand, args...),
		first:   1,
		of: func(seed uint64) *scenario.Scenario {
			s, err := draw(seed)
			if err != nil {
				panic(err) // The first one could be drawn: what differs is chance.
			}
			return s
		},
	}, nil
}

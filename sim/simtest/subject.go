package simtest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/frayrpc/fray/internal/chance"
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
	if v := a.program.Variant; v != nil {
		args = append(args, v.Args()...)
	}
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

// A drawing is how random scenarios are drawn, and the command line that does it.
type drawing struct {
	report.Subject

	// parts are those that any of the scenarios has.
	parts []string
	draw  func(v chaos.Variation) (*scenario.Scenario, error)
}

// drawing returns how the program's own random scenarios are drawn, or a scenario with random faults.
// The scenario of the first seed is told whether that can be.
func (a *App) drawing(o *chaosOptions) (*drawing, error) {
	if o.scenario == "" && a.program.Draw != nil {
		return &drawing{
			Subject: a.called(chaosCommand, chaosCommand, chaosCommand), parts: a.program.Parts,
			draw: func(v chaos.Variation) (*scenario.Scenario, error) { return a.vary(a.program.Draw(v, o.place.name)) },
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
	draw := func(v chaos.Variation) (*scenario.Scenario, error) {
		return chaos.Draw(base, v.Seed, chaos.Options{Kinds: o.kinds, Span: o.span, Redraw: v.Redraw})
	}
	if _, err := draw(chaos.Variation{Seed: firstDrawn}); err != nil {
		return nil, asInvalid(err)
	}
	return &drawing{
		Subject: a.called(chaosCommand+" of "+o.scenario, base.Metadata.Name+"-"+chaosCommand, args...),
		parts:   []string{chaos.PartFaults}, draw: draw,
	}, nil
}

// firstDrawn is the first seed of random scenarios.
const firstDrawn = 1

// varied returns what reports say of scenarios of which parts are redrawn.
func (d *drawing) varied(redraw chaos.Redraw) report.Subject {
	of := d.Subject
	if len(redraw) > 0 {
		of.Args = append(slices.Clone(of.Args), "--"+redrawFlag, redraw.String())
	}
	return of
}

// digest stands for a scenario and the seed that it is to run under, whatever it is called.
func (d *drawing) digest(v chaos.Variation) uint64 {
	called := v.String()
	if s, err := d.draw(v); err == nil {
		s.Metadata.Name = ""
		if text, err := s.Marshal(); err == nil {
			called = strconv.FormatUint(v.Seed, 10) + string(text)
		}
	}
	return chance.Hash(chance.HashBasis, called)
}

// drawn returns the subject whose scenarios are random. The one of the seed that is asked for is told
// whether it has the parts that are redrawn.
func (a *App) drawn(o *chaosOptions) (*subject, error) {
	d, err := a.drawing(o)
	if err != nil {
		return nil, err
	}
	redraw, err := chaos.ParseRedraw(o.redraw)
	if err != nil {
		return nil, Invalid("--%s: %w", redrawFlag, err)
	}
	if len(redraw) > 0 {
		if o.seeds != "" || o.lasts > 0 {
			return nil, Invalid("--%s is for one seed: pass --seed", redrawFlag)
		}
		v := chaos.Variation{Seed: firstDrawn, Redraw: redraw}
		if seed, err := strconv.ParseUint(o.seed, 10, 64); err == nil {
			v.Seed = seed
		}
		if _, err := d.draw(v); err != nil {
			return nil, Invalid("--%s: seed %d: %w", redrawFlag, v.Seed, err)
		}
	}
	return &subject{
		Subject: d.varied(redraw),
		first:   firstDrawn,
		of: func(seed uint64) *scenario.Scenario {
			s, err := d.draw(chaos.Variation{Seed: seed, Redraw: redraw})
			if err != nil {
				panic(err) // The first one could be drawn: what differs is chance.
			}
			return s
		},
	}, nil
}

package shrink

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"time"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// A Runner runs a scenario under the seed that is shrunk for. It tells acted of each time that a
// rule acted, as [engine.Options] has it, and begun of each fault that begins.
type Runner func(ctx context.Context, s *scenario.Scenario, begun func(engine.Onset), acted func(rule string, match uint64)) (*engine.Result, error)

// Options say how long to go on, and whom to tell.
type Options struct {
	// Limit is how much real time it may take. 0: DefaultLimit.
	Limit time.Duration
	// Progress is told of each run: how many there were, what was tried, and whether the scenario got
	// smaller by it. Nil: nobody.
	Progress func(runs int, what string, smaller bool)
}

// DefaultLimit is how much real time it may take unless Options say otherwise.
const DefaultLimit = time.Minute

// lastGo is the time for what is tried when all else is done.
const lastGo = time.Second

// ErrPasses is returned for a scenario that does not fail under the seed.
var ErrPasses = errors.New("the scenario does not fail under this seed: there is nothing to shrink")

// A Result is a scenario that fails as another does.
type Result struct {
	// Scenario fails under the seed, and Run is how.
	Scenario *scenario.Scenario
	Run      *engine.Result
	// Runs is how many runs it took, and Done says that nothing more that was tried could be taken
	// away; otherwise the time was over.
	Runs int
	Done bool
	// Faults and Lines tell the sizes of both, in faults and in lines of YAML.
	Faults, Lines [2]int
}

// Shrink shrinks a scenario that fails under a seed, which the runner runs it under. An outcome that the scenario expects counts as
// a failure. When ctx ends it, what was found by then is returned.
func Shrink(ctx context.Context, s *scenario.Scenario, seed uint64, run Runner, o Options) (*Result, error) {
	k := &shrinker{run: run, options: o, until: time.Now().Add(cmp.Or(o.Limit, DefaultLimit))}
	start, err := Change(s, func(c *scenario.Scenario) bool {
		c.Expect.Outcome = scenario.Outcome{Verdict: scenario.VerdictPass}
		c.Run.Seeds, c.Run.Verify = scenario.Seeds{First: seed, Last: seed}, scenario.Default[scenario.RunConfig]().Verify
		return true
	})
	if err != nil {
		return nil, err
	}
	k.now = start
	pins := &Pins{}
	first, err := k.run(ctx, start, pins.Begun, pins.Acted)
	if err != nil {
		return nil, err
	}
	k.runs = 1
	switch first.Verdict {
	case scenario.VerdictPass:
		return nil, ErrPasses
	case scenario.VerdictInvariant, scenario.VerdictLiveness, scenario.VerdictStalled:
	default:
		return nil, fmt.Errorf("a run that ends with %s cannot be shrunk: %s", first.Verdict, first.Text)
	}
	k.best = first
	r := &Result{}
	r.Faults[0], r.Lines[0] = len(start.Faults), lines(start)
	k.try(ctx, "what chance decided is written down", pins.pin)
	for {
		before := k.smaller
		k.round(ctx)
		if k.over(ctx) {
			break
		}
		if k.smaller == before {
			r.Done = true
			break
		}
	}
	k.until = time.Now().Add(lastGo)
	k.try(ctx, "run", func(s *scenario.Scenario) bool {
		usual := scenario.Default[scenario.RunConfig]()
		usual.Seeds = s.Run.Seeds
		s.Run = *usual
		return true
	})
	k.try(ctx, "expect.faultsFired", func(s *scenario.Scenario) bool {
		s.Expect.FaultsFired = scenario.Default[scenario.Expect]().FaultsFired
		return true
	})
	r.Scenario, r.Run, r.Runs = k.now, k.best, k.runs
	r.Faults[1], r.Lines[1] = len(k.now.Faults), lines(k.now)
	return r, nil
}

// lines returns how many lines a scenario has.
func lines(s *scenario.Scenario) int {
	text, err := s.MarshalShort()
	if err != nil {
		return 0
	}
	n := 0
	for _, c := range text {
		if c == '\n' {
			n++
		}
	}
	return n
}

// A shrinker is a scenario on its way to be small.
type shrinker struct {
	run     Runner
	options Options
	until   time.Time

	now  *scenario.Scenario
	best *engine.Result
	// Runs so far, and how often the scenario got smaller.
	runs, smaller int
}

// over says whether it is to end.
func (k *shrinker) over(ctx context.Context) bool {
	return ctx.Err() != nil || time.Now().After(k.until)
}

// Change returns a scenario that is changed by f, or nil if f finds nothing to change. The one that it
// is given stays as it is. An error says that what came of it is no scenario.
func Change(s *scenario.Scenario, f func(*scenario.Scenario) bool) (*scenario.Scenario, error) {
	parse := func() (*scenario.Scenario, error) {
		text, err := s.Marshal()
		if err != nil {
			return nil, err
		}
		return scenario.Subjects{s.About()}.Parse(s.Metadata.Name+".yaml", text)
	}
	var err error
	if s, err = parse(); err != nil {
		return nil, err
	}
	if !f(s) {
		return nil, nil //nolint:nilnil // Nothing has changed.
	}
	return parse()
}

// try keeps a change if the scenario fails as before with it, and says whether it does.
func (k *shrinker) try(ctx context.Context, what string, change func(*scenario.Scenario) bool) bool {
	if k.over(ctx) {
		return false
	}
	c, err := Change(k.now, change)
	if err != nil || c == nil || same(c, k.now) {
		return false // It is no scenario any longer, or the same.
	}
	r, err := k.run(ctx, c, nil, nil)
	if ctx.Err() != nil {
		return false
	}
	k.runs++
	fails := err == nil && wayOf(r) == wayOf(k.best)
	if k.options.Progress != nil {
		k.options.Progress(k.runs, what, fails)
	}
	if fails {
		k.now, k.best = c, r
		k.smaller++
	}
	return fails
}

// wayOf returns in which way a run failed: what it broke, and if it panicked, with which words.
func wayOf(r *engine.Result) string {
	way := r.Verdict + " " + r.Broken
	if r.Broken == engine.BrokenPanic {
		way += " " + varying.ReplaceAllString(panicked.FindString(r.Text), "0")
	}
	return way
}

var (
	panicked = regexp.MustCompile(`panic(ked)?: .*`)
	// varying is what of a panic's words is another in each run.
	varying = regexp.MustCompile(`0x[0-9a-f]+|[0-9]+`)
)

// same says whether two scenarios say the same.
func same(a, b *scenario.Scenario) bool {
	x, xErr := a.Marshal()
	y, yErr := b.Marshal()
	return xErr == nil && yErr == nil && bytes.Equal(x, y)
}

// round tries to take away everything once, the largest parts first.
func (k *shrinker) round(ctx context.Context) {
	k.list(ctx, "faults", func(s *scenario.Scenario) reflect.Value { return reflect.ValueOf(&s.Faults).Elem() })
	k.try(ctx, "targets that no fault names", unusedTargets)
	for _, drop := range drops {
		k.try(ctx, drop.what, drop.do)
	}
	for _, part := range []struct {
		what string
		of   func(*scenario.Scenario) any
	}{
		{"workload", func(s *scenario.Scenario) any { return s.Sections.Parts().Workload }},
		{"topology", func(s *scenario.Scenario) any { return s.Sections.Parts().Topology }},
		{"targets", func(s *scenario.Scenario) any { return &struct{ Targets *[]scenario.Target }{&s.Targets} }},
		{"faults", func(s *scenario.Scenario) any { return &struct{ Faults *[]scenario.Fault }{&s.Faults} }},
	} {
		if part.of(k.now) != nil {
			k.section(ctx, part.what, func(s *scenario.Scenario) reflect.Value { return reflect.ValueOf(part.of(s)).Elem() })
		}
	}
}

// drops are parts that go as a whole.
var drops = []struct {
	what string
	do   func(*scenario.Scenario) bool
}{
	{"expect.sometimes", func(s *scenario.Scenario) bool {
		had := len(s.Expect.Sometimes) > 0
		s.Expect.Sometimes = nil
		return had
	}},
	{"expect.finally", func(s *scenario.Scenario) bool {
		had := len(s.Expect.Finally) > 0
		s.Expect.Finally = nil
		return had
	}},
	{"expect.eventually", func(s *scenario.Scenario) bool {
		had := len(s.Expect.Eventually) > 0
		s.Expect.Eventually = nil
		return had
	}},
	{"expect.faultsFired", func(s *scenario.Scenario) bool {
		had := len(s.Expect.FaultsFired) != 1 || s.Expect.FaultsFired[0] != "none"
		s.Expect.FaultsFired = scenario.Names{"none"}
		return had
	}},
	{"topology.network", func(s *scenario.Scenario) bool {
		usual := *scenario.Default[scenario.Network]()
		had := s.Topology.Network != usual
		s.Topology.Network = usual
		return had
	}},
	{"topology.network.loss", func(s *scenario.Scenario) bool {
		had := s.Topology.Network.Loss > 0
		s.Topology.Network.Loss = 0
		return had
	}},
	{"heal", func(s *scenario.Scenario) bool {
		had := s.Heal != nil
		s.Heal = nil
		return had
	}},
	{"metadata", func(s *scenario.Scenario) bool {
		had := s.Metadata.Description != "" || len(s.Metadata.Tags) > 0
		s.Metadata.Description, s.Metadata.Tags = "", nil
		return had
	}},
}

// unusedTargets takes away the targets that no fault names.
func unusedTargets(s *scenario.Scenario) bool {
	var used []scenario.Target
	for i := range s.Targets {
		for j := range s.Faults {
			if t := s.TargetOf(&s.Faults[j]); t != nil && t.Name == s.Targets[i].Name {
				used = append(used, s.Targets[i])
				break
			}
		}
	}
	had := len(used) < len(s.Targets)
	s.Targets = used
	return had
}

package story

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
	"github.com/frayrpc/fray/sim/shrink"
)

// A Runner runs a scenario under a seed, and has the recorder listen.
type Runner func(ctx context.Context, s *scenario.Scenario, seed uint64, r *Recorder) (*engine.Result, error)

// Bounds of the search for a run that passes.
const (
	// DefaultLimit is how much real time it may take.
	DefaultLimit = 30 * time.Second
	// maxFaults is how many faults are left out, each by itself, maxActs how many acts of one of
	// them, and maxSeeds how many other seeds are tried.
	maxFaults = 24
	maxActs   = 16
	maxSeeds  = 16
)

// ErrNothing is returned for a run of which nothing else could tell why it ended as it did.
var ErrNothing = errors.New("no other run says why")

// Find returns why a run of a scenario under a seed has failed, of which bad has the history. It
// looks for the nearest run that passes: without one of the faults, of those without which it passes
// the one that goes the same way longest; of that fault, if it acted several times, without one of
// its acts; else without any fault, without loss, or under another seed.
func Find(ctx context.Context, s *scenario.Scenario, seed uint64, r *engine.Result, bad *Recorder, run Runner) (*Why, error) {
	switch r.Verdict {
	case scenario.VerdictInvariant, scenario.VerdictLiveness:
	default:
		return nil, fmt.Errorf("%w of one that ends with %s", ErrNothing, r.Verdict)
	}
	if r.Vacuous() {
		return nil, fmt.Errorf("%w of one that is vacuous: strike later, or at another host, or have more work under way", ErrNothing)
	}
	ctx, cancel := context.WithTimeout(ctx, DefaultLimit)
	defer cancel()
	f := &finder{ctx: ctx, seed: seed, failed: r, bad: bad, run: run}
	if v := f.violation(); r.Task == "" && v != nil && v.Breaks() != nil {
		f.host = v.Breaks().Host
	}
	f.life = f.of(bad)
	base, err := shrink.Change(s, func(s *scenario.Scenario) bool {
		s.Expect.Outcome = scenario.Outcome{Verdict: scenario.VerdictPass}
		if r.Broken != engine.BrokenFinally {
			s.Expect.Finally = nil // What is expected of the faults that there are.
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	f.search(base)
	return f.why(), nil
}

// A finder looks for the nearest run that passes.
type finder struct {
	ctx    context.Context //nolint:containedctx // It is that of one call.
	seed   uint64
	failed *engine.Result
	bad    *Recorder
	// The host that saw the claim break, if the failure is about no thing; "": none did.
	host string
	life []engine.Event
	run  Runner

	best *neighbour
	// How many runs there were, and what went wrong with one that nothing came of.
	runs int
	err  error
}

// A neighbour is a run that passes.
type neighbour struct {
	against string
	fault   string // that is left out
	rows    []Row
	first   int // of them
}

// parts is when it goes another way than the run that fails.
func (n *neighbour) parts() time.Duration {
	if n.first == len(n.rows) {
		return 1<<63 - 1
	}
	return n.rows[n.first].at()
}

// of returns what of a run counts: the life of the thing that the failure is about, or of the host
// that saw it.
func (f *finder) of(r *Recorder) []engine.Event {
	if f.host != "" {
		return r.HostLife(f.host)
	}
	return r.Life(f.failed.Task)
}

// violation returns the one that the failure is, or nil.
func (f *finder) violation() *engine.Violation {
	i := slices.IndexFunc(f.failed.Violations, func(v engine.Violation) bool { return v.Oracle == f.failed.Broken })
	if i < 0 {
		return nil
	}
	return &f.failed.Violations[i]
}

func (f *finder) search(s *scenario.Scenario) {
	for i := range s.Faults[:min(len(s.Faults), maxFaults)] {
		fault := &s.Faults[i]
		f.try(f.without(s, fault), fmt.Sprintf("without fault %s (%s)", fault.ID, fault.Action.Key()), fault.ID)
	}
	if f.best != nil {
		f.acts(s, f.best.fault)
		return
	}
	changed := func(what string, change func(*scenario.Scenario) bool) {
		if f.best == nil {
			c, err := shrink.Change(s, change)
			f.note(err)
			f.try(c, what, "")
		}
	}
	if len(s.Faults) > 1 {
		changed("without any fault", func(s *scenario.Scenario) bool {
			s.Faults, s.Targets, s.Expect.Sometimes, s.Expect.FaultsFired = nil, nil, nil, scenario.Names{"none"}
			return true
		})
	}
	changed("on a network that loses nothing", func(s *scenario.Scenario) bool {
		had := s.Topology.Network.Loss > 0
		s.Topology.Network.Loss = 0
		return had
	})
	for k := uint64(1); k <= maxSeeds && f.best == nil; k++ {
		if seed := f.seed + k; seed > f.seed {
			f.trySeed(s, seed, fmt.Sprintf("under seed %d", seed), "")
		}
	}
}

// acts looks for the one act of a fault without which the run passes.
func (f *finder) acts(s *scenario.Scenario, fault string) {
	split, parts, err := f.bad.pins.Split(s, fault)
	if f.note(err); split == nil || err != nil {
		return
	}
	// The acts by themselves must do what the fault did.
	again := NewRecorder(split)
	r, err := f.run(f.ctx, split, f.seed, again)
	if f.runs++; err != nil || r.Broken != f.failed.Broken || r.Task != f.failed.Task {
		f.note(err)
		return
	}
	if rows := align(f.failed.Task, f.host, unfaulted(f.life), unfaulted(f.of(again)), true); firstOf(rows, true) < len(rows) {
		return
	}
	whole := f.best
	f.best = nil
	for n, part := range slices.Backward(parts) {
		if len(parts)-n > maxActs {
			break
		}
		i := slices.IndexFunc(split.Faults, func(f scenario.Fault) bool { return f.ID == part })
		f.try(f.without(split, &split.Faults[i]), fmt.Sprintf("without act %d of the %d of fault %s (%s)", n+1, len(parts), fault, split.Faults[i].Action.Key()), fault)
	}
	if f.best == nil {
		f.best = whole // No single one is to blame.
	}
}

func (f *finder) without(s *scenario.Scenario, fault *scenario.Fault) *scenario.Scenario {
	c, err := shrink.Without(s, fault.ID)
	f.note(err)
	return c
}

func (f *finder) note(err error) { f.err = cmp.Or(f.err, err) }

// unfaulted returns events without the acts of faults, whose names may differ.
func unfaulted(events []engine.Event) []engine.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e engine.Event) bool { return e.Kind == kindFault })
}

func (f *finder) try(s *scenario.Scenario, against, fault string) {
	f.trySeed(s, f.seed, against, fault)
}

// trySeed makes a run, which becomes the best if it passes and goes the same way longer.
func (f *finder) trySeed(s *scenario.Scenario, seed uint64, against, fault string) {
	if s == nil || f.ctx.Err() != nil {
		return
	}
	good := NewRecorder(s)
	r, err := f.run(f.ctx, s, seed, good)
	f.runs++
	if err != nil || !r.Passed() {
		f.note(err)
		return
	}
	rows := align(f.failed.Task, f.host, f.life, f.of(good), seed == f.seed)
	n := &neighbour{against: against, fault: fault, rows: rows, first: firstOf(rows, seed == f.seed)}
	if f.best == nil || n.parts() > f.best.parts() {
		f.best = n
	}
}

// why makes the answer.
func (f *finder) why() *Why {
	y := &Why{Thing: cmp.Or(f.failed.Task, f.host)}
	if f.best == nil {
		y.Note = fmt.Sprintf("Of %d other runs, without its faults and under other seeds, none passes.", f.runs)
		for i := range f.life {
			if e := &f.life[i]; !e.Aside || f.host != "" {
				y.Rows = append(y.Rows, Row{Bad: e, any: f.failed.Task == ""})
			}
		}
		y.Rows = merge(y.Rows)
	} else {
		y.Against, y.Rows = f.best.against, f.best.rows
		if first := f.best.first; first < len(y.Rows) {
			y.Rows[first].First = true
			y.Before = max(0, first-maxBefore)
		} else {
			y.Note = "Both go the same way, as far as this is about. What differs is elsewhere: --trace and fray-sim diff compare all messages."
		}
	}
	switch {
	case f.ctx.Err() != nil:
		y.Note = fmt.Sprintf("%s was over after %d runs: there may be a run that is nearer.", DefaultLimit, f.runs)
	case f.best == nil && f.err != nil:
		y.Note += fmt.Sprintf(" Of one nothing came: %v.", f.err)
	}
	if f.best == nil {
		y.Before = max(0, len(y.Rows)-maxBefore-maxAfter)
	}
	y.Rows = y.Rows[y.Before:]
	last := len(y.Rows)
	for last > 0 && y.Rows[last-1].Bad == nil {
		last--
	}
	y.After = max(0, len(y.Rows)-maxBefore-maxAfter, len(y.Rows)-last-maxBeyond)
	y.Rows = y.Rows[:len(y.Rows)-y.After]
	f.prove(y)
	return y
}

// prove marks what proves the violation.
func (f *finder) prove(y *Why) {
	v := f.violation()
	if v == nil {
		return
	}
	for n := range y.Rows {
		if e := y.Rows[n].Bad; e != nil && e.Seq > 0 {
			y.Rows[n].Proves = slices.ContainsFunc(v.Events, func(p engine.Event) bool { return p.Seq == e.Seq })
		}
	}
}

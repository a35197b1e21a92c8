package guide_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/sim/chaos"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/guide"
	"github.com/frayrpc/fray/sim/scenario"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var parts = []string{"network", "faults"}

// result is that of a run that passes or fails, has three faults, and comes to some points.
func result(passes bool, points ...string) *engine.Result {
	r := &engine.Result{
		Verdict: scenario.VerdictPass, Faults: make([]engine.FaultCount, 3), Reached: map[string][]string{"call": points},
	}
	if !passes {
		r.Verdict = scenario.VerdictInvariant
	}
	return r
}

// course has a guide make runs of which each comes to a point for its seed's last digit and one for
// each part that is redrawn.
func course(first uint64, batches int) (all []string) {
	g := guide.New(guide.Config{First: first, Parts: parts})
	for range batches {
		batch := g.Next(guide.Batch)
		for _, c := range batch {
			points := []string{fmt.Sprint(c.Seed % 10)}
			for part, seed := range c.Redraw {
				points = append(points, fmt.Sprint(part, seed%100))
			}
			slices.Sort(points)
			all = append(all, fmt.Sprintf("%v: %d", c.Variation, g.Take(c, result(true, points...))))
		}
	}
	return all
}

// Told the same, a guide decides the same. Another seed makes it decide otherwise.
func TestGuideRepeatsItself(t *testing.T) {
	t.Parallel()
	first := course(1, 20)
	if again := course(1, 20); !reflect.DeepEqual(first, again) {
		t.Error("the second time it decides otherwise")
	}
	if other := course(5000, 20); reflect.DeepEqual(first, other) {
		t.Error("another seed makes it decide the same")
	}
	seen := map[string]bool{}
	for _, line := range first {
		name, _, _ := strings.Cut(line, ":")
		if v, err := chaos.ParseVariation(name); err != nil || v.String() != name {
			t.Errorf("%q is no name of a scenario: %v", name, err)
		}
		if seen[name] {
			t.Errorf("%s runs twice", name)
		}
		seen[name] = true
	}
}

// What brings something new is varied. What failed or brought nothing is not.
func TestGuideVariesWhatBringsSomething(t *testing.T) {
	t.Parallel()
	g := guide.New(guide.Config{First: 1, Parts: parts})
	take := func(c *guide.Candidate) int {
		switch {
		case !c.Fresh():
			return g.Take(c, result(true, c.String()))
		case c.Seed == 3:
			return g.Take(c, result(true, "a", "b"))
		case c.Seed == 7:
			return g.Take(c, result(false, "c"))
		}
		return g.Take(c, result(true))
	}
	varied := map[string]int{}
	for range 20 {
		for _, c := range g.Next(guide.Batch) {
			take(c)
			if c.Fresh() {
				continue
			}
			if c.Redraw.From(c.Seed) != 3 || len(c.Redraw) == 0 {
				t.Fatalf("it runs %v", c)
			}
			for part := range c.Redraw {
				varied[part]++
			}
		}
	}
	for _, part := range []string{"network", "faults", "all", "fault-1", "fault-2", "fault-3"} {
		if varied[part] == 0 {
			t.Errorf("%s is never redrawn: %v", part, varied)
		}
	}
	ran := g.Ran()
	few := ran.Fresh+ran.Varied != 20*guide.Batch || ran.Varied < 2*ran.Fresh
	if few || ran.FreshPoints != 3 || ran.VariedPoints != ran.Varied {
		t.Errorf("it ran %+v", ran)
	}
	if want := (map[string]int{"call": 3 + ran.Varied}); !reflect.DeepEqual(g.Points(), want) {
		t.Errorf("it knows %v, want %v", g.Points(), want)
	}
}

// A way that brings nothing is tried less, but not given up; and a scenario without parts is not
// varied.
func TestGuideTurnsAwayFromWhatBringsNothing(t *testing.T) {
	t.Parallel()
	g := guide.New(guide.Config{First: 1, Parts: parts})
	for range 30 {
		for _, c := range g.Next(guide.Batch) {
			if c.Fresh() {
				g.Take(c, result(true, c.String()))
			} else {
				g.Take(c, result(true))
			}
		}
	}
	if ran := g.Ran(); ran.Varied == 0 || ran.Fresh < 2*ran.Varied {
		t.Errorf("it ran %+v", ran)
	}
	g = guide.New(guide.Config{First: 1})
	for i, c := range g.Next(100) {
		if g.Take(c, result(true, c.String())); !c.Fresh() || c.Seed != uint64(i)+1 {
			t.Fatalf("run %d is %v", i, c)
		}
	}
}

// There is an end to what is kept.
func TestGuideKeepsSoMany(t *testing.T) {
	t.Parallel()
	g := guide.New(guide.Config{First: 1})
	for range guide.MaxKept + 100 {
		c := g.Next(1)[0]
		g.Take(c, result(true, c.String()))
	}
	if kept := g.Ran().Kept; kept != guide.MaxKept {
		t.Errorf("it keeps %d, want %d", kept, guide.MaxKept)
	}
}

// A part that is drawn again may be as it was. Such a scenario does not run.
func TestGuideRunsNothingTwice(t *testing.T) {
	t.Parallel()
	digest := func(v chaos.Variation) uint64 { return v.Redraw.From(v.Seed, "network") % 100 }
	g := guide.New(guide.Config{First: 1, Parts: parts, Digest: digest})
	seen, varied := map[uint64]bool{}, 0
	for range 4 {
		for _, c := range g.Next(guide.Batch) {
			g.Take(c, result(true, c.String()))
			if !c.Fresh() && seen[digest(c.Variation)] {
				t.Errorf("%v is one that has run", c.Variation)
			}
			if !c.Fresh() {
				varied++
			}
			seen[digest(c.Variation)] = true
		}
	}
	if varied == 0 {
		t.Error("nothing is varied")
	}
}

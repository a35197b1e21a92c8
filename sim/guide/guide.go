// Package guide decides which random scenarios run next, so that runs come to what none before came to:
// fresh seeds, and variations of those that came to something new.
//
//	g := guide.New(guide.Config{Parts: parts})
//	for range rounds {
//		batch := g.Next(guide.Batch)
//		... // run them, in any order
//		for _, c := range batch {
//			g.Take(c, result)
//		}
//	}
//
// It is modelled on fuzzers that are guided by coverage. As that of AFL (Zalewski, Technical whitepaper
// for afl-fuzz) and of libFuzzer, its corpus has the inputs that reached something, an input is varied
// several times at once, and takes parts from another, which they call splicing and crossover. As
// AFLFast's (Böhme, Pham, Roychoudhury, Coverage-based Greybox Fuzzing as Markov Chain, CCS 2016) power
// schedule, it turns away from inputs that bring nothing any longer; and as MOpt's (Lyu et al., MOPT:
// Optimized Mutation Scheduling for Fuzzers, USENIX Security 2019), it does more of what pays. What
// they have as edges between blocks of a program, it has as points of package reach.
//
// It decides by what it was told and by its own chance alone: told the same, in the same batches, it
// decides the same.
package guide

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/sim/chaos"
	"github.com/frayrpc/fray/sim/engine"
)

// Bounds of a guide.
const (
	// Batch is how many runs are decided at once: what comes of one says nothing of another of them, so
	// that they may run at the same time.
	Batch = 16
	// MaxKept is how many scenarios are kept at most. The oldest of those that bring least go.
	MaxKept = 4096
	// maxChanges is how often a variation is changed at most from what it is one of. After each change
	// but the last, more follow three times of four.
	maxChanges, more, of = 8, 3, 4
	// maxAttempts is how often a variation that has run already is drawn again. Then a fresh seed runs.
	maxAttempts = 10
	// maxSeed is below what seeds parts are redrawn from: they are to be good to read.
	maxSeed = 1_000_000
)

// Config says what a guide decides about. The zero value has fresh seeds only.
type Config struct {
	// First is the first of the fresh seeds, which come one after the other, and what chance is from.
	First uint64
	// Parts are those of any scenario that can be drawn from other seeds; besides them a fault can by
	// itself. None: nothing is varied.
	Parts []string
	// Digest stands for what a scenario is, apart from its name, so that none runs twice: to draw a part
	// again may change nothing. Nil: the name says.
	Digest func(v chaos.Variation) uint64
}

// A Guide decides which scenarios run next. It is for one goroutine.
type Guide struct {
	cfg    Config
	random *rand.Rand
	next   uint64 // fresh seed
	kept   []*entry
	known  Known
	given  map[uint64]bool // digests of what has run
	ways   *ways
	// reached is how many points runs come to, known or not.
	reached yield
	ran     Ran
}

// Ran is what a guide has been told.
type Ran struct {
	// Fresh and Varied are the runs of fresh seeds and of variations, and FreshPoints and VariedPoints
	// the points to which these came first. Kept are the scenarios that are kept.
	Fresh, Varied, FreshPoints, VariedPoints, Kept int
}

// An entry is a scenario that is kept.
type entry struct {
	chaos.Variation

	faults int
	// energy is what its variations bring lately, in proportion to what runs bring on average, which is
	// a unit. At first it is to how much it came itself: what comes to much brings much.
	energy int
}

// Bounds of the energy of an entry. Each variation of it decides one part of inertia.
const leastEnergy, unitEnergy, mostEnergy, inertia = 1, 64, 512, 4

// corpus is how many fresh seeds run before any is varied.
const corpus = 2 * Batch

// A Candidate is a scenario that is to run.
type Candidate struct {
	chaos.Variation

	of   *entry   // that it is a variation of; nil: its seed is fresh
	ways []string // in which it was chosen
}

// Fresh says whether it is the scenario of a fresh seed.
func (c *Candidate) Fresh() bool { return c.of == nil }

// New returns a guide that knows nothing yet.
func New(cfg Config) *Guide {
	return &Guide{
		cfg: cfg, random: chance.New(cfg.First, "guide", 0), next: cfg.First, known: Known{}, given: map[uint64]bool{},
		ways: newWays(cfg.Parts),
	}
}

// Next returns what is to run next, as many scenarios as are wanted.
func (g *Guide) Next(n int) []*Candidate {
	batch := make([]*Candidate, n)
	for i := range batch {
		batch[i] = g.choose()
	}
	return batch
}

// Take takes in what came of a scenario that Next returned, and returns to how many points it came
// first. All of a batch are to be taken in, in its order. One that failed is not varied: that would
// find the same again.
func (g *Guide) Take(c *Candidate, r *engine.Result) int {
	found := g.known.Take(r.Reached)
	reached := 0
	for _, points := range r.Reached { // order-free: a sum
		reached += len(points)
	}
	g.reached.add(reached)
	g.ways.credit(c.ways, found)
	if c.Fresh() {
		g.ran.Fresh++
		g.ran.FreshPoints += found
	} else {
		g.ran.Varied++
		g.ran.VariedPoints += found
		c.of.energy = energy((inertia-1)*c.of.energy+unitEnergy*hundredths*found/max(g.ways.all.mean(), 1), inertia)
	}
	if found > 0 && r.Passed() {
		g.keep(&entry{
			Variation: c.Variation, faults: len(r.Faults), energy: energy(unitEnergy*hundredths*reached, g.reached.mean()),
		})
	}
	return found
}

// energy returns a quotient as an energy.
func energy(x, by int) int { return min(max(x/max(by, 1), leastEnergy), mostEnergy) }

// Points returns how many points of each kind the runs have come to.
func (g *Guide) Points() map[string]int { return g.known.Counts() }

// Ran returns what it has been told.
func (g *Guide) Ran() Ran {
	g.ran.Kept = len(g.kept)
	return g.ran
}

// keep adds an entry. If there are too many, one goes that brings least.
func (g *Guide) keep(e *entry) {
	if len(g.kept) >= MaxKept {
		least := 0
		for i, k := range g.kept {
			if k.energy < g.kept[least].energy {
				least = i
			}
		}
		g.kept = slices.Delete(g.kept, least, least+1)
	}
	g.kept = append(g.kept, e)
}

// choose decides what runs next.
func (g *Guide) choose() *Candidate {
	way := wayFresh
	if len(g.kept) > 0 && g.ran.Fresh >= corpus {
		way = g.ways.choose(g.random, true)
	}
	for range maxAttempts {
		if way == wayFresh {
			break
		}
		c := g.vary(g.pick(), way)
		if g.give(c) {
			return c
		}
	}
	c := &Candidate{Variation: chaos.Variation{Seed: g.next}, ways: []string{wayFresh}}
	g.next++
	g.give(c)
	return c
}

// give says whether a scenario has not run yet, which it has from then on.
func (g *Guide) give(c *Candidate) bool {
	var id uint64
	if g.cfg.Digest != nil {
		id = g.cfg.Digest(c.Variation)
	} else {
		id = chance.Hash(chance.HashBasis, c.String())
	}
	if g.given[id] {
		return false
	}
	g.given[id] = true
	return true
}

// pick returns one of the entries, each as likely as the square of its energy.
func (g *Guide) pick() *entry {
	all := 0
	for _, e := range g.kept {
		all += e.energy * e.energy
	}
	n := g.random.IntN(all)
	for _, e := range g.kept {
		if n -= e.energy * e.energy; n < 0 {
			return e
		}
	}
	panic("guide: no entry is as likely as its energy says")
}

// vary returns a scenario that differs from an entry in a way, and mostly in more.
func (g *Guide) vary(e *entry, way string) *Candidate {
	c := &Candidate{Variation: chaos.Variation{Seed: e.Seed, Redraw: maps.Clone(e.Redraw)}, of: e}
	if c.Redraw == nil {
		c.Redraw = chaos.Redraw{}
	}
	for {
		c.change(way, g)
		c.ways = append(c.ways, way)
		if len(c.ways) == maxChanges || g.random.IntN(of) >= more {
			return c
		}
		way = g.ways.choose(g.random, false)
	}
}

// change changes a variation in a way: it draws a part from another seed, which is any or that from
// which another entry has it, or has the same scenario run under another.
func (c *Candidate) change(way string, g *Guide) {
	seed := g.random.Uint64N(maxSeed)
	part, names := way, []string{way}
	switch way {
	case wayCourse:
		if _, redrawn := c.Redraw[chaos.PartAll]; !redrawn {
			c.Redraw[chaos.PartAll] = c.Seed
		}
		c.Seed = seed
		return
	case wayFault:
		if c.of.faults == 0 || c.chosen(chaos.PartFaults) {
			part, names = chaos.PartFaults, []string{chaos.PartFaults}
			break
		}
		part = chaos.Each(wayFault, c.of.faults)[g.random.IntN(c.of.faults)]
		names = []string{part, chaos.PartFaults}
	}
	if g.random.IntN(2) == 0 {
		if other := g.pick(); other != c.of {
			seed = other.Redraw.From(other.Seed, names...)
		}
	}
	if part == chaos.PartFaults { // Of which there may be fewer then.
		maps.DeleteFunc(c.Redraw, func(other string, _ uint64) bool { return strings.HasPrefix(other, wayFault+"-") })
	}
	c.Redraw[part] = seed
}

// chosen says whether a candidate was chosen in a way.
func (c *Candidate) chosen(way string) bool { return slices.Contains(c.ways, way) }

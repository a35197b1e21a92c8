package main

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
)

// A kind is what a mutant changes.
type kind string

const (
	// A statement is left out.
	removed kind = "removed"
	// A condition, or a bool that is returned, is always or never so.
	always, never kind = "always", "never"
	// One side of && or || is left out.
	leftOnly, rightOnly kind = "left-only", "right-only"
	// A comparison includes its bound, or no longer does.
	boundary kind = "boundary"
	// A sum is a difference, or the other way round; what is least is what is most.
	arithmetic kind = "arithmetic"
	// An error is not returned.
	noError kind = "no-error"
)

// A mutant is one small change of one place in the sources, such as a programmer may make by
// mistake.
type mutant struct {
	// n is by which the program knows it, from 1.
	n int
	// The file is relative to the root of the module. The package is relative as well, with ./.
	file, pkg string
	line      int
	// The function or method that it is in.
	function string
	kind     kind
	// What is there, on one line; and which such place of the function it is, from 1.
	text  string
	which int

	edits []edit
}

// key names the mutant for as long as nobody changes the place, wherever that moves.
func (m *mutant) key() string {
	return fmt.Sprintf("%s %s %s %d: %s", m.file, m.function, m.kind, m.which, m.text)
}

// String tells where it is, and what it does.
func (m *mutant) String() string {
	return fmt.Sprintf("%s:%d %s %s: %s", m.file, m.line, m.function, m.kind, m.text)
}

// rank orders mutants by chance: that of the seed.
func (m *mutant) rank(seed uint64) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", seed, m.key())
	return h.Sum64()
}

// sample returns n of the mutants by chance, in the order of their places; n <= 0: all. What else
// is there, or is taken away, changes little in what a seed chooses.
func sample(all []*mutant, n int, seed uint64) []*mutant {
	chosen := slices.Clone(all)
	if n > 0 && n < len(all) {
		slices.SortFunc(chosen, func(a, b *mutant) int { return cmp.Compare(a.rank(seed), b.rank(seed)) })
		chosen = chosen[:n]
		slices.SortFunc(chosen, func(a, b *mutant) int {
			return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line), cmp.Compare(a.key(), b.key()))
		})
	}
	for i, m := range chosen {
		m.n = i + 1
	}
	return chosen
}

// An edit puts text around a piece of the source, from one byte to another; number in it stands for
// the mutant's.
type edit struct {
	from, to      int
	before, after string
}

const number = "\x00"

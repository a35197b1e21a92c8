package faults

import (
	"math/rand/v2"

	"github.com/frayrpc/fray/internal/chance"
)

// A stream names one source of chance. Equal streams give equal numbers, and nothing that happens
// in one is seen in another, so that a rule more or less, or a call more or less between two other
// hosts, shifts nothing.
type stream struct {
	seed    uint64
	purpose string // what is drawn, such as "latency"
	rule    string
	entity  entity
	ordinal uint64 // counts the matches of rule and entity from 1
}

// An entity is between whom a call is, and which.
type entity struct{ from, to, procedure string }

// rand returns the stream's numbers from the first.
func (s stream) rand() *rand.Rand {
	low := s.hash(chance.HashBasis)
	return rand.New(rand.NewPCG(low, s.hash(chance.Mix(low))))
}

func (s stream) hash(h uint64) uint64 {
	for _, text := range [...]string{s.purpose, s.rule, s.entity.from, s.entity.to, s.entity.procedure} {
		h = chance.Hash(chance.Hash(h, text), "\xff") // ends the text: no byte of UTF-8
	}
	return chance.Mix(chance.Mix(h^s.seed) ^ s.ordinal)
}

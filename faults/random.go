package faults

import "math/rand/v2"

// A stream names one source of chance. Equal streams give equal numbers, and nothing that happens in one is
// seen in another, so that a rule more or less, or a call more or less between two other hosts, shifts nothing.
type stream struct {
	seed    uint64
	purpose string // what is drawn, such as "latency"
	rule    string
	entity  entity
	ordinal uint64 // counts the matches of rule and entity from 1
}

// An entity is between whom a call is, and which.
type entity struct{ from, to, procedure string }

// Of FNV-1a in 64 bits.
const (
	hashBasis = 14695981039346656037
	hashPrime = 1099511628211
)

// rand returns the stream's numbers from the first.
func (s stream) rand() *rand.Rand {
	low := s.hash(hashBasis)
	return rand.New(rand.NewPCG(low, s.hash(mix(low))))
}

func (s stream) hash(h uint64) uint64 {
	for _, text := range [...]string{s.purpose, s.rule, s.entity.from, s.entity.to, s.entity.procedure} {
		for i := range len(text) {
			h = (h ^ uint64(text[i])) * hashPrime
		}
		h = (h ^ 0xff) * hashPrime // ends the text: no byte of UTF-8
	}
	return mix(mix(h^s.seed) ^ s.ordinal)
}

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014): each bit of x moves all of the result.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Package chance gives sources of randomness by what they are for, so that a draw more for one
// purpose does not change what another draws.
package chance

import "math/rand/v2"

// New returns a source that depends on a seed, a purpose and a number alone. It is not safe for
// concurrent use.
func New(seed uint64, purpose string, number uint64) *rand.Rand {
	h := Hash(HashBasis, purpose)
	return rand.New(rand.NewPCG(seed^h, number*0x9e3779b97f4a7c15^h>>1))
}

// Mix is the finalizer of SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number
// generators, OOPSLA 2014) after its increment, so that Mix(0) is not 0. Each bit of x moves all of
// the result, and no two x have the same one.
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

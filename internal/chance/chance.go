// Package chance gives sources of randomness by what they are for, so that a draw more for one purpose does not
// change what another draws.
package chance

import (
	"hash/fnv"
	"math/rand/v2"
)

// New returns a source that depends on a seed, a purpose and a number alone. It is not safe for concurrent use.
func New(seed uint64, purpose string, number uint64) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose)) // A hash takes everything.
	return rand.New(rand.NewPCG(seed^h.Sum64(), number*0x9e3779b97f4a7c15^h.Sum64()>>1))
}

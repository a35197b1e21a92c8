package sim

import (
	"math/rand/v2"

	"github.com/frayrpc/fray/internal/chance"
)

// Randomness is not one sequence but a function of what it is for: of the seed, a purpose, an
// entity and an ordinal. So one message more or less does not change what happens to the others.

// Purposes of draws.
var (
	forLatency   = hashString("latency")
	forLoss      = hashString("loss")
	forDuplicate = hashString("duplicate")
	forDisk      = hashString("disk")
	forSoftware  = hashString("software")
	forName      = hashString("name")
	forFiles     = hashString("files")
	forSplit     = hashString("split")
)

// draw returns 64 random bits.
func (s *Sim) draw(purpose, entity, ordinal uint64) uint64 {
	return chance.Mix(chance.Mix(chance.Mix(s.cfg.Seed^purpose)^entity) ^ ordinal)
}

// rand returns a source that is a function of its purpose, entity and ordinal.
func (s *Sim) rand(purpose, entity, ordinal uint64) *rand.Rand {
	first := s.draw(purpose, entity, ordinal)
	return rand.New(rand.NewPCG(first, chance.Mix(first)))
}

// Rand returns the source of randomness of that name, from its beginning. Different names are
// independent of each other. The source may be used by one goroutine at a time.
func (s *Sim) Rand(name string) *rand.Rand { return s.rand(forSoftware, hashString(name), 0) }

// unit turns 64 random bits into a number in [0, 1).
func unit(bits uint64) float64 { return float64(bits>>11) / (1 << 53) }

func hashString(text string) uint64 { return chance.Hash(chance.HashBasis, text) }

package dial

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"
)

// Rand is a source of randomness that several goroutines share.
type Rand struct {
	mu  sync.Mutex
	src *rand.Rand
}

// NewRand guards r, which nothing else may use from then on. Nil: a source of its own, seeded by
// chance.
func NewRand(r *rand.Rand) *Rand {
	if r == nil {
		var seed [16]byte
		_, _ = crand.Read(seed[:]) // never fails: it ends the program instead
		r = rand.New(rand.NewPCG(binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:])))
	}
	return &Rand{src: r}
}

// Uint64 returns 64 random bits.
func (r *Rand) Uint64() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.src.Uint64()
}

// Float64 returns a number in [0, 1).
func (r *Rand) Float64() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.src.Float64()
}

// Duration returns a duration in [0, d], or 0 if d is not positive.
func (r *Rand) Duration(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(r.src.Int64N(int64(d) + 1))
}

// orAll returns a duration in [0, d], or d of no source.
func (r *Rand) orAll(d time.Duration) time.Duration {
	if r == nil {
		return d
	}
	return r.Duration(d)
}

// Jitter returns a duration in [0, d) that chance has given to this key of a seed: how often it is
// asked for changes nothing. It is 0 if d is not positive.
func Jitter(seed, key uint64, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(rand.New(rand.NewPCG(seed, key)).Int64N(int64(d)))
}

package controller

import (
	"fmt"
	"math"
	runtimemetrics "runtime/metrics"
	"sync"
	"time"
)

// memory says whether there is room for more tasks, by what the last collection of garbage has left.
type memory struct {
	limit int64 // bytes; negative or the largest: there is none

	mu     sync.Mutex
	looked time.Time
	live   uint64
}

const (
	// memoryFull is the part of the limit, in percent, that may be in use: the rest is for garbage,
	// stacks, and messages in flight.
	memoryFull = 60
	// memoryGlance is how long what was seen holds.
	memoryGlance = 20 * time.Millisecond
	// memoryHint is when a submission that there is no memory for may be made again.
	memoryHint = 250 * time.Millisecond

	liveHeap = "/gc/heap/live:bytes"
)

// room returns an error if there is none.
func (m *memory) room() error {
	if m.limit < 0 || m.limit == math.MaxInt64 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := time.Now(); now.Sub(m.looked) >= memoryGlance {
		m.looked = now
		sample := []runtimemetrics.Sample{{Name: liveHeap}}
		runtimemetrics.Read(sample)
		if sample[0].Value.Kind() == runtimemetrics.KindUint64 {
			m.live = sample[0].Value.Uint64()
		}
	}
	if m.live/memoryFull*100 >= uint64(m.limit) {
		return fmt.Errorf("the controller uses %d MiB of the %d MiB of memory that it may (GOMEMLIMIT): what is known goes on; try again later", m.live>>20, m.limit>>20)
	}
	return nil
}

package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// restLook is how often it is looked whether the process is at rest.
	restLook = time.Second
	// restBytes is how much a process allocates from one look to the next at most that is at rest.
	restBytes = 4 << 20
	// restWorth is how much it must have allocated since it gave memory back, or restShare, 1 in so
	// many, of what it uses if that is more: else there is little to give.
	restWorth = 8 << 20
	restShare = 4
)

// rest has the process give memory back to the system once it has come to rest after some work, until
// ctx is done. A heap grows to twice of what is in use before it is collected, or by leastGarbage, and
// nothing is collected while nothing is allocated: a controller that was given many tasks and waits
// for workers would hold as much again as they take for two minutes, and most of that for longer.
func rest(ctx context.Context, look time.Duration) {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	var last, given uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(samples)
		allocated, live := samples[0].Value.Uint64(), samples[1].Value.Uint64()
		if allocated-last < restBytes && allocated-given >= max(restWorth, live/restShare) {
			debug.FreeOSMemory()
			given = allocated
		}
		last = allocated
	}
}

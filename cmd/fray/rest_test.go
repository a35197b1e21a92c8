package main

import (
	"context"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// A process that comes to rest holds little more than it uses.
func TestRestGivesMemoryBack(t *testing.T) { // Not parallel: it looks at the heap.
	const garbage = 256 << 20
	held := func() uint64 {
		samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
		metrics.Read(samples)
		return samples[0].Value.Uint64() + samples[1].Value.Uint64() + samples[2].Value.Uint64()
	}
	ctx, cancel := context.WithCancel(t.Context())
	work := make([]byte, garbage)
	for i := 0; i < len(work); i += 4096 {
		work[i] = 1
	}
	if now := held(); now < garbage {
		t.Fatalf("the heap has %d bytes only: what is measured?", now)
	}
	runtime.KeepAlive(work)
	done := make(chan struct{})
	go func() {
		defer close(done)
		rest(ctx, time.Millisecond)
	}()
	for held() > garbage/2 { // Until go test ends it.
		runtime.Gosched()
	}
	cancel()
	<-done
}

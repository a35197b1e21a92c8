// Package speed measures how fast simulations are: messages through real Connect handlers, beside
// the same calls without a simulator, and whole Fray clusters of up to thousands of hosts.
//
// Each function does its work once, in the calling process, and returns a Sample. A figure worth
// reading is one of several samples, each from a process of its own with GOMAXPROCS=1, which is
// what fray-sim bench does.
package speed

import (
	"runtime"
	"time"
)

// A Sample is what one measurement took.
type Sample struct {
	// Messages are requests and responses that arrived.
	Messages int `json:"messages"`
	// Hosts of the simulation; 0 without one.
	Hosts int `json:"hosts,omitempty"`
	// Virtual is how much time passed in the simulation, and Wall outside of it.
	Virtual time.Duration `json:"virtual_ns,omitempty"`
	Wall    time.Duration `json:"wall_ns"`
	// Heap is how many bytes more were in use than before while all hosts were up, after a
	// collection.
	Heap int64 `json:"heap_bytes,omitempty"`
}

// Rate returns messages per second.
func (s Sample) Rate() float64 { return float64(s.Messages) / s.Wall.Seconds() }

// Ratio returns how many seconds pass in the simulation in one.
func (s Sample) Ratio() float64 { return s.Virtual.Seconds() / s.Wall.Seconds() }

// heapInUse returns how many bytes are in use after a collection.
func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // No heap is that large.
}

package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

func TestPercentFor(t *testing.T) {
	t.Parallel()
	for held, want := range map[uint64]int{
		0: mostPercent, 1 << 20: mostPercent, 8 << 20: 400, leastGarbage: 100, 1 << 30: 100, 1 << 50: 100,
	} {
		if got := percentFor(held); got != want {
			t.Errorf("with %d bytes held, %d %% of it may be garbage, want %d", held, got, want)
		}
	}
}

// A process that has collected nothing yet gathers no more than any other.
func TestTheFirstCollectionIsNotLate(t *testing.T) { //nolint:paralleltest // It sets what the whole process goes by.
	defer debug.SetGCPercent(debug.SetGCPercent(percentFor(0)))
	runtime.GC() // The tests hold less than goHeap.
	goal := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(goal)
	if got, live := goal[0].Value.Uint64(), goal[1].Value.Uint64(); live < goHeap && got > leastGarbage*11/10 {
		t.Errorf("the heap becomes %d bytes large, want no more than %d", got, leastGarbage)
	}
}

// What a process holds changes, and with each collection so does how much garbage there may be.
func TestCollectionsAreSpared(t *testing.T) { //nolint:paralleltest // It sets what the whole process goes by.
	defer debug.SetGCPercent(debug.SetGCPercent(defaultPercent))
	spareCollections(nil)
	percent := func() int {
		for range 3 { // What is to be done after one is done by the next at the latest.
			runtime.GC()
		}
		p := debug.SetGCPercent(defaultPercent)
		debug.SetGCPercent(p)
		return p
	}
	little := percent()
	held := make([]byte, 4*leastGarbage)
	much := percent()
	runtime.KeepAlive(held)
	if little <= defaultPercent || much != defaultPercent {
		t.Errorf("%d %% of little may be garbage, and %d %% of much: want more than %d, and %d", little, much, defaultPercent, defaultPercent)
	}
}

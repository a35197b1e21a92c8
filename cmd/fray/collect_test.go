package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestPercentFor(t *testing.T) {
	t.Parallel()
	for held, want := range map[uint64]int{
		0: mostPercent, 1 << 20: mostPercent, 12 << 20: 400, leastGarbage: 100, 1 << 30: 100, 1 << 50: 100,
	} {
		if got := percentFor(held); got != want {
			t.Errorf("with %d bytes held, %d %% of it may be garbage, want %d", held, got, want)
		}
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

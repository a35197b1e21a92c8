package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
)

const (
	// leastGarbage is how much garbage there is, in bytes, before a process collects it, however
	// little else it holds: what a busy controller or worker holds is so little that Go, by whose
	// default there is as much garbage as all the rest, would collect it many times a second.
	leastGarbage = 32 << 20
	// defaultPercent is Go's default: so much garbage in percent of what is held.
	defaultPercent = 100
	// goHeap is how large a heap becomes by Go's default before it is collected, whatever is held.
	goHeap = 4 << 20
	// mostPercent has a heap in which nothing was collected yet become as large as leastGarbage, for
	// Go makes as much of the percentage of goHeap.
	mostPercent = leastGarbage * 100 / goHeap
)

// spareCollections has the process collect garbage only where there is leastGarbage of it, unless
// GOGC says how much. GOMEMLIMIT holds as ever.
func spareCollections(environ []string) {
	if !slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, "GOGC=") }) {
		afterCollection(defaultPercent)
	}
}

// afterCollection sets how much garbage there may be until the next collection, by what the last one
// found to be held, and has itself called after that.
func afterCollection(percent int) {
	held := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(held)
	if want := percentFor(held[0].Value.Uint64()); want > percent*21/20 || want < percent*20/21 { // To set it stops all for a moment.
		percent = want
		debug.SetGCPercent(percent)
	}
	mark := &struct{ next *int }{} // Goes with the next collection.
	runtime.AddCleanup(mark, afterCollection, percent)
}

// percentFor returns the percentage of held bytes that leastGarbage is, between Go's default and a
// bound.
func percentFor(held uint64) int {
	return int(min(max(leastGarbage*100/max(held, 1), defaultPercent), mostPercent)) // within: mostPercent
}

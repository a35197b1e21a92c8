//go:build frayoverlay

package order

import _ "unsafe" // for go:linkname

const followed = true

func next(seed uint64) { runtimeSet(seed) }

func begin(seed uint64) bool { return runtimeSeedNow(seed) }

func count() Stats {
	turns, broken, passed := runtimeStats()
	return Stats{turns, broken, passed}
}

//go:linkname runtimeSet runtime.fraySet
func runtimeSet(seed uint64)

//go:linkname runtimeSeedNow runtime.fraySeedNow
func runtimeSeedNow(seed uint64) bool

//go:linkname runtimeStats runtime.frayStats
func runtimeStats() (turns, broken, passed uint64)

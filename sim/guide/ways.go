package guide

import (
	"math/rand/v2"
	"slices"
)

// Ways to choose what runs, besides the parts of which each can be drawn from another seed.
const (
	wayFresh  = "fresh"  // a seed that has not run
	wayCourse = "course" // a scenario that was kept, run under another seed
	wayFault  = "fault"  // one fault of it is drawn from another seed
)

// ways are the ways to choose what runs, each with what it has brought lately.
type ways struct {
	names  []string
	yields map[string]*yield
	all    yield
}

// A yield is what some runs have brought.
type yield struct{ runs, found int }

const (
	// memory is how many runs a yield remembers: those before count half.
	memory = 64
	// prior is how many runs that brought the mean each way begins with.
	prior = 4
	// leastShare is which part of the mean a way is taken to bring at least.
	leastShare = 4
	// hundredths of a point are what yields are compared by.
	hundredths = 100
)

// newWays returns the ways for scenarios of some parts. Without any there are fresh seeds only.
func newWays(parts []string) *ways {
	w := &ways{names: []string{wayFresh}, yields: map[string]*yield{}}
	if len(parts) > 0 {
		w.names = slices.Concat(w.names, []string{wayCourse, wayFault}, parts)
	}
	for _, name := range w.names {
		w.yields[name] = new(yield)
	}
	return w
}

func (y *yield) add(found int) {
	if y.runs >= memory {
		y.runs, y.found = y.runs/2, y.found/2
	}
	y.runs++
	y.found += found
}

// credit notes what a run has brought that was chosen in some ways.
func (w *ways) credit(chosen []string, found int) {
	w.all.add(found)
	for _, name := range chosen {
		w.yields[name].add(found)
	}
}

// mean is what a run brings lately, in hundredths of a point.
func (y *yield) mean() int { return hundredths * y.found / max(y.runs, 1) }

// choose returns a way: each is as likely as the square of what it brings, so that what pays is done
// most, and what does not is not given up.
func (w *ways) choose(random *rand.Rand, fresh bool) string {
	names := w.names
	if !fresh {
		names = names[1:]
	}
	weights, sum := make([]int, len(names)), 0
	for i, name := range names {
		y := w.yields[name]
		brings := (hundredths*y.found + prior*w.all.mean()) / (y.runs + prior)
		brings = max(brings, w.all.mean()/leastShare, 1)
		weights[i] = brings * brings
		sum += weights[i]
	}
	n := random.IntN(sum)
	for i, name := range names {
		if n -= weights[i]; n < 0 {
			return name
		}
	}
	panic("guide: no way is as likely as its yield says")
}

package guide

// A yield is what a way to choose scenarios has brought lately.
type yield struct{ runs, found int }

const (
	// memory is how many runs a yield remembers: those before count half.
	memory = 64
	// seldom is how many runs are too few to say.
	seldom = 8
	// A share is of whole: one that brings nothing is still chosen so often, and one that brings all not
	// each time.
	whole, leastShare = 1000, 125
)

func (y *yield) add(found int) {
	if y.runs >= memory {
		y.runs, y.found = y.runs/2, y.found/2
	}
	y.runs++
	y.found += found
}

// share returns how often one of two ways is to be chosen, in proportion to what a run of it brings.
func share(one, other *yield) int {
	if one.runs < seldom || other.runs < seldom {
		return whole / 2
	}
	mine, others := one.found*other.runs, other.found*one.runs
	if mine+others == 0 {
		return whole / 2
	}
	return min(max(whole*mine/(mine+others), leastShare), whole-leastShare)
}

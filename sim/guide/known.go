package guide

// maxKnown is how many points of a kind are known at most. What comes then is not new.
const maxKnown = 1 << 20

// Known are the points that runs have come to, by their kind.
type Known map[string]map[string]bool

// Take takes in the points of a run, and returns how many of them are new.
func (k Known) Take(points map[string][]string) (found int) {
	for kind, all := range points { // order-free: a sum
		of := k[kind]
		if of == nil {
			of = map[string]bool{}
			k[kind] = of
		}
		for _, point := range all {
			if !of[point] && len(of) < maxKnown {
				of[point] = true
				found++
			}
		}
	}
	return found
}

// Counts returns how many there are of each kind.
func (k Known) Counts() map[string]int {
	counts := map[string]int{}
	for kind, of := range k { // order-free: each is counted
		counts[kind] = len(of)
	}
	return counts
}

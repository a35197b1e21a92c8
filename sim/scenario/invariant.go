package scenario

import "github.com/frayrpc/fray/sim/check"

// An Invariant is what an oracle of package check holds the system to.
type Invariant struct {
	// Name is what expect.always and outcome call it.
	Name string
	// Claim is it in one sentence.
	Claim string
}

// Invariants returns what every run is held to, in a fixed order.
func Invariants() []Invariant {
	counts := check.New(check.Config{}).Counts()
	all := make([]Invariant, len(counts))
	for i, c := range counts {
		all[i] = Invariant{c.Oracle, c.Claim}
	}
	return all
}

func invariantNames() []string {
	return namesOf(Invariants(), func(i *Invariant) string { return i.Name })
}

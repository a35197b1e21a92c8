package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/frayrpc/fray/internal/spelling"
	"github.com/frayrpc/fray/sim/scenario"
)

// MaxRedraws is how many parts of one scenario are drawn from other seeds at most.
const MaxRedraws = 32

// A Variation names a random scenario: by its seed, under which it is to run, and by the parts that
// are drawn from other seeds.
type Variation struct {
	Seed   uint64
	Redraw Redraw
}

// String returns the seed and, after a space, the parts if there are any.
func (v Variation) String() string {
	return strings.TrimSpace(strconv.FormatUint(v.Seed, 10) + " " + v.Redraw.String())
}

// ParseVariation reads what Variation.String writes.
func ParseVariation(text string) (v Variation, err error) {
	seed, redraw, varied := strings.Cut(text, " ")
	if v.Seed, err = strconv.ParseUint(seed, 10, 64); err != nil {
		return v, fmt.Errorf("%q is not a seed: write a number from 0 to %d", seed, uint64(1<<64-1))
	}
	if varied {
		v.Redraw, err = ParseRedraw(redraw)
	}
	return v, err
}

// A Redraw has the seeds from which parts of a random scenario are drawn in place of its own, by the
// names of the parts.
type Redraw map[string]uint64

// ParseRedraw reads parts such as faults=77,network=5.
func ParseRedraw(text string) (Redraw, error) {
	r := Redraw{}
	if text == "" {
		return r, nil
	}
	for field := range strings.SplitSeq(text, ",") {
		part, number, both := strings.Cut(field, "=")
		seed, err := strconv.ParseUint(number, 10, 64)
		_, twice := r[part]
		switch {
		case !both || part == "":
			return nil, fmt.Errorf("%q is not a part and its seed: write them as faults=77", field)
		case err != nil:
			return nil, fmt.Errorf("the seed of %s is %q: write a number from 0 to %d", part, number, uint64(1<<64-1))
		case twice:
			return nil, fmt.Errorf("%s is redrawn twice: leave one out", part)
		case len(r) == MaxRedraws:
			return nil, fmt.Errorf("more than %d parts are redrawn: leave some out", MaxRedraws)
		}
		r[part] = seed
	}
	return r, nil
}

// String returns the parts in the order of their names, as ParseRedraw reads them.
func (r Redraw) String() string { return r.list("=", ",") }

// Suffix is what tells the name of a varied scenario from that of the seed's: -faults-77-network-5. It
// is empty if nothing is redrawn.
func (r Redraw) Suffix() string {
	if len(r) == 0 {
		return ""
	}
	return "-" + r.list("-", "-")
}

func (r Redraw) list(is, and string) string {
	fields := make([]string, 0, len(r))
	for _, part := range slices.Sorted(maps.Keys(r)) {
		fields = append(fields, part+is+strconv.FormatUint(r[part], 10))
	}
	return strings.Join(fields, and)
}

// From returns the seed from which a part is drawn: that of the first of some names for it that is
// redrawn, or of all parts, or the scenario's own.
func (r Redraw) From(seed uint64, names ...string) uint64 {
	for _, part := range append(names, PartAll) {
		if other, redrawn := r[part]; redrawn {
			return other
		}
	}
	return seed
}

// Check says whether there are all parts that are redrawn.
func (r Redraw) Check(parts []string) error {
	for _, part := range slices.Sorted(maps.Keys(r)) {
		if slices.Contains(parts, part) {
			continue
		}
		near := ""
		if name := spelling.Nearest(part, parts); name != "" {
			near = ": did you mean " + name + "?"
		}
		return fmt.Errorf("there is no part %q among %s%s", part, strings.Join(parts, ", "), near)
	}
	return nil
}

// Parts of any random scenario.
const (
	// PartAll is all parts that are not named besides: what is left of the seed is the course of the run.
	PartAll = "all"
	// PartFaults is all faults that are not named besides.
	PartFaults = "faults"
)

// Parts returns the parts of the faults of a scenario: all of them, and each by its number.
func Parts(s *scenario.Scenario) []string {
	return append([]string{PartAll, PartFaults}, Each("fault", len(s.Faults))...)
}

// Each returns the parts of which there are several: fault-1, fault-2.
func Each(part string, count int) []string {
	var all []string
	for i := range count {
		all = append(all, fmt.Sprintf("%s-%d", part, i+1))
	}
	return all
}

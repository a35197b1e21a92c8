package check_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
	"pgregory.net/rapid"

	"github.com/frayrpc/fray/sim/check"
)

// counted is an operation on a counter; with a sum of 0 it may have been done at any time, and told nothing.
type counted struct{ sum int64 }

// counter is the sequential specification of what calls of an actor do that counts them.
var counter = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, _ any) (bool, any) {
		n, in := state.(int64), input.(counted)
		return in.sum == 0 || in.sum == n+1, n + 1
	},
}

// The oracle of what actors count finds an order just where a search for one does (Wing and Gong's, as extended
// by Lowe).
func TestActorStateIsWhatASearchFinds(t *testing.T) {
	t.Parallel()
	found := [2]int{}
	rapid.Check(t, func(rt *rapid.T) {
		s := newScript(counting)
		s.register("w")
		s.submit("x", life)
		s.grant("w", "x", 1, life)
		n := rapid.IntRange(1, 6).Draw(rt, "calls")
		type call struct {
			name    string
			at      int64 // of its submission
			begun   int64
			stage   int
			nothing bool
		}
		calls := make([]*call, n)
		for i := range calls {
			calls[i] = &call{name: fmt.Sprint("c", i), nothing: rapid.IntRange(0, 3).Draw(rt, "comes to nothing") == 0}
		}
		var ops []porcupine.Operation
		sum := int64(0)
		for range 4 * n {
			i := rapid.IntRange(0, n-1).Draw(rt, "call")
			c := calls[i]
			edit := callNumber(uint64(i) + 1)
			switch c.stage++; c.stage {
			case 1:
				c.at = int64(2*s.Len() + 1)
				s.submit(c.name, edit)
			case 2:
				s.hand("w", c.name, 1, 1, edit)
				c.begun = int64(2*s.Len() + 1)
				s.start("w", c.name, 1, edit)
			case 3:
				if c.nothing {
					break
				}
				sum++
				told := max(1, sum+int64(rapid.SampledFrom([]int{0, 0, 0, 0, 1, -1}).Draw(rt, "off by")))
				value := func(e *check.Event) { e.Digest = check.DigestValue("raw", check.CountedValue(told)) }
				s.end("w", c.name, 1, "", value)
				s.report("w", c.name, 1, succeeded, check.Accepted, value)
				s.view(c.name, completed, 1, value)
				ops = append(ops, porcupine.Operation{Input: counted{told}, Call: c.at, Return: int64(2 * s.Len())})
			}
		}
		for _, c := range calls {
			if c.stage == 2 || c.stage > 2 && c.nothing {
				ops = append(ops, porcupine.Operation{Input: counted{}, Call: c.begun, Return: math.MaxInt64})
			}
		}
		// Something begins after all of them, so that what came to nothing may have been done.
		last := callNumber(uint64(n) + 1)
		s.submit("last", last)
		s.hand("w", "last", 1, 1, last)
		s.start("w", "last", 1, last)
		violated := slices.ContainsFunc(s.finish(), func(v check.Violation) bool { return v.Oracle == "actor-state-kept" })
		possible := porcupine.CheckOperations(counter, ops)
		if violated == possible {
			rt.Fatalf("the oracle objects: %v; there is an order: %v\n%+v", violated, possible, ops)
		}
		if possible {
			found[0]++
		} else {
			found[1]++
		}
	})
	if found[0] == 0 || found[1] == 0 {
		t.Errorf("%d histories were possible and %d were not", found[0], found[1])
	}
}

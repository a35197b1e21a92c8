package scenario_test

import (
	"testing"

	"github.com/frayrpc/fray/sim/scenario"
)

func TestShareOfVerifiedSeeds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		share scenario.Probability
		// Of the seeds from 1 to 100.
		want  int
		first bool
	}{{0, 0, false}, {0.01, 1, true}, {0.05, 5, true}, {0.3, 30, true}, {1, 100, true}} {
		c := scenario.RunConfig{Verify: test.share}
		got := 0
		for seed := uint64(1); seed <= 100; seed++ {
			if c.Verifies(seed) {
				got++
			}
		}
		if got != test.want || c.Verifies(1) != test.first {
			t.Errorf("of 100 seeds at %v, %d are verified, want %d; the first: %v", test.share, got, test.want, c.Verifies(1))
		}
	}
	if c := (scenario.RunConfig{Verify: 1}); !c.Verifies(0) || !c.Verifies(1<<64-1) {
		t.Error("a share of all leaves out seeds at the ends")
	}
}

package share_test

import (
	"math"
	"testing"

	"github.com/frayrpc/fray/fray/core/share"
)

// TestOneAloneHasTheBound: of any bound, one alone gets just that.
func TestOneAloneHasTheBound(t *testing.T) {
	for _, bound := range []int64{0, 1, 2, 3, 7, 8, 9, 100, 4096} {
		own := int64(0)
		for share.Fits(bound, own, own, 1) {
			own++
		}
		if own != bound {
			t.Errorf("of %d one alone gets %d", bound, own)
		}
	}
}

// TestWhoComesLaterFindsRoom: one that has all it can get leaves room for others, and as all go on, and
// want all they can get, they come to have the same, with something left.
func TestWhoComesLaterFindsRoom(t *testing.T) {
	const bound = 8000
	have := make([]int64, 5)
	var all int64
	wants := func(i, n int) {
		for ; n > 0 && share.Fits(bound, all, have[i], 1); n-- {
			have[i]++
			all++
		}
	}
	wants(0, bound)
	for i := range have[1:] {
		if wants(i+1, bound); have[i+1] == 0 {
			t.Errorf("nothing is left for number %d", i+2)
		}
	}
	for range 20_000 {
		for i := range have {
			if have[i] > 0 {
				have[i]--
				all--
			}
			wants(i, 2)
		}
	}
	for _, n := range have {
		if n < bound/6 || n > bound/4 {
			t.Errorf("five that want all have %d", have)
		}
	}
	if all >= share.All(bound) {
		t.Errorf("they have %d together, and nothing is left of %d", all, share.All(bound))
	}
}

func TestSharesOfTheLargestBound(t *testing.T) {
	const most = math.MaxInt64
	if share.All(share.All(most)) < 0 || !share.Fits(most, 0, 0, 1) || share.Fits(most, most/2, most/2, 1) {
		t.Error("it overflows")
	}
}

func TestThereIsNoMoreThanAll(t *testing.T) {
	if share.Fits(16, 18, 0, 1) || !share.Fits(16, 17, 0, 1) || share.Fits(16, 17, 8, 1) || share.Fits(16, 0, 0, 17) {
		t.Error("more is given than there is")
	}
}

// Package share bounds what many share so that who has much of it leaves room for who has little:
// nobody may have more than Factor times what is left.
//
// A bound is what one alone may have. Beside it there is a spare part for the others, of which each
// that comes finds the less the more of them there are. After A. K. Choudhury and E. L. Hahne,
// Dynamic Queue Length Thresholds for Shared-Memory Packet Switches, IEEE/ACM Transactions on
// Networking 6(2), 1998.
//
// Its functions are pure.
package share

import "math"

// Factor is how many times as much as what is left one may have.
const Factor = 8

// most keeps sums of bounds, and what they are multiplied with, far from overflow.
const most = math.MaxInt64 / 4

// All returns how much all may have together, of whom one alone may have bound.
func All(bound int64) int64 {
	bound = min(bound, most)
	return bound + (bound+Factor-1)/Factor
}

// Fits says whether one that has own may have n more, of what all have all of together, its own
// included. None of them is negative.
func Fits(bound, all, own, n int64) bool {
	left := All(bound) - all - n
	return own+n <= bound && left >= 0 && (own+Factor-1)/Factor <= left
}

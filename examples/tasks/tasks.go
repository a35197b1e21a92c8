// Package tasks defines what the example worker runs and the example client asks for. Both import
// it, so that they agree on names and types.
package tasks

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/frayrpc/fray/fray"
)

// ErrTooLarge survives the way from worker to client, because the task declares it.
var ErrTooLarge = errors.New("number is too large")

// Interval is a range of numbers, From included and To not.
type Interval struct{ From, To int }

// Primes counts the primes in an interval.
var Primes = fray.Define("primes", countPrimes, fray.Errors(ErrTooLarge))

func countPrimes(ctx context.Context, in Interval) (int, error) {
	if in.To > 1<<40 {
		return 0, fmt.Errorf("primes to %d: %w", in.To, fray.NonRetryable(ErrTooLarge))
	}
	n := 0
	for i := max(in.From, 2); i < in.To; i++ {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if isPrime(i) {
			n++
		}
	}
	return n, nil
}

func isPrime(n int) bool {
	for d := 2; d <= int(math.Sqrt(float64(n))); d++ {
		if n%d == 0 {
			return false
		}
	}
	return true
}

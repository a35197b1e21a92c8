//go:build frayoverlay

package order_test

import (
	"fmt"
	"hash/fnv"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/sim/order"
)

// bug returns what went wrong, or "".
type bug func() string

// overdrawn checks and acts under a mutex, but not under one and the same lock of it. Nothing in it
// waits.
func overdrawn() string {
	var mu sync.Mutex
	balance := 100
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			mu.Lock()
			enough := balance >= 100
			mu.Unlock()
			if enough {
				mu.Lock()
				balance -= 100
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if balance < 0 {
		return "overdrawn"
	}
	return ""
}

// lostUpdate has two goroutines load and store an atomic.
func lostUpdate() string {
	var n atomic.Int64
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for range 3 {
				n.Store(n.Load() + 1)
			}
		})
	}
	group.Wait()
	if n.Load() != 6 {
		return fmt.Sprint("lost updates: ", n.Load())
	}
	return ""
}

// oneOrder needs five goroutines to come in one order of 120.
func oneOrder() string {
	if fmt.Sprint(arrivals(5)) == "[3 1 4 0 2]" {
		return "the order"
	}
	return ""
}

// arrivals returns the order in which n goroutines get a mutex.
func arrivals(n int) (came []int) {
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { mu.Lock(); came = append(came, i); mu.Unlock() })
	}
	group.Wait()
	return came
}

// sameInstant has a result and its deadline come at one instant.
func sameInstant() string {
	c := make(chan int, 1)
	go func() { time.Sleep(time.Second); c <- 1 }()
	select {
	case <-c:
		return ""
	case <-time.After(time.Second):
		return "timed out"
	}
}

// wholeWithin needs all that one goroutine does to come between two steps of another, which does much
// before.
func wholeWithin() string {
	const steps = 20
	var done, busy atomic.Int64
	var group sync.WaitGroup
	between := int64(0)
	group.Go(func() {
		for range steps {
			busy.Add(1)
		}
		before := done.Load()
		between = done.Load() - before
	})
	group.Go(func() {
		for range steps {
			done.Add(1)
		}
	})
	group.Wait()
	if between == steps {
		return "all of it came between"
	}
	return ""
}

// under runs f in a bubble that follows a seed.
func under(t *testing.T, seed uint64, f bug) (found string) {
	t.Helper()
	order.Next(seed)
	synctest.Test(t, func(*testing.T) { found = f() })
	return found
}

// Races that hardly ever show are found by some seed, and by that seed again, on however many
// processors.
func TestSeedsFindRaces(t *testing.T) {
	const seeds, replays = 1000, 20
	for name, test := range map[string]struct {
		bug   bug
		least int // seeds that find it
	}{
		"check then act": {overdrawn, 20}, "lost update": {lostUpdate, 20}, "one order": {oneOrder, 1}, "same instant": {sameInstant, 100},
		"whole within": {wholeWithin, 1},
	} {
		t.Run(name, func(t *testing.T) {
			under(t, 1, test.bug) // What is done only the first time.
			found, first, text := 0, uint64(0), ""
			for seed := uint64(1); seed <= seeds; seed++ {
				if got := under(t, seed, test.bug); got != "" {
					if found++; found == 1 {
						first, text = seed, got
					}
				}
			}
			t.Logf("found by %d of %d seeds, first by %d", found, seeds, first)
			if found < test.least || found == seeds {
				t.Errorf("found by %d of %d seeds, want from %d on, and not all", found, seeds, test.least)
			}
			for _, procs := range []int{1, 2, 8} {
				previous := runtime.GOMAXPROCS(procs)
				for range replays {
					if got := under(t, first, test.bug); got != text {
						t.Errorf("seed %d gives %q with GOMAXPROCS=%d, and gave %q", first, got, procs, text)
					}
				}
				runtime.GOMAXPROCS(previous)
			}
		})
	}
}

// With seed 0 goroutines come in the order in which they could.
func TestSeedZeroIsFirstInFirstOut(t *testing.T) {
	got := under(t, 0, func() string {
		return fmt.Sprint(arrivals(6))
	})
	if want := "[0 1 2 3 4 5]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Seeds give different orders.
func TestSeedsExplore(t *testing.T) {
	const seeds = 1000
	orders := map[uint64]bool{}
	for seed := range uint64(seeds) {
		h := fnv.New64a()
		under(t, seed+1, func() string {
			var group sync.WaitGroup
			c := make(chan int)
			for i := range 8 {
				group.Go(func() {
					for j := range 3 {
						c <- i*10 + j
					}
				})
			}
			go func() { group.Wait(); close(c) }()
			for v := range c {
				fmt.Fprintln(h, v)
			}
			return ""
		})
		orders[h.Sum64()] = true
	}
	t.Logf("%d seeds gave %d orders", seeds, len(orders))
	if len(orders) < seeds*9/10 {
		t.Errorf("%d seeds gave %d orders", seeds, len(orders))
	}
}

// The seed of a bubble can be chosen within, which is what package sim does.
func TestBegin(t *testing.T) {
	draw := func(first, second uint64) string {
		return under(t, first, func() string {
			if !order.Begin(second) {
				t.Error("the bubble follows no seed")
			}
			return fmt.Sprint(arrivals(8))
		})
	}
	if a, b := draw(1, 7), draw(2, 7); a != b {
		t.Errorf("got %s and %s under one seed", a, b)
	}
	if a, b := draw(1, 7), draw(1, 8); a == b {
		t.Errorf("got %s under two seeds", a)
	}
}

// What waits without blocking goes on in the end, and is counted.
func TestSpinningIsCounted(t *testing.T) {
	before := order.Count()
	under(t, 5, func() string {
		var ready atomic.Int32
		var group sync.WaitGroup
		var stop bool
		group.Go(func() {
			for ready.Load() == 0 && !stop {
			}
		})
		group.Go(func() { ready.Store(1) })
		group.Wait()
		return ""
	})
	if s := order.Count().Since(before); s.Turns == 0 {
		t.Errorf("got %+v", s)
	}
}

package abroad_test

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/frayrpc/fray/examples/abroad"
	"github.com/frayrpc/fray/sim/order"
)

// One function runs at a time, and the race detector knows it.
func TestTellTakesTurns(t *testing.T) {
	t.Parallel()
	const goroutines, each = 8, 1000
	told := map[int]int{}
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			for i := range each {
				abroad.Tell(func() { told[i]++ })
			}
		})
	}
	group.Wait()
	for i := range each {
		if told[i] != goroutines {
			t.Fatalf("%d was told %d times, want %d", i, told[i], goroutines)
		}
	}
}

// A function that panics does not keep others out.
func TestTellPanics(t *testing.T) {
	t.Parallel()
	func() {
		defer func() {
			if got := recover(); got != "broken" {
				t.Errorf("recovered %v, want the panic of the function", got)
			}
		}()
		abroad.Tell(func() { panic("broken") })
	}()
	called := false
	abroad.Tell(func() { called = true })
	if !called {
		t.Error("the function was not called")
	}
}

// To tell is no place at which another goroutine goes on. Turns are counted for the process, so this test
// runs alone.
func TestTellKeepsTheTurn(t *testing.T) {
	if !order.Followed() {
		t.Skip("goroutines do not follow the seed: run this with fray-sim test")
	}
	turns := func(seed uint64, tell func(func())) (n uint64) {
		synctest.Test(t, func(*testing.T) {
			order.Begin(seed)
			before := order.Count()
			var group sync.WaitGroup
			for range 4 {
				group.Go(func() {
					for range 100 {
						tell(func() {})
					}
				})
			}
			group.Wait()
			n = order.Count().Since(before).Turns
		})
		return n
	}
	for seed := range uint64(20) {
		want := turns(seed, func(f func()) { f() })
		if got := turns(seed, abroad.Tell); got != want {
			t.Errorf("seed %d has %d turns, and %d without Tell", seed, got, want)
		}
	}
}

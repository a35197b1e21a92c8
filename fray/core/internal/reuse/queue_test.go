package reuse_test

import (
	"math/rand/v2"
	"testing"

	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

// A queue gives its elements in the order in which they came, however it went round and grew.
func TestQueueKeepsOrder(t *testing.T) {
	t.Parallel()
	var q reuse.Queue[*int]
	r := rand.New(rand.NewPCG(1, 2))
	first, next := 0, 0
	for round := range 2_000 {
		most := 16
		if round%500 < 20 {
			most = 3_000 // It grows, and then shrinks.
		}
		for range r.IntN(most) {
			n := next
			q.Push(&n)
			next++
		}
		if q.Len() != next-first {
			t.Fatalf("round %d: there are %d, want %d", round, q.Len(), next-first)
		}
		for i := range q.Len() {
			if *q.At(i) == nil || **q.At(i) != first+i {
				t.Fatalf("round %d: element %d is not %d", round, i, first+i)
			}
		}
		dropped := r.IntN(q.Len() + 1)
		q.Drop(dropped)
		first += dropped
	}
}

// A queue of little that comes and goes takes no more memory, and one that was long gives it back.
func TestQueueTakesLittleMemory(t *testing.T) { // Not parallel: it counts allocations.
	var q reuse.Queue[int]
	turn := func() {
		for i := range 100 {
			q.Push(i)
		}
		q.Drop(50)
		q.Drop(50)
	}
	turn()
	if n := testing.AllocsPerRun(100, turn); n != 0 {
		t.Errorf("%v allocations for what there was room for", n)
	}
	for i := range 1 << 20 {
		q.Push(i)
	}
	for q.Len() > 0 {
		q.Drop(min(q.Len(), 64))
	}
	if room := reuse.Room(&q); room > 4096 {
		t.Errorf("room for %d elements is kept", room)
	}
}

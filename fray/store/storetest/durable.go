package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/frayrpc/fray/fray/store"
)

// Medium holds a store that outlives its process: what one leaves there, the next one opened finds.
type Medium interface {
	// Open opens the store, or creates it. The one opened before must have been closed.
	Open(t *testing.T) store.Store
	// Crash returns the medium as a power cut at this moment leaves it, while the store goes on
	// with the old one. Chance decides what is left of what was not synced. A medium that cannot
	// crash returns nil.
	Crash(t *testing.T, chance *rand.Rand) Medium
}

// RunDurable runs the suite of stores that outlive their process, whose commits are on disk when
// they return. It is in addition to Run.
func RunDurable(t *testing.T, medium func(t *testing.T) Medium) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, m Medium)
	}{
		{"what was committed is there after reopening", reopens},
		{"what was deleted is not there after reopening", reopensWithout},
		{"a store can be opened again and again", reopensOften},
		{"a crash keeps what was acknowledged, and batches whole", crashes},
		{"a batch that is not lazy keeps the lazy ones before it", lazyThenNot},
		{"a crash keeps what concurrent callers were told", crashesConcurrently},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, medium(t)) })
	}
}

func closeStore(t *testing.T, s store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func reopens(t *testing.T, m Medium) {
	s := m.Open(t)
	commit(t, s, func(b *store.Batch) {
		b.Set(key(1), []byte("one"))
		b.Set(key(2), nil)
		b.Set(store.Key{Kind: store.Result, Num: 1}, make([]byte, 1<<20))
	})
	closeStore(t, s)
	s = m.Open(t)
	defer closeStore(t, s)
	wantValue(t, s, key(1), "one")
	wantValue(t, s, key(2), "")
	if v, err := s.Get(store.Key{Kind: store.Result, Num: 1}); err != nil || len(v) != 1<<20 {
		t.Errorf("a large value has %d bytes, %v", len(v), err)
	}
}

func reopensWithout(t *testing.T, m Medium) {
	s := m.Open(t)
	commit(t, s, func(b *store.Batch) {
		b.Set(key(1), []byte("one"))
		b.Set(key(2), []byte("two"))
	})
	closeStore(t, s)
	s = m.Open(t)
	commit(t, s, func(b *store.Batch) { b.Delete(key(1)) })
	closeStore(t, s)
	s = m.Open(t)
	defer closeStore(t, s)
	wantMissing(t, s, key(1))
	wantValue(t, s, key(2), "two")
}

func reopensOften(t *testing.T, m Medium) {
	const rounds = 10
	for n := range uint64(rounds) {
		s := m.Open(t)
		commit(t, s, func(b *store.Batch) { b.Set(key(n), []byte("v")) })
		closeStore(t, s)
	}
	s := m.Open(t)
	defer closeStore(t, s)
	if got, err := scan(s, 0); err != nil || got != "0=v 1=v 2=v 3=v 4=v 5=v 6=v 7=v 8=v 9=v " {
		t.Errorf("after %d rounds the store has %q, %v", rounds, got, err)
	}
}

func crashes(t *testing.T, m Medium) {
	const rounds = 50
	s := m.Open(t)
	defer closeStore(t, s)
	chance := rand.New(rand.NewPCG(1, 2))
	for n := range uint64(rounds) {
		commit(t, s, func(b *store.Batch) {
			b.Set(key(1), fmt.Append(nil, n))
			b.Set(key(2), fmt.Append(nil, n))
			b.Set(key(100+n), []byte("v"))
		})
		crashed := m.Crash(t, chance)
		if crashed == nil {
			t.Skip("this medium cannot crash")
		}
		left := crashed.Open(t)
		wantValue(t, left, key(1), strconv.FormatUint(n, 10))
		wantValue(t, left, key(2), strconv.FormatUint(n, 10))
		wantValue(t, left, key(100+n), "v")
		closeStore(t, left)
	}
}

func lazyThenNot(t *testing.T, m Medium) {
	s := m.Open(t)
	defer closeStore(t, s)
	commit(t, s, func(b *store.Batch) { b.Set(key(1), []byte("not lazy")) })
	commit(t, s, func(b *store.Batch) {
		b.Lazy = true
		b.Set(key(2), []byte("lazy"))
		b.Delete(key(1))
	})
	commit(t, s, func(b *store.Batch) { b.Set(key(3), []byte("not lazy")) })
	crashed := m.Crash(t, rand.New(rand.NewPCG(5, 6)))
	if crashed == nil {
		t.Skip("this medium cannot crash")
	}
	left := crashed.Open(t)
	defer closeStore(t, left)
	wantMissing(t, left, key(1))
	wantValue(t, left, key(2), "lazy")
	wantValue(t, left, key(3), "not lazy")
}

// crashesConcurrently has callers commit records in turn, each its own, and crashes while they do.
func crashesConcurrently(t *testing.T, m Medium) {
	const callers, rounds, crashes = 8, 100, 10
	s := m.Open(t)
	defer closeStore(t, s)
	var acknowledged [callers]atomic.Uint64 // rounds
	var wg sync.WaitGroup
	defer wg.Wait()
	for c := range uint64(callers) {
		wg.Go(func() {
			for n := range uint64(rounds) {
				var b store.Batch
				b.Set(key(c*rounds+n), fmt.Append(nil, n))
				b.Set(store.Key{Kind: store.Result, Num: c}, fmt.Append(nil, n))
				if err := s.Commit(&b); err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				acknowledged[c].Store(n + 1)
			}
		})
	}
	chance := rand.New(rand.NewPCG(3, 4))
	for range crashes {
		var atLeast [callers]uint64
		for c := range atLeast {
			atLeast[c] = acknowledged[c].Load()
		}
		crashed := m.Crash(t, chance)
		if crashed == nil {
			t.Skip("this medium cannot crash")
		}
		left := crashed.Open(t)
		for c := range uint64(callers) {
			found := uint64(0)
			for ; found < rounds; found++ {
				if _, err := left.Get(key(c*rounds + found)); errors.Is(err, store.ErrNotFound) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if found < atLeast[c] {
				t.Errorf("caller %d was told of %d commits, and %d are left", c, atLeast[c], found)
			}
			if found > 0 {
				wantValue(t, left, store.Key{Kind: store.Result, Num: c}, strconv.FormatUint(found-1, 10))
			}
		}
		closeStore(t, left)
	}
}

package refs_test

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/frayrpc/fray/fray/core/internal/refs"
)

// A table says of any key what a map does, also where many have one hash.
func TestTableFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	for name, hash := range map[string]func(refs.Ref) uint32{
		"spread":     func(r refs.Ref) uint32 { return uint32(r) * 0x9e3779b1 },
		"one hash":   func(refs.Ref) uint32 { return 7 },
		"neighbours": func(r refs.Ref) uint32 { return uint32(r) % 16 },
		"around 0":   func(r refs.Ref) uint32 { return uint32(r)%16 - 8 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var table refs.Table
			known := make(map[refs.Ref]bool)
			r := rand.New(rand.NewPCG(1, 2))
			for i := range 20_000 {
				ref := refs.Ref(r.Uint32N(64))
				found, free, ok := table.Find(hash(ref), func(other refs.Ref) bool { return other == ref })
				switch {
				case ok != known[ref] || ok && found != ref:
					t.Fatalf("step %d: %d is found: %v, %d; want %v", i, ref, ok, found, known[ref])
				case ok:
					table.Remove(hash(ref), ref, hash)
					delete(known, ref)
				default:
					table.Add(hash(ref), free, ref)
					known[ref] = true
				}
				if table.Len() != len(known) {
					t.Fatalf("step %d: there are %d, want %d", i, table.Len(), len(known))
				}
			}
		})
	}
}

// What was there once costs nothing for ever, and what is left is found.
func TestTableShrinks(t *testing.T) { // Not parallel: it looks at the heap.
	const most, left, spare = 1 << 20, 100, 1 << 20
	hash := func(r refs.Ref) uint32 { return uint32(r) * 0x9e3779b1 }
	before := heap()
	var table refs.Table
	for r := range refs.Ref(most) {
		_, free, _ := table.Find(hash(r), func(refs.Ref) bool { return false })
		table.Add(hash(r), free, r)
	}
	if grown := heap() - before; grown < 8*most {
		t.Errorf("%d things take %d bytes: what is measured?", most, grown)
	}
	for r := range refs.Ref(most - left) {
		table.Remove(hash(r), r, hash)
	}
	if grown := heap() - before; grown > spare {
		t.Errorf("%d things of once %d take %d bytes", left, most, grown)
	}
	for r := refs.Ref(most - left); r < most; r++ {
		if _, _, ok := table.Find(hash(r), func(other refs.Ref) bool { return other == r }); !ok {
			t.Fatalf("%d is not found", r)
		}
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

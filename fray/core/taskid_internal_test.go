package core

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// An id is packed only if it comes back as it was, byte for byte.
func TestIDsArePacked(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"01ARZ3NDEKTSV4RRFFQ69G5FAV":    true,
		"00000000000000000000000000":    true,
		"7ZZZZZZZZZZZZZZZZZZZZZZZZZ":    true,
		"80000000000000000000000000":    false, // More than 128 bits.
		"01arz3ndektsv4rrffq69g5fav":    false, // The same number as the first.
		"01ARZ3NDEKTSV4RRFFQ69G5FAI":    false, // I, L, O and U are no letters of it.
		"01ARZ3NDEKTSV4RRFFQ69G5FAL":    false,
		"O1ARZ3NDEKTSV4RRFFQ69G5FAV":    false,
		"01ARZ3NDEKTSV4RRFFQ69G5FAU":    false,
		"01ARZ3NDEKTSV4RRFFQ69G5FA":     false,
		"01ARZ3NDEKTSV4RRFFQ69G5FAVV":   false,
		"01ARZ3NDEKTSV4RRFFQ69G5FA\xff": false,
		"":                              false,
	} {
		p, ok := packID(id)
		if ok != want {
			t.Errorf("%q is packed: %v, want %v", id, ok, want)
		}
		if back := string(p.unpack(nil)); ok && back != id {
			t.Errorf("%q comes back as %q", id, back)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		var id strings.Builder
		id.WriteByte(ulidLetters[r.IntN(8)])
		for id.Len() < ulidBytes {
			id.WriteByte(ulidLetters[r.IntN(len(ulidLetters))])
		}
		p, ok := packID(id.String())
		if back := string(p.unpack(nil)); !ok || back != id.String() {
			t.Fatalf("%q is packed: %v, and comes back as %q", id.String(), ok, back)
		}
	}
}

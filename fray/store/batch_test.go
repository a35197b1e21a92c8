package store_test

import (
	"testing"

	"github.com/frayrpc/fray/fray/store"
)

// TestLargeBatchIsLetGo: an empty batch keeps the memory of an ordinary one, and not that of a very
// large one.
func TestLargeBatchIsLetGo(t *testing.T) {
	t.Parallel()
	var b store.Batch
	for _, c := range []struct{ size, least, most int }{{100, 100, 4096}, {100_000, 0, 4096}} {
		for i := range c.size {
			b.Delete(store.Key{Kind: store.Spec, Num: uint64(i)}) // Not negative.
		}
		b.Reset()
		if room := cap(b.Ops()); room < c.least || room > c.most || len(b.Ops()) > 0 {
			t.Errorf("after %d changes an empty batch has room for %d", c.size, room)
		}
	}
}

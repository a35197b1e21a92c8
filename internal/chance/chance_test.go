package chance_test

import (
	"testing"

	"github.com/frayrpc/fray/internal/chance"
)

func TestNew(t *testing.T) {
	t.Parallel()
	first := chance.New(7, "attempt/a.1", 1).Uint64()
	if again := chance.New(7, "attempt/a.1", 1).Uint64(); again != first {
		t.Errorf("the same source draws %x and %x", first, again)
	}
	for _, other := range []uint64{
		chance.New(8, "attempt/a.1", 1).Uint64(), chance.New(7, "attempt/a.2", 1).Uint64(), chance.New(7, "attempt/a.1", 2).Uint64(),
	} {
		if other == first {
			t.Errorf("two sources draw %x", first)
		}
	}
}

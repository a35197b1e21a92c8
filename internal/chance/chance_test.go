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

// The expected numbers are the first that SplitMix64 gives from the seed 0: its state grows by the same increment each time.
func TestMix(t *testing.T) {
	t.Parallel()
	const increment = 0x9e3779b97f4a7c15
	state := uint64(0)
	for _, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f} {
		if got := chance.Mix(state); got != want {
			t.Errorf("Mix(%x) = %x, want %x", state, got, want)
		}
		state += increment
	}
}

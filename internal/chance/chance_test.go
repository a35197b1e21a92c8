package chance_test

import (
	"hash/fnv"
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

// The expected numbers are the first that SplitMix64 gives from the seed 0: its state grows by the
// same increment each time.
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

func TestHashIsThatOfTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "latency", "\xff\x00", "/acme.v1.PingService/Ping"} {
		h := fnv.New64a()
		h.Write([]byte(text))
		if a, b := chance.Hash(chance.HashBasis, text), chance.Hash(chance.HashBasis, []byte(text)); a != h.Sum64() || b != a {
			t.Errorf("the hash of %q is %x, and of its bytes %x, want %x", text, a, b, h.Sum64())
		}
	}
	if got, want := chance.Hash(chance.Hash(chance.HashBasis, "a"), "b"), chance.Hash(chance.HashBasis, "ab"); got != want {
		t.Errorf("that of two parts is %x, and of the whole %x", got, want)
	}
}

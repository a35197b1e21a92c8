package controller

import (
	"bytes"
	"crypto/rand"
	"math/bits"
	"testing"

	"github.com/frayrpc/fray/fray/core"
)

func testSeal(tb testing.TB) seal {
	tb.Helper()
	key, err := newSealKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := newSeal(key)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// What callers see of a token leads back to it, and nothing else does.
func TestSealIsAPermutation(t *testing.T) {
	t.Parallel()
	s := testSeal(t)
	first := uint64(7) << 40
	tokens := []core.Token{0, 1, 1 << 63, ^core.Token(0)}
	for n := range uint64(10_000) {
		tokens = append(tokens, core.Token(first+n+1))
	}
	// Zero's image, and what has zero as its own, change places.
	var b scratch
	tokens = append(tokens, core.Token(s.invert(&b, 0)), core.Token(s.permute(&b, 0)))
	shown := s.outAll(tokens)
	seen := make(map[uint64]core.Token)
	for i, x := range shown {
		if old, ok := seen[x]; ok && old != tokens[i] {
			t.Errorf("%x and %x both look like %x", old, tokens[i], x)
		}
		seen[x] = tokens[i]
		if (x == 0) != (tokens[i] == 0) {
			t.Errorf("%x looks like %x", tokens[i], x)
		}
		if s.out(tokens[i]) != x || s.in(x) != tokens[i] {
			t.Errorf("%x looks like %x, which leads to %x", tokens[i], x, s.in(x))
		}
	}
	for i, back := range s.inAll(shown) {
		if back != tokens[i] {
			t.Errorf("%x comes back as %x", tokens[i], back)
		}
	}
	if s.inAll(nil) != nil || s.outAll(nil) != nil {
		t.Error("an empty list is not nil")
	}
}

// The next token cannot be told from the last: half of its bits differ, each as often as not.
func TestSealShowsNoOrder(t *testing.T) {
	t.Parallel()
	s := testSeal(t)
	const n = 20_000
	var flipped [64]int
	sum := 0
	for i := range core.Token(n) {
		d := s.out(1<<40+i+1) ^ s.out(1<<40+i+2)
		sum += bits.OnesCount64(d)
		for bit := range flipped {
			flipped[bit] += int(d >> bit & 1)
		}
	}
	if mean := float64(sum) / n; mean < 31.5 || mean > 32.5 {
		t.Errorf("neighbours differ in %.2f bits", mean)
	}
	for bit, times := range flipped {
		if share := float64(times) / n; share < 0.45 || share > 0.55 {
			t.Errorf("bit %d differs in %.3f of all", bit, share)
		}
	}
}

// Another key gives other tokens, and a key that is cut short none.
func TestSealKeys(t *testing.T) {
	t.Parallel()
	a, b := testSeal(t), testSeal(t)
	if a.out(1) == b.out(1) {
		t.Error("two keys give the same token")
	}
	if _, err := newSealKey(bytes.NewReader(make([]byte, sealKeySize-1))); err == nil {
		t.Error("half a key is a key")
	}
	if _, err := newSeal(make([]byte, sealKeySize-1)); err == nil {
		t.Error("a short key is taken")
	}
}

func BenchmarkSeal(b *testing.B) {
	s := testSeal(b)
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			s.out(core.Token(i))
		}
	})
	tokens := make([]core.Token, 1000)
	for i := range tokens {
		tokens[i] = core.Token(i + 1)
	}
	b.Run("of 1000", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i += len(tokens) {
			s.outAll(tokens)
		}
	})
}

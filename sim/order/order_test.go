package order_test

import (
	"testing"

	"github.com/frayrpc/fray/sim/order"
)

func TestStats(t *testing.T) {
	t.Parallel()
	if s := (order.Stats{Turns: 9, Broken: 2}).Since(order.Stats{Turns: 4, Broken: 2}); s != (order.Stats{Turns: 5}) || !s.Replays() {
		t.Errorf("got %+v", s)
	}
	if (order.Stats{Broken: 1}).Replays() || (order.Stats{Passed: 1}).Replays() {
		t.Error("what does not follow the seed replays")
	}
}

func TestBeginOutsideOfABubble(t *testing.T) {
	t.Parallel()
	if order.Begin(7) {
		t.Error("there is no bubble to follow the seed")
	}
}

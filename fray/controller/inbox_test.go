package controller

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// TestInboxInPortions: what waits is taken in its order, in portions, and nothing that was taken is
// kept or moved.
func TestInboxInPortions(t *testing.T) {
	t.Parallel()
	const waiting, limit = 10_000, 64
	var b inbox
	b.init(4*waiting, func() core.Time { return 1 })
	b.open()
	put := func(n int) {
		for range n {
			if err := b.put(&item{call: core.CallID(b.calls[forCommit].Load() + 1), of: b.callsOf(""), bytes: 1}); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(waiting)
	first := &b.items[limit]
	var got []*item
	last, portions := core.CallID(0), 0
	for more := true; more; portions++ {
		var next core.Time
		got, next = b.take(got[:0], limit, 1000)
		more = next != core.Never
		if len(got) > limit {
			t.Fatalf("%d calls are taken, and %d may be", len(got), limit)
		}
		for _, i := range got {
			if last++; i.call != last {
				t.Fatalf("call %d is taken as number %d", i.call, last)
			}
		}
		if portions == 0 {
			if &b.older[b.taken] != first {
				t.Error("what waits was moved because something before it was taken")
			}
			put(waiting / 2) // Behind all others.
		}
	}
	if want := core.CallID(waiting + waiting/2); last != want {
		t.Errorf("%d calls are taken, want %d", last, want)
	}
	if got, next := b.take(nil, limit, 1000); len(got) > 0 || next != core.Never || cap(b.items) > maxKept || cap(b.older) > maxKept {
		t.Errorf("an empty inbox gives %d calls and keeps room for %d and %d", len(got), cap(b.items), cap(b.older))
	}
	put(3)
	for i := range 3 { // The bytes of one fill a step.
		if got, next := b.take(nil, limit, 1); len(got) != 1 || (next != core.Never) != (i < 2) {
			t.Errorf("%d calls are taken though one is enough, and the next came at %d", len(got), next)
		}
	}
}

// TestReadsComeLater: that a call's answer is read is taken up after the instant at which it was, in the order of the
// calls, and soon also if nothing else comes.
func TestReadsComeLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		now := func() core.Time { return core.Time(time.Since(began) + time.Hour) }
		var b inbox
		b.init(1, now)
		b.open()
		for _, call := range []core.CallID{3, 1, 2} {
			b.read(call)
		}
		if got := b.takeReads(nil, now()); len(got) > 0 {
			t.Errorf("%d reads are taken up at their own instant", len(got))
		}
		<-b.wake
		if took := time.Since(began); took != leastSleep {
			t.Errorf("the loop is woken after %v", took)
		}
		b.read(4)
		var calls []core.CallID
		for _, e := range b.takeReads(nil, now()) {
			calls = append(calls, e.(*core.Forsake).Call)
		}
		if !slices.Equal(calls, []core.CallID{1, 2, 3}) {
			t.Errorf("calls %v are taken up", calls)
		}
		<-b.wake
		if got := b.takeReads(nil, now()); len(got) != 1 || time.Since(began) != 2*leastSleep {
			t.Errorf("%d reads are taken up after %v", len(got), time.Since(began))
		}
		b.close()
		b.read(5)
		if len(b.reads) > 0 {
			t.Error("one that is closed keeps what is read")
		}
	})
}

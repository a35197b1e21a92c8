package maprun

import (
	"context"
	"testing"
	"testing/synctest"
)

// take admits as many commands as there is room for.
func take(w *window) (n int) {
	for w.tryAdmit() {
		n++
	}
	return n
}

func TestOutputWindow(t *testing.T) {
	t.Parallel()
	w := newWindow(1000, 2, false)
	if n := take(w); n != 4 {
		t.Fatalf("%d commands at the beginning, of which nothing is known: want twice the slots", n)
	}
	w.ended(100)
	if n := take(w); n != 6 {
		t.Errorf("%d more, with room for 9 outputs of 100 bytes and 3 open: want 6", n)
	}
	w.ended(900)
	if n := take(w); n != 0 {
		t.Errorf("%d more with the window full of output", n)
	}
	w.printed(100)
	w.printed(900)
	if n := take(w); n != 0 {
		t.Errorf("%d more, with 8 open and room for one output as long as the last: the cluster needs 4", n)
	}
	for range 8 {
		w.ended(0)
		w.printed(0)
	}
	for range 1000 {
		if !w.tryAdmit() {
			t.Fatal("no room with nothing open")
		}
		w.ended(0)
		w.printed(0)
	}
	if n := take(w); n != 1000 {
		t.Errorf("%d commands that print nothing, want as many as there are bytes", n)
	}
}

func TestOutputWindowIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(10, 1, false)
		take(w)
		admitted := make(chan bool, 1)
		go func() { admitted <- w.admit(t.Context()) }()
		synctest.Wait()
		w.ended(10) // a place, and no room
		synctest.Wait()
		if len(admitted) > 0 {
			t.Fatal("admitted while the window was full")
		}
		w.printed(10)
		if !<-admitted {
			t.Error("not admitted")
		}
		ctx, cancel := context.WithCancel(t.Context())
		take(w)
		go func() { admitted <- w.admit(ctx) }()
		synctest.Wait()
		cancel()
		if <-admitted {
			t.Error("admitted after the end")
		}
	})
}

// With an exact window, there are never more commands open than slots.
func TestExactWindowHasAPlaceForEachSlot(t *testing.T) {
	t.Parallel()
	w := newWindow(1000, 3, true)
	if n := take(w); n != 3 {
		t.Fatalf("%d commands, want one for each slot", n)
	}
	w.ended(1)
	if n := take(w); n != 1 {
		t.Errorf("%d more when one has ended and is not printed, want 1", n)
	}
}

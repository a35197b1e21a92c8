package fray

import (
	"context"
	"sync"
)

// Blocker is the slot of a running attempt, which it lends while it waits for other tasks. Without that, a worker
// whose every slot is taken by a task that waits for a child could never run the children.
//
// A job context calls the methods in turn, Block first, never two at once.
type Blocker interface {
	// Block gives the slot away. It does not wait.
	Block()
	// Unblock takes a slot back, and waits until there is one or the attempt is to stop. In that case the
	// attempt goes on without a slot, for it has to end.
	Unblock()
}

type lenderKey struct{}

// WithBlocker returns a context in which waiting for a future lends b's slot. Backends and workers call it; a
// program has no need to.
func WithBlocker(ctx context.Context, b Blocker) context.Context {
	return context.WithValue(ctx, lenderKey{}, &lender{blocker: b})
}

// lend gives the slot of the attempt that ctx belongs to away, and returns what takes it back. Outside of a task
// it does nothing.
func lend(ctx context.Context) (takeBack func()) {
	l, ok := ctx.Value(lenderKey{}).(*lender)
	if !ok {
		return func() {}
	}
	l.lend()
	return l.takeBack
}

// lender lends one slot for any number of goroutines of one attempt: it is lent while at least one of them waits.
// To take it back as soon as the first has what it waits for could starve what the others wait for.
type lender struct {
	blocker Blocker

	mu      sync.Mutex
	waiting int  // goroutines between lend and takeBack
	taking  bool // a goroutine is in Unblock
}

func (l *lender) lend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting++
	if l.waiting == 1 && !l.taking {
		l.blocker.Block()
	}
}

func (l *lender) takeBack() {
	l.mu.Lock()
	l.waiting--
	if l.waiting > 0 || l.taking {
		l.mu.Unlock()
		return
	}
	l.taking = true
	l.mu.Unlock()

	l.blocker.Unblock()

	l.mu.Lock()
	defer l.mu.Unlock()
	l.taking = false
	if l.waiting > 0 { // others began to wait meanwhile
		l.blocker.Block()
	}
}

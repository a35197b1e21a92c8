package fray

import (
	"context"
	"sync"
)

// Blocker is the slot of a running attempt, which it lends while it waits for other tasks. Without that, a worker
// whose every slot is taken by a task that waits for a child could never run the children.
//
// A job context calls the methods in turn, Block first, never two at once, and from any goroutine: whoever tells an attempt what it
// waited for asks for its slot, so that slots come back in the order in which tasks ended, and not in that in which goroutines woke.
type Blocker interface {
	// Block gives the slot away. It does not wait.
	Block()
	// Unblock asks for a slot. It does not wait: what it returns does, until there is one or the attempt is to stop. In that case
	// the attempt goes on without a slot, for it has to end.
	Unblock() (wait func())
}

type lenderKey struct{}

// WithBlocker returns a context in which waiting for a future lends b's slot. Backends and workers call it; a
// program has no need to.
func WithBlocker(ctx context.Context, b Blocker) context.Context {
	return context.WithValue(ctx, lenderKey{}, &lender{blocker: b})
}

// lender lends one slot for any number of goroutines of one attempt: it is lent while at least one of them waits.
// To take it back as soon as the first has what it waits for could starve what the others wait for.
type lender struct {
	blocker Blocker

	mu      sync.Mutex
	waiting int  // loans that are not over
	taking  bool // the slot was asked for, and whoever is to wait for it has not returned
}

// loan is the slot of an attempt, lent for the time of one wait. A nil loan is that of a wait outside of a task.
type loan struct {
	lender *lender

	// Guarded by the lender's mutex.
	over bool
	wait func() // for the slot; nil: it is not this goroutine that does
}

// lend gives the slot of the attempt that ctx belongs to away.
func lend(ctx context.Context) *loan {
	m, ok := ctx.Value(lenderKey{}).(*lender)
	if !ok {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting++
	if m.waiting == 1 && !m.taking {
		m.blocker.Block()
	}
	return &loan{lender: m}
}

// end asks for the slot, for what was waited for is there. Whoever brings it calls this before it wakes the goroutine that waits.
func (l *loan) end() {
	if l == nil {
		return
	}
	m := l.lender
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.over {
		return
	}
	l.over = true
	m.waiting--
	if m.waiting == 0 && !m.taking {
		m.taking = true
		l.wait = m.blocker.Unblock()
	}
}

// takeBack ends the wait, and returns with the slot, unless others of the attempt still wait.
func (l *loan) takeBack() {
	if l == nil {
		return
	}
	l.end()
	m := l.lender
	m.mu.Lock()
	wait := l.wait
	m.mu.Unlock()
	if wait == nil {
		return
	}
	wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.taking = false
	if m.waiting > 0 { // others began to wait meanwhile
		m.blocker.Block()
	}
}

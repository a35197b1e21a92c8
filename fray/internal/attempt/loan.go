package attempt

import (
	"context"
	"sync"
)

// A Slot is that of a running attempt, which it lends while it waits for other tasks. Without that,
// a worker whose every slot is taken by a task that waits for a child could never run the children.
//
// A job context calls the methods in turn, Block first, never two at once, and from any goroutine:
// the goroutine that tells an attempt what it waited for asks for its slot, so that slots come back
// in the order in which tasks ended, and not in that in which goroutines woke.
type Slot interface {
	// Block gives the slot away. It does not wait.
	Block()
	// Unblock asks for a slot. It does not wait: what it returns does, until there is one or the
	// attempt is to stop. In that case the attempt goes on without a slot, for it has to end.
	Unblock() (wait func())
}

type lenderKey struct{}

// WithSlot returns the context of an attempt that lends its slot while it waits for a future.
func WithSlot(ctx context.Context, s Slot) context.Context {
	return context.WithValue(ctx, lenderKey{}, &lender{slot: s})
}

// lender lends one slot for any number of goroutines of one attempt: it is lent while at least one
// of them waits. To take it back as soon as the first has what it waits for could starve what the
// others wait for.
type lender struct {
	slot Slot

	mu      sync.Mutex
	waiting int  // loans that are not over
	taking  bool // the slot was asked for, and the goroutine that is to wait for it has not returned
}

// A Loan is the slot of an attempt, lent for the time of one wait. A nil Loan is that of a wait
// outside of a task.
type Loan struct {
	lender *lender

	// Guarded by the lender's mutex.
	over bool
	wait func() // for the slot; nil: it is not this goroutine that does
}

// Lend gives the slot of the attempt that ctx belongs to away.
func Lend(ctx context.Context) *Loan {
	m, ok := ctx.Value(lenderKey{}).(*lender)
	if !ok {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting++
	if m.waiting == 1 && !m.taking {
		m.slot.Block()
	}
	return &Loan{lender: m}
}

// End asks for the slot, for what was waited for is there. The goroutine that brings it calls this
// before it wakes the one that waits.
func (l *Loan) End() {
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
		l.wait = m.slot.Unblock()
	}
}

// TakeBack ends the wait, and returns with the slot, unless others of the attempt still wait.
func (l *Loan) TakeBack() {
	if l == nil {
		return
	}
	l.End()
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
		m.slot.Block()
	}
}

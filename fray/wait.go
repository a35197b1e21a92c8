package fray

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/frayrpc/fray/fray/internal/attempt"
)

// Awaitable is a [Future] of any type.
type Awaitable interface {
	// ID returns the id of the task.
	ID() string
	// Done returns a channel that is closed when the task has ended.
	Done() <-chan struct{}

	// pending is where the end comes. A future that has travelled has its task asked for by that.
	pending(ctx context.Context) *promise
}

// Wait waits until n of the futures are done, or timeout has passed, and returns those that are and
// those that are not, each in the order in which they were given. More than n may be done. A
// timeout is no error; 0 means not to wait at all, and a negative one to wait as long as ctx lives.
// A done future may have failed: its Get tells.
//
// It is an error if n is less than 1 or more than there are futures. If ctx is done first, Wait
// returns its error beside the futures as they are then.
func Wait[F Awaitable](ctx context.Context, futures []F, n int, timeout time.Duration) (done, pending []F, err error) {
	if n < 1 || n > len(futures) {
		return nil, futures, fmt.Errorf("wait for %d of %d futures: must be from 1 to %d", n, len(futures), len(futures))
	}
	err = waitFor(ctx, futures, n, timeout)
	for _, f := range futures {
		if f.pending(ctx).isSettled() {
			done = append(done, f)
		} else {
			pending = append(pending, f)
		}
	}
	if len(done) >= n {
		err = nil
	}
	return done, pending, because(ctx, pending, err)
}

// because adds to the error of a context what the first of these futures that is pending waits for
// in vain.
func because[F Awaitable](ctx context.Context, futures []F, err error) error {
	if err == nil {
		return nil
	}
	for _, f := range futures {
		if b, ok := any(f).(interface{ because(err error) error }); ok && !f.pending(ctx).isSettled() {
			return b.because(err)
		}
	}
	return err
}

func waitFor[F Awaitable](ctx context.Context, futures []F, n int, timeout time.Duration) error {
	if timeout == 0 {
		return nil
	}
	c := newCompletions(ctx, futures)
	defer c.close()
	outer := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	for range n {
		if _, ok := c.take(); ok {
			n--
		}
	}
	if n == 0 {
		return nil
	}
	// Lent once for all that is still to come: to take the slot back after each would be to wait
	// for it each time.
	loan := attempt.Lend(outer)
	defer loan.TakeBack()
	c.expect(n, loan)
	for range n {
		if _, ok := c.next(ctx); !ok {
			break
		}
	}
	return outer.Err()
}

// AsCompleted ranges over the futures as they are done, those that are already in the order in
// which they were given. If ctx is done first, it yields the zero F with the error of ctx, and
// ends.
//
//	for f, err := range fray.AsCompleted(ctx, futures) {
//		if err != nil {
//			return err
//		}
//		value, err := f.Get(ctx)
//		...
//	}
func AsCompleted[F Awaitable](ctx context.Context, futures []F) iter.Seq2[F, error] {
	return func(yield func(F, error) bool) {
		c := newCompletions(ctx, futures)
		defer c.close()
		for range futures {
			i, ok := c.take()
			if !ok {
				loan := attempt.Lend(ctx)
				c.expect(1, loan)
				i, ok = c.next(ctx)
				loan.TakeBack()
			}
			if !ok {
				var none F
				yield(none, because(ctx, futures, ctx.Err()))
				return
			}
			if !yield(futures[i], nil) {
				return
			}
		}
	}
}

// completions tells which futures are done, in the order in which they were, at a constant cost for
// each.
type completions struct {
	promises  []*promise
	listeners []*listener // nil: was done from the start

	wake chan struct{} // has a token if ready is not empty

	mu    sync.Mutex
	ready []int // indices that are done and not yet told
	// The loan that ends when so many more are done, or the one with this index is; nil: none does.
	loan   *attempt.Loan
	awaits int
	only   int // -1: whichever are done
}

func newCompletions[F Awaitable](ctx context.Context, futures []F) *completions {
	c := makeCompletions(len(futures))
	for i, f := range futures {
		c.watch(i, f.pending(ctx))
	}
	return c
}

// makeCompletions returns completions with room for n futures, of which none is watched yet.
func makeCompletions(n int) *completions {
	return &completions{
		promises: make([]*promise, n), listeners: make([]*listener, n), wake: make(chan struct{}, 1), only: -1,
	}
}

// watch has p told of by an index: one of those that there is room for, or the next one, and not that
// of another that is not done.
func (c *completions) watch(i int, p *promise) {
	if i == len(c.promises) {
		c.promises, c.listeners = append(c.promises, nil), append(c.listeners, nil)
	}
	l := &listener{ended: func() { c.add(i) }, wake: func() { signal(c.wake) }}
	c.promises[i], c.listeners[i] = p, l
	if !p.listen(l) {
		c.listeners[i] = nil
		c.add(i)
	}
}

func (c *completions) add(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = append(c.ready, i)
	if c.awaits--; (c.awaits == 0 && c.only < 0) || (i == c.only) {
		c.loan.End()
	}
}

// expect ends the loan when n futures are done and not yet taken.
func (c *completions) expect(n int, l *attempt.Loan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loan, c.awaits, c.only = l, n-len(c.ready), -1
	if c.awaits <= 0 {
		l.End()
	}
}

// expectOnly ends the loan when the future with this index is done, which has not been taken.
func (c *completions) expectOnly(i int, l *attempt.Loan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loan, c.only = l, i
	if slices.Contains(c.ready, i) {
		l.End()
	}
}

// take returns the index of a future that is done, if there is one.
func (c *completions) take() (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ready) == 0 {
		return 0, false
	}
	i := c.ready[0]
	c.ready = c.ready[1:]
	return i, true
}

// next waits for the next future, and returns false if ctx is done first. One goroutine may call it
// at a time.
func (c *completions) next(ctx context.Context) (int, bool) {
	for {
		if i, ok := c.take(); ok {
			return i, true
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			return c.take()
		}
	}
}

// close detaches c from the futures that are not done.
func (c *completions) close() {
	for i, l := range c.listeners {
		if l != nil {
			c.promises[i].unlisten(l)
		}
	}
}

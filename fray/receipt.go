package fray

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/frayrpc/fray/fray/internal/attempt"
)

// maxReceiptErrors is how many refusals of a RunAll its error tells in full.
const maxReceiptErrors = 8

// lendAfter is how long a task waits for a submission before it lends its slot. Most are answered
// sooner than a slot could be lent and taken back; but behind a full queue, the slot may be what
// the queue waits for.
const lendAfter = 100 * time.Millisecond

// receipt gathers the answers to the calls of one Run, RunAll or Map.
type receipt struct {
	done chan struct{} // closed with the last answer

	mu      sync.Mutex
	loan    *attempt.Loan // of the goroutine that waits
	gone    error         // why nobody waits any longer
	open    int
	errs    []error
	refused int
}

func newReceipt(calls int) *receipt {
	return &receipt{open: calls, done: make(chan struct{})}
}

// add expects an answer more. One must still be to come.
func (r *receipt) add() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open++
}

// abandon has those calls refused that the backend has not passed on yet, unless nobody waits for it
// anyway.
func (r *receipt) abandon(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone == nil {
		r.gone = cause
	}
}

// answer counts one call: nil if it was accepted, or why it was refused.
func (r *receipt) answer(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.refused++
		if len(r.errs) < maxReceiptErrors {
			r.errs = append(r.errs, err)
		}
	}
	r.open--
	if r.open == 0 {
		r.loan.End()
		close(r.done)
	}
}

// wait returns when all calls are answered, with the errors of those that were refused, or when ctx
// is done.
func (r *receipt) wait(ctx context.Context) error {
	if !isClosed(r.done) {
		timer := time.NewTimer(lendAfter)
		select {
		case <-r.done:
		case <-ctx.Done():
		case <-timer.C:
			r.lend(ctx)
		}
		timer.Stop()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open > 0 {
		r.gone = ctx.Err()
		return r.gone
	}
	if more := r.refused - len(r.errs); more > 0 {
		return errors.Join(append(r.errs[:len(r.errs):len(r.errs)], fmt.Errorf("and %d more", more))...)
	}
	if len(r.errs) == 1 {
		return r.errs[0]
	}
	return errors.Join(r.errs...)
}

// accept tells the receipt of c that the backend has it. Its input is the backend's to clear.
func (c *call) accept() {
	if r := c.receipt; r != nil {
		c.receipt = nil
		r.answer(nil)
	}
}

// refuse tells the receipt and the future of c that the backend does not have it.
func (c *call) refuse(err error) {
	c.promise.mu.Lock()
	c.refused = !c.settled
	c.promise.mu.Unlock()
	c.settle(Payload{}, err)
	if r := c.receipt; r != nil {
		c.receipt = nil
		r.answer(err)
	}
}

// lend waits for the last answer while ctx lives, and lends the slot of the task that ctx belongs
// to meanwhile.
func (r *receipt) lend(ctx context.Context) {
	loan := attempt.Lend(ctx)
	defer loan.TakeBack()
	r.mu.Lock()
	r.loan = loan
	r.mu.Unlock()
	select {
	case <-r.done:
	case <-ctx.Done():
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// abandoned returns why nobody waits for the answer any longer, or nil.
func (r *receipt) abandoned() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gone
}

package attempt

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// MaxStackBytes is how much of a panic's stack is kept.
const MaxStackBytes = 16 << 10

// ErrExited is the error of a function that ended its goroutine in place of returning, by
// runtime.Goexit or testing.T.FailNow.
var ErrExited = errors.New("function ended its goroutine without returning")

// PanicError is the error of a function that panicked.
type PanicError struct {
	// Value is what it panicked with.
	Value any
	// Stack is the stack of its goroutine, at most MaxStackBytes of it.
	Stack []byte
}

// Error returns the panic's value as text.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error) // a value that is no error unwraps to nil
	return err
}

// TimeoutError is the error of a function that ran past its timeout, and the cause of its context.
type TimeoutError struct {
	Timeout time.Duration
}

// Error names the timeout.
func (e *TimeoutError) Error() string { return fmt.Sprintf("ran past its timeout of %v", e.Timeout) }

// Unwrap returns context.DeadlineExceeded.
func (*TimeoutError) Unwrap() error { return context.DeadlineExceeded }

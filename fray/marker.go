package fray

import (
	"time"

	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// maxRetryAfter is the longest delay that a function can ask for.
const maxRetryAfter = limit.RetryGap

// NonRetryable marks err: the task that returns it, or an error that wraps it, fails without another attempt. The
// text stays as it is. It returns nil for nil.
func NonRetryable(err error) error {
	if err == nil {
		return nil
	}
	return &nonRetryableError{err}
}

// RetryAfter marks err: if the task that returns it has an attempt left, that starts after d in place of the
// policy's backoff. d is rounded up to a millisecond and is at most a day. It returns nil for nil.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, min(max(roundUpMillis(d), time.Millisecond), maxRetryAfter)}
}

// roundUpMillis rounds d up to what the wire can say.
func roundUpMillis(d time.Duration) time.Duration {
	return number.FromMillis(number.Millis(d))
}

type nonRetryableError struct{ error }

func (e *nonRetryableError) Unwrap() error { return e.error }

type retryAfterError struct {
	error

	after time.Duration
}

func (e *retryAfterError) Unwrap() error { return e.error }

// declaredError is an error of a function, and the declared sentinel that it is.
type declaredError struct {
	error

	sentinel error
}

func (e *declaredError) Unwrap() error { return e.error }

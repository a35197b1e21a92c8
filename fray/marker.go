package fray

import (
	"errors"
	"fmt"
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

// HandBack marks err: it says nothing of the task, but that it could not be started here and now, such as for want of memory. A
// worker hands the attempt of a function that returns it back to the controller, which gives it to a worker anew, as often as that
// happens and at no charge. On the local backends it is an error like any other. It returns nil for nil.
func HandBack(err error) error {
	if err == nil {
		return nil
	}
	return &handBackError{err}
}

// HandedBack reports whether err is marked by [HandBack]. Workers call it; a program has no need to.
func HandedBack(err error) bool {
	var handBack *handBackError
	return errors.As(err, &handBack)
}

// WithDetails attaches a value to err: what a function has to show besides the error. It goes to the client with the last attempt of the
// task, also if that ran past its timeout, and [DetailsOf] finds it in the task's error. The value travels as a result does,
// and within the bounds of one. It returns nil for nil.
func WithDetails[T any](err error, value T) error {
	if err == nil {
		return nil
	}
	codec, codecErr := codecOf[T]()
	if codecErr != nil {
		return errors.Join(err, fmt.Errorf("details: %w", codecErr))
	}
	payload, codecErr := codec.encode(value)
	if codecErr != nil {
		return errors.Join(err, fmt.Errorf("details: %w", codecErr))
	}
	return &detailedError{err, payload}
}

// DetailsOf returns the value that [WithDetails] attached to err, or to the error that its task ended with. It reports false if there is
// none, or none of type T.
func DetailsOf[T any](err error) (T, bool) {
	var (
		none     T
		payload  Payload
		detailed *detailedError
		ended    *TaskError
	)
	switch {
	case errors.As(err, &ended) && ended.details != nil:
		payload = *ended.details
	case errors.As(err, &detailed):
		payload = detailed.details
	default:
		return none, false
	}
	codec, err := codecOf[T]()
	if err != nil {
		return none, false
	}
	value, err := codec.decode(payload)
	return value, err == nil
}

type handBackError struct{ error }

func (e *handBackError) Unwrap() error { return e.error }

type detailedError struct {
	error

	details Payload
}

func (e *detailedError) Unwrap() error { return e.error }

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

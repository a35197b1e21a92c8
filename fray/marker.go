package fray

import (
	"errors"
	"fmt"
	"time"

	"github.com/frayrpc/fray/fray/internal/failure"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// maxRetryAfter is the longest delay that a function can ask for.
const maxRetryAfter = limit.RetryGap

// NonRetryable marks err: the task that returns it, or an error that wraps it, fails without
// another attempt. The text stays as it is. It returns nil for nil.
func NonRetryable(err error) error {
	if err == nil {
		return nil
	}
	return failure.Mark(err, failure.NonRetryable{})
}

// RetryAfter marks err: if the task that returns it has an attempt left, that starts after d in
// place of the policy's backoff. d is rounded up to a millisecond and is at most a day. It returns
// nil for nil.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return failure.Mark(err, failure.RetryAfter(min(max(roundUpMillis(d), time.Millisecond), maxRetryAfter)))
}

// roundUpMillis rounds d up to what the wire can say.
func roundUpMillis(d time.Duration) time.Duration {
	return number.FromMillis(number.Millis(d))
}

// HandBack marks err: it says nothing of the task, but that it could not be started here and now,
// such as for want of memory. A worker hands the attempt of a function that returns it back to the
// controller, which gives it to a worker anew, as often as that happens and at no charge. On the
// local backends it is an error like any other. It returns nil for nil.
func HandBack(err error) error {
	if err == nil {
		return nil
	}
	return failure.Mark(err, failure.HandBack{})
}

// WithDetails attaches a value to err: what a function has to show besides the error. It goes to
// the client with the last attempt of the task, also if that ran past its timeout, and [DetailsOf]
// finds it in the task's error. The value travels as a result does, and within the bounds of one.
// It returns nil for nil.
func WithDetails[T any](err error, value T) error {
	if err == nil {
		return nil
	}
	codec, codecErr := codecOf[T]()
	if codecErr != nil {
		return errors.Join(err, fmt.Errorf("details: %w", codecErr))
	}
	payload, codecErr := codec.encode(value, nil)
	if codecErr != nil {
		return errors.Join(err, fmt.Errorf("details: %w", codecErr))
	}
	return failure.Mark(err, failure.Details{Payload: &frayv1.Payload{Encoding: payload.Encoding, Data: payload.Data}})
}

// DetailsOf returns the value that [WithDetails] attached to err, or to the error that its task
// ended with. It reports false if there is none, or none of type T.
func DetailsOf[T any](err error) (T, bool) {
	var (
		none  T
		ended *TaskError
	)
	details, ok := failure.MarkOf[failure.Details](err)
	payload := Payload{Encoding: details.Payload.GetEncoding(), Data: details.Payload.GetData()}
	switch {
	case errors.As(err, &ended) && ended.details != nil:
		payload = *ended.details
	case !ok:
		return none, false
	}
	codec, err := codecOf[T]()
	if err != nil {
		return none, false
	}
	value, err := codec.decode(payload)
	return value, err == nil
}

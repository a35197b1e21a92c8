package worker

import (
	"errors"

	"github.com/frayrpc/fray/fray/core/slots"
)

// Causes of the end of an attempt's context, besides its execution timeout, which is
// context.DeadlineExceeded.
var (
	// ErrStopped: the controller asked for it, because a client cancelled the task or the attempt
	// is no longer its current one.
	ErrStopped = errors.New("attempt is stopped by the controller")
	// ErrSessionLost: the worker's session is gone, and the attempt's lease with it.
	ErrSessionLost = errors.New("worker session is lost")
	// ErrLeaving: the worker leaves, and the grace for running attempts is over.
	ErrLeaving = errors.New("worker leaves")
	// errReturned ends the contexts that outlive their attempt.
	errReturned = errors.New("attempt has returned")
)

// ErrJobUnwatched is what Run returns once the worker has left because no client watches the job of
// its Config.JobLease.
var ErrJobUnwatched = errors.New("no client watches the job that the worker is there for")

// ErrRunTwice is returned by the second call of Run.
var ErrRunTwice = errors.New("worker has been run before: make a new one")

func causeError(c slots.Cause) error {
	switch c {
	case slots.SessionLost:
		return ErrSessionLost
	case slots.Leaving:
		return ErrLeaving
	default:
		return ErrStopped
	}
}

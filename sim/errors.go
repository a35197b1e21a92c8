package sim

import (
	"errors"
	"fmt"
)

// How a run ends before its time. They are wrapped with what was going on.
var (
	// ErrMaxSteps says that a run has released Config.MaxSteps messages.
	ErrMaxSteps = errors.New("step limit reached")
	// ErrMaxTime says that Config.MaxTime of virtual time has passed.
	ErrMaxTime = errors.New("time limit reached")
	// ErrDeadlock says that for Config.Quiet nothing was sent, in flight or at an end, and the run
	// is not done.
	ErrDeadlock = errors.New("deadlock")
	// ErrSpins says that software asks for the time again and again, for ever, at one instant.
	ErrSpins = errors.New("software spins")
	// ErrClosed says that the simulation is over.
	ErrClosed = errors.New("simulation is closed")
)

// Causes of the end of a Host's context.
var (
	// ErrCrashed is the cause for an incarnation that has crashed. Whatever it does from then on
	// has no effect.
	ErrCrashed = errors.New("host has crashed")
	// ErrStopped is the cause for an incarnation that was asked to stop, and goes on until its
	// software returns.
	ErrStopped = errors.New("host was stopped")
)

// A SoftwareError says that the software of a host has ended with an error, which ends the run.
type SoftwareError struct {
	Host        string
	Incarnation int
	Err         error
}

// Error implements error.
func (e *SoftwareError) Error() string {
	return fmt.Sprintf("software of %s (incarnation %d): %v", e.Host, e.Incarnation, e.Err)
}

// Unwrap returns the software's own error.
func (e *SoftwareError) Unwrap() error { return e.Err }

// A PanicError is a panic of software or of a handler.
type PanicError struct {
	Value any
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// errGoexit is what software that calls runtime.Goexit, as a test's FailNow does, ends with.
var errGoexit = errors.New("goroutine was ended from within")

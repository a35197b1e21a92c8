package command

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"connectrpc.com/connect"
)

// Exit codes. They are part of the interface of each command: see "fray help exit-codes".
const (
	ExitOK          = 0
	ExitTaskFailed  = 1
	ExitUsage       = 2
	ExitUnavailable = 3
	ExitNotFound    = 4
	ExitTimedOut    = 5
	ExitSignal      = 128 // and the signal's number
)

// CodedError is an error that knows what the command exits with.
type CodedError struct {
	Code int
	Err  error // nil: everything has been said
}

// Error returns the text of Err.
func (e *CodedError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns Err.
func (e *CodedError) Unwrap() error { return e.Err }

// UsageError is about what the user wrote.
func UsageError(format string, args ...any) error {
	return &CodedError{Code: ExitUsage, Err: fmt.Errorf(format, args...)}
}

// SignalError is the cause of the end of a context that a signal ended.
type SignalError struct{ Signal os.Signal }

// Error names the signal.
func (e *SignalError) Error() string {
	if e.Signal == os.Interrupt {
		return "interrupted"
	}
	return "ended by signal: " + e.Signal.String()
}

// ExitCode is what a command exits with after err.
func ExitCode(err error) int {
	var coded *CodedError
	var interrupt *SignalError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &interrupt):
		if number, ok := interrupt.Signal.(syscall.Signal); ok {
			return ExitSignal + int(number)
		}
		return ExitSignal + int(syscall.SIGINT)
	case errors.As(err, &coded):
		return coded.Code
	case connect.CodeOf(err) == connect.CodeNotFound:
		return ExitNotFound
	case connect.CodeOf(err) == connect.CodeInvalidArgument:
		return ExitUsage
	default:
		return ExitUnavailable
	}
}

// said reports whether err has nothing left to print.
func said(err error) bool {
	var coded *CodedError
	return errors.As(err, &coded) && coded.Err == nil
}

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/cmd/fray/internal/maprun"
)

// Exit codes. They are part of the command's interface: see exitCodesHelp.
const (
	exitOK          = 0
	exitTaskFailed  = 1
	exitUsage       = 2
	exitUnavailable = 3
	exitNotFound    = 4
	exitTimedOut    = 5
	exitSignal      = 128 // and the signal's number
)

const exitCodesHelp = `  0    all went well
  1    a task failed or was cancelled, or a command of map did
  2    the command line, the environment or the configuration file is wrong
  3    the controller cannot be reached, refuses the call, or cannot be started
  4    there is no such task or worker
  5    the wait was longer than its timeout; the task goes on
  130  interrupted by SIGINT (Ctrl-C); 143 by SIGTERM, 129 by SIGHUP
  141  what reads the output of map is gone (SIGPIPE), as in: fray map ... | head -1

controller, worker and dev exit with 0 when a signal ends them in good order.
`

// codedError is an error that knows what the command exits with.
type codedError struct {
	code int
	err  error // nil: everything has been said
}

func (e *codedError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *codedError) Unwrap() error { return e.err }

// usageError is about what the user wrote.
func usageError(format string, args ...any) error {
	return &codedError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// silent exits with code after the command has said itself what there was to say.
func silent(code int) error { return &codedError{code: code} }

// signalError is the cause of the end of a context that a signal ended.
type signalError struct{ signal os.Signal }

func (e *signalError) Error() string {
	if e.signal == os.Interrupt {
		return "interrupted"
	}
	return "ended by signal: " + e.signal.String()
}

// exitCode is what the command exits with after err.
func exitCode(err error) int {
	var coded *codedError
	var argument *maprun.ArgumentError
	var interrupt *signalError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &interrupt):
		if number, ok := interrupt.signal.(syscall.Signal); ok {
			return exitSignal + int(number)
		}
		return exitSignal + int(syscall.SIGINT)
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &argument):
		return exitUsage
	case connect.CodeOf(err) == connect.CodeNotFound:
		return exitNotFound
	case connect.CodeOf(err) == connect.CodeInvalidArgument:
		return exitUsage
	default:
		return exitUnavailable
	}
}

// said reports whether err has nothing left to print.
func said(err error) bool {
	var coded *codedError
	return errors.As(err, &coded) && coded.err == nil
}

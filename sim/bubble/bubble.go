// Package bubble runs functions in testing/synctest bubbles outside of go test.
//
// Only package testing can make a bubble, and only for a *testing.T. [Run] gets one by running,
// once in the life of the process, a test that package testing is told of at run time, and keeps
// that test open; [In] uses the one of a test that runs anyway. Nothing that package testing prints
// or decides reaches the program, its flags are neither parsed nor heeded, and it never exits.
//
//	err := bubble.Run(func() {
//		time.Sleep(24 * time.Hour) // returns at once
//	})
package bubble

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
)

var (
	// ErrDeadlock says that all goroutines of a bubble were blocked for good. They are still there.
	ErrDeadlock = errors.New("bubble is deadlocked")
	// ErrGoexit says that the function has ended its goroutine.
	ErrGoexit = errors.New("function called runtime.Goexit")
	// ErrTest says that Run was called under go test, where In is to be used.
	ErrTest = errors.New("bubble.Run is not for tests: use bubble.In")
)

// A PanicError is a panic of the function. That of another goroutine in the bubble ends the
// process, as ever.
type PanicError struct {
	Value any
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// job is a function on its way to the goroutine of the test.
type job struct {
	f    func()
	done chan error
}

var (
	begin sync.Once
	jobs  chan job
)

// Run runs f in a bubble and returns when f and all goroutines that it has started have ended. It
// returns a *PanicError if f panics, ErrDeadlock or ErrGoexit. Calls from several goroutines take
// turns. It must not be called from within a bubble.
func Run(f func()) error {
	if testing.Testing() {
		return ErrTest
	}
	begin.Do(start)
	j := job{f: f, done: make(chan error, 1)}
	jobs <- j
	return <-j.done
}

// In returns a function that does what Run does in a test or benchmark's own T, with the same
// errors.
func In(t *testing.T) func(f func()) error {
	t.Helper()
	return func(f func()) error { return run(t, f) }
}

// start opens the test that makes bubbles. It lasts as long as the process.
func start() {
	jobs = make(chan job)
	ready := make(chan struct{})
	args, procs := os.Args, runtime.GOMAXPROCS(0) //nolint:forbidigo // They are hidden from package testing, which parses them.
	os.Args = args[:min(1, len(args))]            //nolint:forbidigo // As above; restored below.
	go testing.Main(
		func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "bubble", F: func(t *testing.T) { //nolint:thelper // It is no helper but the test.
			close(ready)
			for j := range jobs {
				j.done <- run(t, j.f)
			}
		}}}, nil, nil)
	<-ready
	os.Args = args //nolint:forbidigo // As it was.
	runtime.GOMAXPROCS(procs)
}

// run runs f in a bubble of a test.
func run(t *testing.T, f func()) (err error) {
	t.Helper()
	var outcome error
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrDeadlock, v)
		}
	}()
	synctest.Test(t, func(*testing.T) {
		// Not on the test's own goroutine, which must not end from within.
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			outcome = ErrGoexit
			outcome = call(f)
		}()
		<-ended
	})
	return outcome
}

// call calls f and turns a panic into an error. The caller sees nothing if f calls runtime.Goexit.
func call(f func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	f()
	return nil
}

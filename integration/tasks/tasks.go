// Package tasks holds the functions that the end-to-end suite runs: its tests and the program
// testworker link the same definitions, as a client and its workers do.
//
//	future, err := tasks.Square.Run(ctx, 7)
package tasks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/internal/sleep"
)

// ErrBroken is the sentinel that Fail can fail with.
var ErrBroken = errors.New("it is broken")

// All returns every function here.
func All() []fray.Function {
	return []fray.Function{
		Noop, Square, Echo, Reverse, Digest, Zeros, Sleep, Nested, Fail, Panic, Exit, NotANumber, Touch, Drawn, Held, Crash, Counters, Add,
	}
}

// Noop returns its input.
var Noop = fray.Define("noop", func(_ context.Context, in []byte) ([]byte, error) { return in, nil })

// Square returns n*n.
var Square = fray.Define("square", func(_ context.Context, n int) (int, error) { return n * n, nil })

// Tree is a value of any depth.
type Tree struct {
	Name     string            `json:"name"`
	Weights  []float64         `json:"weights,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	At       time.Time         `json:"at"`
	Raw      []byte            `json:"raw,omitempty"`
	Parent   *int64            `json:"parent,omitempty"`
	Children []Tree            `json:"children,omitempty"`
}

// Echo returns its input, decoded and encoded again.
var Echo = fray.Define("echo", func(_ context.Context, in Tree) (Tree, error) { return in, nil })

// Reverse returns its bytes in reverse, which proves that a worker had them all.
var Reverse = fray.Define("reverse", func(_ context.Context, in []byte) ([]byte, error) {
	out := make([]byte, len(in))
	for i, b := range in {
		out[len(in)-1-i] = b
	}
	return out, nil
})

// Digest returns the SHA-256 of its bytes.
var Digest = fray.Define("digest", func(_ context.Context, in []byte) (string, error) {
	sum := sha256.Sum256(in)
	return hex.EncodeToString(sum[:]), nil
})

// Zeros returns n bytes.
var Zeros = fray.Define("zeros", func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil })

// Sleep sleeps, or returns the cause of its context's end.
var Sleep = fray.Define("sleep", func(ctx context.Context, d time.Duration) (string, error) {
	if err := sleep.For(ctx, d); err != nil {
		return "", err
	}
	return workerID(ctx), nil
})

// Family says how many children a task has, and how many generations there are below it.
type Family struct {
	Children int `json:"children"`
	Depth    int `json:"depth"`
}

// Nested runs a task for each of its children, waits for all, and returns how many tasks there are
// in the family.
var Nested *fray.Task[Family, int]

func init() {
	// In init, because the function names its own task.
	Nested = fray.Define("nested", func(ctx context.Context, f Family) (int, error) {
		if f.Depth == 0 {
			return 1, nil
		}
		children := make([]Family, f.Children)
		for i := range children {
			children[i] = Family{Children: f.Children, Depth: f.Depth - 1}
		}
		futures, err := Nested.RunAll(ctx, children)
		if err != nil {
			return 0, err
		}
		sum := 1
		for child, err := range fray.AsCompleted(ctx, futures) {
			if err != nil {
				return 0, err
			}
			n, err := child.Get(ctx)
			if err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	})
}

// Failure says how to fail.
type Failure struct {
	Message string `json:"message"`
	// Sentinel wraps ErrBroken.
	Sentinel bool `json:"sentinel,omitempty"`
	// Final marks the error as not to be retried.
	Final bool `json:"final,omitempty"`
	// RetryAfter asks for the next attempt after it.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	// Mute makes an error whose Error method panics.
	Mute bool `json:"mute,omitempty"`
	// Until is the attempt that succeeds. 0: none does.
	Until int `json:"until,omitempty"`
}

// mute is an error that has no text to give.
type mute struct{}

func (mute) Error() string { panic("no text") }

// Fail fails as it is asked to, and returns the number of the attempt that does not.
var Fail = fray.Define("fail", func(ctx context.Context, f Failure) (int, error) {
	info, _ := fray.InTask(ctx)
	if f.Until > 0 && info.Attempt >= f.Until {
		return info.Attempt, nil
	}
	if f.Mute {
		return 0, mute{}
	}
	err := errors.New(f.Message)
	if f.Sentinel {
		err = fmt.Errorf("%s: %w", f.Message, ErrBroken)
	}
	if f.Final {
		err = fray.NonRetryable(err)
	}
	if f.RetryAfter > 0 {
		err = fray.RetryAfter(err, f.RetryAfter)
	}
	return 0, err
}, fray.Errors(ErrBroken))

// Panic panics.
var Panic = fray.Define("panic", func(_ context.Context, message string) (int, error) { panic(message) })

// NotANumber returns a value that JSON has no way to write.
var NotANumber = fray.Define("nan", func(context.Context, struct{}) (float64, error) { return math.NaN(), nil })

func workerID(ctx context.Context) string {
	info, _ := fray.InTask(ctx)
	return info.WorkerID
}

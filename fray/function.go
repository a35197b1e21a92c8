package fray

import (
	"context"
	"time"

	"github.com/frayrpc/fray/fray/internal/attempt"
)

// Payload is an encoded value: the input or the result of a function.
type Payload struct {
	// Encoding names how Data is encoded: "json", "proto" or "raw". Empty only without data.
	Encoding string
	// Data is the encoded value. The receiver of a Payload may keep Data, and must not change it.
	Data []byte
}

// Function is what a worker executes: a name and what to do with an encoded input. A [Task] is one.
type Function interface {
	// Name is the name under which tasks ask for the function.
	Name() string
	// Invoke executes the function once. It returns the function's own error as it is, and an
	// *UndecodableError when the input cannot be decoded or the result not be encoded. It does not recover
	// from a panic of the function: its caller does.
	Invoke(ctx context.Context, input Payload) (Payload, error)
}

// TaskInfo tells a running function which attempt of which task it is.
type TaskInfo struct {
	TaskID   string
	JobID    string
	Function string
	// WorkerID names the worker that runs it: "sync" and "threadpool" on the backends of these
	// names.
	WorkerID string
	// Attempt counts from 1. It rises with every attempt, also with those after a worker was lost.
	Attempt int
	// MaxAttempts is the number of attempts that the retry policy allows.
	MaxAttempts int
	// Gang is its place in the gang that it is of; zero: it is of none.
	Gang GangPlace
	// NotBefore is the time before which it was not to start, in UTC: of a run of a [Schedule], its time. Zero: there was none.
	NotBefore time.Time
}

// InTask tells which attempt ctx belongs to. It reports false outside of a task.
func InTask(ctx context.Context) (TaskInfo, bool) { return attempt.Info[TaskInfo](ctx) }

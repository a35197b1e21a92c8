package fray

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
)

// Errors of making and finding a job context.
var (
	// ErrNoJobContext is returned when a context carries no job context.
	ErrNoJobContext = errors.New("no job context: pass a context made by fray.NewContext")
)

// Errors that a task, or a wait for it, ends with.
var (
	// ErrClosed is what the open futures of a job context end with once it is closed, and what it
	// answers after that.
	ErrClosed = errors.New("job context is closed")
	// ErrCancelled is what a cancelled task ends with. Its error is context.Canceled, too.
	ErrCancelled = errors.New("task is cancelled")
	// ErrWorkerLost is what a task ends with that more workers died of than its budget allows.
	ErrWorkerLost = errors.New("worker is lost")
	// ErrSchedulingTimeout is what a task ends with that did not start in time.
	ErrSchedulingTimeout = errors.New("task did not start within its scheduling timeout")
	// ErrDependencyFailed is what a task ends with that depends on one which did not complete.
	ErrDependencyFailed = errors.New("a task that it depends on did not complete")
	// ErrUndecodable is what a task ends with whose input could not be decoded, or its result not
	// be encoded.
	ErrUndecodable = errors.New("payload cannot be decoded or encoded")
	// ErrTaskLost is what a task ends with that the controller no longer knows: it restarted
	// without a durable store, or the result is past its retention.
	ErrTaskLost = errors.New("controller does not know the task")
	// ErrObjectLost is what reading a [Ref] ends with whose job does not hold the value: it was released, or
	// the job's time is over, or the controller is another one.
	ErrObjectLost = errors.New("controller does not have the object")
	// ErrActorDead is what a call ends with whose actor is dead: it was deleted, or could not be constructed,
	// or was restarted too often.
	ErrActorDead = errors.New("actor is dead")
	// ErrActorRestarted is what a call ends with that was handed to an incarnation of its actor which is
	// gone: it may have been executed, in whole or in part. The actor lives on.
	ErrActorRestarted = errors.New("actor was restarted while it had the call")
	// ErrUnknownActor is what a call, a deletion or a search is answered with for an actor that there is
	// none of, or no longer.
	ErrUnknownActor = errors.New("no such actor is known")
	// ErrUnknownSchedule is what a deletion or a search is answered with for a schedule that there is none of, or no
	// longer.
	ErrUnknownSchedule = errors.New("no such schedule is known")
	// ErrNoSchedules is what whoever asks for schedules is answered with on the sync and threadpool backends.
	ErrNoSchedules = errors.New("schedules need a controller, which keeps them: use the fray backend")
	// ErrJobFailed is what Run, RunAll and Map are answered with once the job has failed as a whole, or one that it
	// is a part of, see [WithMaxFailed].
	ErrJobFailed = errors.New("the job has failed as a whole")
	// ErrJobDiffers is what they are answered with where the job was made with other options than those of the job
	// context, or without.
	ErrJobDiffers = errors.New("the job has other options")
	// ErrUnknownJob is what they are answered with where the controller does not know the job of [WithParentJob].
	ErrUnknownJob = errors.New("no such job is known")
	// ErrAlreadyExists is what Run returns, and the future of RunAll ends with, when the id of
	// [WithTaskID] is that of a task with another function, input or options; and what Create returns when
	// the name is that of an actor of another class or input, and Schedule where it is that of a schedule which differs.
	ErrAlreadyExists = errors.New("another task has this id")
)

// Reason says why a task ended without a value.
type Reason string

// The reasons.
const (
	// ReasonApplication: the function returned an error or panicked.
	ReasonApplication Reason = "application error"
	// ReasonTimeout: the last attempt ran past its execution timeout.
	ReasonTimeout Reason = "execution timeout"
	// ReasonWorkerLost: too many workers died while they ran it.
	ReasonWorkerLost Reason = "worker lost"
	// ReasonSchedulingTimeout: it did not start in time.
	ReasonSchedulingTimeout Reason = "scheduling timeout"
	// ReasonDependencyFailed: a task that it depends on did not complete.
	ReasonDependencyFailed Reason = "dependency failed"
	// ReasonUndecodable: its input could not be decoded, or its result not be encoded.
	ReasonUndecodable Reason = "undecodable"
	// ReasonActorRestarted: it is a call, and the incarnation of its actor that had it is gone.
	ReasonActorRestarted Reason = "actor restarted"
	// ReasonActorDead: it is a call, and its actor is dead.
	ReasonActorDead Reason = "actor dead"
	// ReasonCancelled: a client cancelled it.
	ReasonCancelled Reason = "cancelled"
	// ReasonTaskLost: the controller no longer knows it.
	ReasonTaskLost Reason = "task lost"
)

// TaskError is why a task ended without a value.
//
// errors.Is finds in it, by its reason, [context.DeadlineExceeded] (execution timeout),
// [ErrCancelled] and [context.Canceled], [ErrWorkerLost], [ErrSchedulingTimeout], [ErrDependencyFailed],
// [ErrUndecodable], [ErrActorRestarted], [ErrActorDead] or [ErrTaskLost]; and for an error of the function, the one of the sentinels declared with
// [Errors] that the function's error is.
type TaskError struct {
	TaskID   string
	Function string
	// Attempt is the number of the last attempt, from 1; 0 if there was none.
	Attempt int
	// MaxAttempts is the number of attempts that the retry policy allows. Attempts whose worker was
	// lost are not counted against it, so Attempt can be greater.
	MaxAttempts int
	// WorkerID is the worker of the last attempt; empty if there was none.
	WorkerID string
	Reason   Reason
	// Message is the text of the function's error, at most 16 KiB. Empty if there is none.
	Message string
	// Type is the Go type of the function's error, or "panic".
	Type string
	// Stack is the stack of the goroutine that panicked, at most 16 KiB.
	Stack string
	// Cause is the id of the task that was the first not to complete, of those that this one depends on, also by
	// others; of [ReasonDependencyFailed].
	Cause string

	cause   error    // a declared sentinel; nil: none
	details *Payload // of WithDetails; nil: none
}

// Error names the task, its function, the attempt, the worker and the cause.
func (e *TaskError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "task %s (%s)", e.TaskID, e.Function)
	if e.Attempt > 0 {
		fmt.Fprintf(&b, ": attempt %d of %d", e.Attempt, max(e.MaxAttempts, 1))
		if e.WorkerID != "" {
			fmt.Fprintf(&b, " on worker %s", e.WorkerID)
		}
	}
	fmt.Fprintf(&b, ": %s", e.Reason)
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	}
	return b.String()
}

// Unwrap returns the errors that stand for the reason, and the function's sentinel.
func (e *TaskError) Unwrap() []error {
	var errs []error
	switch e.Reason {
	case ReasonTimeout:
		errs = append(errs, context.DeadlineExceeded)
	case ReasonCancelled:
		errs = append(errs, ErrCancelled, context.Canceled)
	case ReasonWorkerLost:
		errs = append(errs, ErrWorkerLost)
	case ReasonSchedulingTimeout:
		errs = append(errs, ErrSchedulingTimeout)
	case ReasonUndecodable:
		errs = append(errs, ErrUndecodable)
	case ReasonTaskLost:
		errs = append(errs, ErrTaskLost)
	case ReasonDependencyFailed:
		errs = append(errs, ErrDependencyFailed)
	case ReasonActorRestarted:
		errs = append(errs, ErrActorRestarted)
	case ReasonActorDead:
		errs = append(errs, ErrActorDead)
	case ReasonApplication:
	}
	if e.cause != nil {
		errs = append(errs, e.cause)
	}
	return errs
}

// UndecodableError says that a payload could not be decoded, or a value not be encoded. Trying
// again is useless.
type UndecodableError struct {
	Function string
	// What is "input" or "result".
	What string
	// Encoding is what the payload is encoded in, or was to be.
	Encoding string
	Err      error
}

// Error names the function, the payload and the cause.
func (e *UndecodableError) Error() string {
	return fmt.Sprintf("%s of %s as %q: %v", e.What, e.Function, e.Encoding, e.Err)
}

// Unwrap returns ErrUndecodable and the cause.
func (e *UndecodableError) Unwrap() []error { return []error{ErrUndecodable, e.Err} }

// failureReasons is the reason for each reason on the wire.
var failureReasons = map[frayv1.FailureReason]Reason{
	frayv1.FailureReason_FAILURE_REASON_APPLICATION:        ReasonApplication,
	frayv1.FailureReason_FAILURE_REASON_TIMEOUT:            ReasonTimeout,
	frayv1.FailureReason_FAILURE_REASON_WORKER_LOST:        ReasonWorkerLost,
	frayv1.FailureReason_FAILURE_REASON_SCHEDULING_TIMEOUT: ReasonSchedulingTimeout,
	frayv1.FailureReason_FAILURE_REASON_DEPENDENCY_FAILED:  ReasonDependencyFailed,
	frayv1.FailureReason_FAILURE_REASON_UNDECODABLE:        ReasonUndecodable,
	frayv1.FailureReason_FAILURE_REASON_ACTOR_RESTARTED:    ReasonActorRestarted,
	frayv1.FailureReason_FAILURE_REASON_ACTOR_DEAD:         ReasonActorDead,
}

// newTaskError returns the error of a task that ended without a value. wire may be nil.
func newTaskError(c *call, reason Reason, info TaskInfo, wire *frayv1.TaskError) *TaskError {
	e := &TaskError{
		TaskID:      c.id,
		Function:    c.function.Name(),
		Attempt:     info.Attempt,
		MaxAttempts: info.MaxAttempts,
		WorkerID:    info.WorkerID,
		Reason:      reason,
		Message:     wire.GetMessage(),
		Type:        wire.GetType(),
		Stack:       wire.GetStack(),
	}
	if text := wire.GetSentinel(); text != "" {
		e.cause = c.sentinel(text)
	}
	if d := wire.GetDetails(); d != nil {
		e.details = &Payload{Encoding: d.GetEncoding(), Data: d.GetData()}
	}
	return e
}

// retryAfter is the delay that the function asked for; 0: it did not.
func retryAfter(wire *frayv1.TaskError) time.Duration {
	return number.FromMillis(wire.GetRetryAfterMs())
}

package fray

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/frayrpc/fray/fray/internal/attempt"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/number"
)

// MaxErrorBytes is how much is kept of the text of a function's error, and of a panic's stack.
const MaxErrorBytes = attempt.MaxStackBytes

const (
	maxErrorTypeBytes = 256
	maxSentinelBytes  = 1024
	truncationMark    = "... (cut)"
)

// EncodeError puts the error of a function into the form in which a worker reports it. Whatever err is, the result can
// be sent: texts are cut to their bounds and made valid UTF-8, and an Error method that panics is reported as such.
func EncodeError(err error) *frayv1.TaskError {
	// Each part on its own, so that the one that panics costs nothing but itself.
	wire := &frayv1.TaskError{Type: "unknown"}
	if text, ok := guard(func() string { return err.Error() }); ok {
		wire.Message = clip(text, MaxErrorBytes)
	} else {
		wire.Message = clip("text of the error is not available: its Error method panicked: "+text, MaxErrorBytes)
	}
	guard(func() string { encodeKind(wire, err); return "" })
	guard(func() string { encodeMarks(wire, err); return "" })
	return wire
}

// EncodeDetails puts into that form what [WithDetails] attached to the error of a function that ran past its timeout, whose text and
// type tell nothing more. It returns nil if there is nothing.
func EncodeDetails(err error) *frayv1.TaskError {
	wire := &frayv1.TaskError{}
	guard(func() string { encodeMarks(wire, err); return "" })
	if wire.Details == nil {
		return nil
	}
	return &frayv1.TaskError{Details: wire.Details}
}

// guard returns what f returns, or false and what it panicked with.
func guard(f func() string) (text string, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			text, ok = fmt.Sprint(p), false
		}
	}()
	return f(), true
}

// encodeKind sets the type and, of a panic, the stack.
func encodeKind(wire *frayv1.TaskError, err error) {
	wire.Type = clip(fmt.Sprintf("%T", unmarked(err)), maxErrorTypeBytes)
	var panicked *attempt.PanicError
	if errors.As(err, &panicked) {
		wire.Type = "panic"
		wire.Message = clip(panicked.Error(), MaxErrorBytes)
		wire.Stack = clip(string(panicked.Stack), MaxErrorBytes)
	}
}

// encodeMarks sets what NonRetryable, RetryAfter and Errors say about the error.
func encodeMarks(wire *frayv1.TaskError, err error) {
	var (
		nonRetryable *nonRetryableError
		retryAfter   *retryAfterError
		declared     *declaredError
		detailed     *detailedError
	)
	wire.NonRetryable = errors.As(err, &nonRetryable)
	if errors.As(err, &retryAfter) {
		wire.RetryAfterMs = number.Millis(retryAfter.after)
	}
	if errors.As(err, &declared) {
		wire.Sentinel = declared.sentinel.Error()
	}
	if errors.As(err, &detailed) {
		wire.Details = &frayv1.Payload{Encoding: detailed.details.Encoding, Data: detailed.details.Data}
	}
}

// unmarked returns the error beneath the marks that this package put on it.
func unmarked(err error) error {
	for {
		switch e := err.(type) { //nolint:errorlint // only what is outermost
		case *nonRetryableError:
			err = e.error
		case *retryAfterError:
			err = e.error
		case *declaredError:
			err = e.error
		case *handBackError:
			err = e.error
		case *detailedError:
			err = e.error
		default:
			return err
		}
	}
}

// clip returns s as valid UTF-8 of at most limit bytes.
func clip(s string, limit int) string {
	if len(s) > limit {
		cut := limit - len(truncationMark)
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + truncationMark
	}
	// A replacement of the length of what it replaces, so that the bound holds.
	return strings.ToValidUTF8(s, "?")
}

// failureReasons is the reason for each reason on the wire.
var failureReasons = map[frayv1.FailureReason]Reason{
	frayv1.FailureReason_FAILURE_REASON_APPLICATION:        ReasonApplication,
	frayv1.FailureReason_FAILURE_REASON_TIMEOUT:            ReasonTimeout,
	frayv1.FailureReason_FAILURE_REASON_WORKER_LOST:        ReasonWorkerLost,
	frayv1.FailureReason_FAILURE_REASON_SCHEDULING_TIMEOUT: ReasonSchedulingTimeout,
	frayv1.FailureReason_FAILURE_REASON_DEPENDENCY_FAILED:  ReasonDependencyFailed,
	frayv1.FailureReason_FAILURE_REASON_UNDECODABLE:        ReasonUndecodable,
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

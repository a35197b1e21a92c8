// Package failure is how the error of a function travels: the marks that a function puts on an
// error, such as that another attempt is of no use, and the form in which a worker reports both.
// Packages fray and fray/worker use it, so that an error looks the same on every backend.
package failure

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/frayrpc/fray/fray/internal/attempt"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

const (
	// MaxBytes is how much is kept of the text of a function's error, and of a panic's stack.
	MaxBytes = attempt.MaxStackBytes

	truncationMark = "... (cut)"
)

// What a mark can say of an error.
type (
	// NonRetryable says that another attempt is of no use.
	NonRetryable struct{}
	// HandBack says that the function could not be started here and now.
	HandBack struct{}
	// RetryAfter is the delay that the function asks for.
	RetryAfter time.Duration
	// Sentinel is the declared sentinel that the error is.
	Sentinel struct{ Err error }
	// Details is a value that goes with the error.
	Details struct{ Payload *frayv1.Payload }
)

// mark is an error that says something more.
type mark[T any] struct {
	error

	value T
}

func (m *mark[T]) Unwrap() error { return m.error }

func (*mark[T]) isMark() {}

// Mark returns err, marked with what value says. The text stays as it is.
func Mark[T any](err error, value T) error { return &mark[T]{err, value} }

// MarkOf returns the mark of that type of err, or of an error that it wraps. It reports false if
// there is none.
func MarkOf[T any](err error) (value T, ok bool) {
	var m *mark[T]
	if ok = errors.As(err, &m); ok {
		value = m.value
	}
	return value, ok
}

// Encode puts the error of a function into the form in which a worker reports it. Whatever err is,
// the result can be sent: texts are cut to their bounds and made valid UTF-8, and an Error method
// that panics is reported as such.
func Encode(err error) *frayv1.TaskError {
	// Each part on its own, so that the one that panics costs nothing but itself.
	wire := &frayv1.TaskError{Type: "unknown"}
	if text, ok := guard(func() string { return err.Error() }); ok {
		wire.Message = clip(text, MaxBytes)
	} else {
		wire.Message = clip("text of the error is not available: its Error method panicked: "+text, MaxBytes)
	}
	guard(func() string { encodeKind(wire, err); return "" })
	guard(func() string { encodeMarks(wire, err); return "" })
	return wire
}

// Clip cuts the texts of an error to the bounds that Encode keeps, for who is told of errors by
// others. What cannot be compared once it is cut is left out.
func Clip(e *frayv1.TaskError) {
	e.Message, e.Stack, e.Type = clip(e.GetMessage(), MaxBytes), clip(e.GetStack(), MaxBytes), clip(e.GetType(), limit.ErrorType)
	if len(e.GetSentinel()) > limit.Sentinel {
		e.Sentinel = ""
	}
}

// EncodeDetails puts into that form the Details of an error of a function that ran past its
// timeout, whose text and type tell nothing more. It returns nil if there are none.
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
	wire.Type = clip(fmt.Sprintf("%T", unmarked(err)), limit.ErrorType)
	var panicked *attempt.PanicError
	if errors.As(err, &panicked) {
		wire.Type = "panic"
		wire.Message = clip(panicked.Error(), MaxBytes)
		wire.Stack = clip(string(panicked.Stack), MaxBytes)
	}
}

// encodeMarks sets what the marks say about the error.
func encodeMarks(wire *frayv1.TaskError, err error) {
	_, wire.NonRetryable = MarkOf[NonRetryable](err)
	if after, ok := MarkOf[RetryAfter](err); ok {
		wire.RetryAfterMs = number.Millis(time.Duration(after))
	}
	if sentinel, ok := MarkOf[Sentinel](err); ok {
		wire.Sentinel = sentinel.Err.Error()
	}
	if details, ok := MarkOf[Details](err); ok {
		wire.Details = details.Payload
	}
}

// unmarked returns the error beneath its marks.
func unmarked(err error) error {
	for {
		m, ok := err.(interface {
			isMark()
			Unwrap() error
		})
		if !ok {
			return err
		}
		err = m.Unwrap()
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

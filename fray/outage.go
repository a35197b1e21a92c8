package fray

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/dial"
	"github.com/frayrpc/fray/fray/internal/wire"
)

// When a client tells that the controller does not answer.
const (
	// tellAfter is how long calls may fail before that is worth a word, tellAgain how often it is
	// said while it lasts, and tellGap the least time between two words on outages that come and
	// go.
	tellAfter = 500 * time.Millisecond
	tellAgain = 30 * time.Second
	tellGap   = 10 * time.Second
	// noAnswerAfter is how much longer than its wait and its bytes take a call may be under way
	// before the controller is taken for silent.
	noAnswerAfter = time.Second
)

var errNoAnswer = errors.New("no answer")

// outages knows which calls to a controller fail at present. Calls ride an outage out by
// themselves; it tells a logger of it, at a bounded rate, and the caller that gives up waiting why
// it was in vain.
type outages struct {
	address string
	logger  *slog.Logger

	mu     sync.Mutex
	failed []*trouble // calls under way whose last attempt failed, in the order in which they began to
	told   bool       // the logger was told of this outage, and not yet that it is over
	toldAt time.Time
}

// trouble is one call under way, as far as it fails.
type trouble struct {
	procedure string
	begun     time.Time // the attempt under way; the call's goroutine's
	since     time.Time // the begin of the first attempt that failed
	err       error     // of the last attempt that failed; nil: none did
	over      bool
}

// do calls the controller again and again while that may help, as dial.Do does. Once ctx is done,
// its error says what was wrong as well. An answer may take its time, for a wait at the controller
// or many bytes, before the controller is taken for silent.
func (o *outages) do(ctx context.Context, procedure string, p dial.Policy, answer time.Duration, call func(context.Context) error) error {
	t := &trouble{procedure: procedure}
	p.OnRetry = func(err error, delay time.Duration) {
		o.logger.DebugContext(ctx, "repeat call to controller", "procedure", procedure, "delay", delay, "error", err)
		o.note(ctx, t, err, delay)
	}
	err := dial.Do(ctx, p, func(ctx context.Context) error {
		o.begin(t)
		timer := time.AfterFunc(answer+noAnswerAfter, func() { o.note(ctx, t, errNoAnswer, 0) })
		defer timer.Stop()
		return call(ctx)
	})
	why := o.end(ctx, t, err)
	if err == nil || ctx.Err() == nil || why == nil {
		return err
	}
	return &unreachableError{text: why.Error(), causes: []error{why.err, ctx.Err()}}
}

func (o *outages) begin(t *trouble) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.begun = time.Now()
}

// note takes down that an attempt failed, or has had no answer yet.
func (o *outages) note(ctx context.Context, t *trouble, err error, delay time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t.over {
		return
	}
	if t.err == nil {
		t.since = t.begun
		o.failed = append(o.failed, t)
	}
	t.err = err
	now, first := time.Now(), o.failed[0]
	pause := tellGap
	if o.told {
		pause = tellAgain
	}
	if now.Sub(first.since)+delay < tellAfter || (!o.toldAt.IsZero() && now.Sub(o.toldAt) < pause) {
		return
	}
	o.told, o.toldAt = true, now
	o.logger.WarnContext(ctx, "controller does not answer, calls are repeated until it does",
		"controller", o.address, "for", now.Sub(first.since).Round(time.Millisecond), "procedure", t.procedure, "error", rootCause(err))
}

// end takes down that a call is over, and returns what was wrong with it.
func (o *outages) end(ctx context.Context, t *trouble, err error) *outageError {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.over = true
	if t.err == nil {
		return nil
	}
	why := o.describe(t)
	o.failed = slices.DeleteFunc(o.failed, func(other *trouble) bool { return other == t })
	if len(o.failed) == 0 && o.told && (err == nil || connect.IsWireError(err)) {
		o.told = false
		o.logger.InfoContext(ctx, "controller answers again", "controller", o.address, "after", time.Since(t.since).Round(time.Millisecond))
	}
	return why
}

// err returns why calls wait at present; nil if they do not.
func (o *outages) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.failed) == 0 {
		return nil
	}
	return o.describe(o.failed[0])
}

func (o *outages) describe(t *trouble) *outageError {
	return &outageError{address: o.address, lasted: time.Since(t.since), err: t.err}
}

// outageError says since when a controller does not do what it is asked for, and why.
type outageError struct {
	address string
	lasted  time.Duration
	err     error
}

func (e *outageError) Error() string {
	what := "is unreachable"
	if reason, _ := wire.Info(e.err); reason != "" || connect.IsWireError(e.err) {
		what = "has refused" // It answers.
	}
	return fmt.Sprintf("controller at %s %s for %v: %s", e.address, what, e.lasted.Round(time.Millisecond), rootCause(e.err))
}

func (e *outageError) Unwrap() error { return e.err }

// unreachableError is what a call ends with whose context was done while it failed.
type unreachableError struct {
	text   string
	causes []error // of the last attempt, and of the context
}

func (e *unreachableError) Error() string {
	return fmt.Sprintf("%s: %v", e.text, e.causes[len(e.causes)-1])
}

func (e *unreachableError) Unwrap() []error { return e.causes }

// rootCause is the text of what stands behind an error of a call, without the layers around it.
func rootCause(err error) string {
	var (
		network *url.Error
		coded   *connect.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errNoAnswer.Error()
	case errors.As(err, &network):
		return network.Err.Error()
	case errors.As(err, &coded):
		return coded.Message()
	default:
		return err.Error()
	}
}

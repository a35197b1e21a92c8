package dial

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/internal/sleep"
)

// Defaults of a Policy.
const (
	DefaultBase           = 50 * time.Millisecond
	DefaultCap            = 5 * time.Second
	DefaultAttemptTimeout = 10 * time.Second
)

// maxTornReplies is how many replies in a row may arrive that cannot be read before Do gives up:
// what sends them is then no controller.
const maxTornReplies = 10

// maxLeaderless bounds the delay where several controllers answer, and none leads: one will within seconds.
const maxLeaderless = 500 * time.Millisecond

// Policy says how a call is repeated. Its zero value needs nothing but Rand.
type Policy struct {
	// Base bounds the delay before the second attempt; the bound doubles with each attempt. 0:
	// DefaultBase.
	Base time.Duration
	// Cap bounds the delay before any attempt, except that a server's hint is always waited for. 0:
	// DefaultCap.
	Cap time.Duration
	// AttemptTimeout is how long each attempt may take, but for bodies that move on their way
	// through a client that is Paced; see Allow for calls that carry much. 0:
	// DefaultAttemptTimeout.
	AttemptTimeout time.Duration
	// Attempts is how often the call is made at most. 0: as often as may help.
	Attempts int
	// Rand is the source of jitter. Nil: every delay is at its bound.
	Rand *Rand
	// OnRetry is called before each delay with what the attempt failed with. It may be nil.
	OnRetry func(err error, delay time.Duration)
}

// Do calls fn until it succeeds, fails for good, or ctx is done, and returns fn's last error, or
// the cause of ctx if fn has none to tell. It repeats an attempt that failed with
//
//   - UNAVAILABLE, which is also what an unreachable server is;
//   - RESOURCE_EXHAUSTED, after the server's hint at least;
//   - DEADLINE_EXCEEDED, or anything else once the attempt's own deadline has passed;
//   - a reply that was torn on its way, or says CANCELED, ten times in a row at most;
//
// and nothing else. The delay is chosen evenly between 0 and a bound that doubles ("full jitter",
// M. Brooker, Exponential Backoff And Jitter, 2015).
func Do(ctx context.Context, p Policy, fn func(ctx context.Context) error) error {
	timeout := p.AttemptTimeout
	if timeout <= 0 {
		timeout = DefaultAttemptTimeout
	}
	torn := 0
	for n := 0; ; n++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		attempt := begin(ctx, timeout)
		err := fn(attempt)
		expired := attempt.Err() != nil
		attempt.end()
		if err == nil || ctx.Err() != nil {
			return err
		}
		torn++
		switch {
		case expired, isTransient(err):
			torn = 0
		case isTorn(err) && torn < maxTornReplies:
		default:
			return err
		}
		if n+1 == p.Attempts {
			return err
		}
		reason, hint := wire.Info(err)
		delay := max(p.Delay(n), hint)
		if reason == wire.ReasonNotLeader {
			delay = min(delay, p.Rand.orAll(maxLeaderless))
		}
		if p.OnRetry != nil {
			p.OnRetry(err, delay)
		}
		if sleep.For(ctx, delay) != nil || ctx.Err() != nil { // The delay and ctx may have ended at one instant.
			return err
		}
	}
}

// Delay is the backoff after attempt n, from 0.
func (p Policy) Delay(n int) time.Duration {
	base, bound := p.Base, p.Cap
	if base <= 0 {
		base = DefaultBase
	}
	if bound <= 0 {
		bound = DefaultCap
	}
	for range n {
		if base >= bound/2 {
			base = bound
			break
		}
		base *= 2
	}
	return p.Rand.orAll(min(base, bound))
}

func isTransient(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeResourceExhausted, connect.CodeDeadlineExceeded:
		return true
	default:
		return false
	}
}

// isTorn says whether err is what a reply that was cut or reset on its way looks like. Connect has
// no one code for it, but such errors are its own and not the server's; but that one which serves, or a
// proxy before it, may take its own end for that of the caller.
func isTorn(err error) bool {
	if connect.IsWireError(err) {
		return connect.CodeOf(err) == connect.CodeCanceled
	}
	var network net.Error
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return true
	}
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument, // a message that does not parse
		connect.CodeCanceled: // a write to a closed connection
		return true
	default:
		return false
	}
}

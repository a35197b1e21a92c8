package dial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
)

// FloorRate is the slowest line, in bytes per second, that limits of time allow for where nothing
// shows that bytes move. It is that of package core.
const FloorRate = 128 << 10

const (
	// maxBuffered is how much of a request may be on its way, in bytes, without being seen to move:
	// what the kernels of both ends hold.
	maxBuffered = 4 << 20
	// stallTimeout is how long a body may stand still.
	stallTimeout = DefaultAttemptTimeout
	// maxTransfer bounds how much longer an attempt may take because its bodies move.
	maxTransfer = time.Hour
	// smallBody is what passes, in bytes, before it is worth looking whether it moves.
	smallBody = 4 << 10
	// wholeBody is up to how many bytes of a body go out together with the head. For longer ones a
	// second write costs less than their copy.
	wholeBody = 32 << 10
)

// Allow returns how long a call may take to be answered that carries so many bytes, and that has
// base without any.
func Allow(base time.Duration, bytes int) time.Duration {
	return base + time.Duration(min(bytes, maxBuffered))*time.Second/FloorRate // within: maxBuffered seconds fit
}

// attempt is the context of one attempt of a call. It ends after its timeout, but not while a body
// of the call moves: how large an answer is nobody knows beforehand, and a call that is cut is made
// anew and gets no further.
type attempt struct {
	context.Context //nolint:containedctx // It is one.

	cancel  context.CancelCauseFunc
	timeout time.Duration
	last    time.Time // when it ends at the latest
	until   atomic.Int64
	timer   *time.Timer
}

type attemptKey struct{}

// begin starts an attempt, which its end lets go of.
func begin(ctx context.Context, timeout time.Duration) *attempt {
	now := time.Now()
	a := &attempt{timeout: timeout, last: now.Add(timeout + maxTransfer)}
	a.Context, a.cancel = context.WithCancelCause(ctx)
	a.until.Store(now.Add(timeout).UnixNano())
	a.timer = time.AfterFunc(timeout, a.strike)
	return a
}

// Within has the attempt of [Do] that ctx is of end after d from now, if nothing of it moves then. Of
// another context it does nothing.
func Within(ctx context.Context, d time.Duration) {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok {
		a.until.Store(time.Now().Add(d).UnixNano())
		a.timer.Reset(d)
	}
}

func (a *attempt) end() {
	a.timer.Stop()
	a.cancel(context.Canceled)
}

// strike ends the attempt, unless something has moved since its timer was set.
func (a *attempt) strike() {
	if left := time.Until(time.Unix(0, a.until.Load())); left > 0 {
		a.timer.Reset(left)
		return
	}
	a.cancel(context.DeadlineExceeded)
}

// over says whether its time is, be it that its caller left at the same instant.
func (a *attempt) over() bool { return time.Now().UnixNano() >= a.until.Load() }

// moved gives the attempt so long from now.
func (a *attempt) moved(d time.Duration) {
	until := min(time.Now().Add(d).UnixNano(), a.last.UnixNano())
	for old := a.until.Load(); old < until && !a.until.CompareAndSwap(old, until); {
		old = a.until.Load()
	}
}

// Deadline implements context.Context. It is what the server is told.
func (a *attempt) Deadline() (time.Time, bool) {
	if deadline, ok := a.Context.Deadline(); ok && deadline.Before(a.last) {
		return deadline, true
	}
	return a.last, true
}

// Err implements context.Context.
func (a *attempt) Err() error {
	err := a.Context.Err()
	if err != nil && context.Cause(a.Context) == context.DeadlineExceeded { //nolint:errorlint // Exactly what strike says.
		return context.DeadlineExceeded
	}
	return err
}

// Value implements context.Context.
func (a *attempt) Value(key any) any {
	if key == (attemptKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// Paced returns an HTTP client whose bodies tell attempts of [Do] that they move.
func Paced(c connect.HTTPClient) connect.HTTPClient { return &paced{c} }

type paced struct{ connect.HTTPClient }

// Do implements connect.HTTPClient.
func (p *paced) Do(req *http.Request) (*http.Response, error) {
	req, err := whole(req)
	if err != nil {
		return nil, err
	}
	a, _ := req.Context().Value(attemptKey{}).(*attempt)
	if a == nil {
		return p.HTTPClient.Do(req)
	}
	if req.Body != nil && req.ContentLength > smallBody {
		like := *req
		like.Body = &movingBody{req.Body, a, a.timeout}
		if again := req.GetBody; again != nil {
			like.GetBody = func() (io.ReadCloser, error) {
				body, err := again()
				return &movingBody{body, a, a.timeout}, err
			}
		}
		req = &like
	}
	res, err := p.HTTPClient.Do(req)
	if err == nil && (res.ContentLength < 0 || res.ContentLength > smallBody) {
		res.Body = &movingBody{res.Body, a, stallTimeout}
	}
	return res, err
}

// whole has a small body sent in one write with its head: net/http does so with one that it knows to
// be in memory, and writes the head first where reading the body might take its time.
func whole(req *http.Request) (*http.Request, error) {
	if req.Body == nil || req.ContentLength <= 0 || req.ContentLength > wholeBody {
		return req, nil
	}
	data := make([]byte, req.ContentLength)
	_, err := io.ReadFull(req.Body, data)
	if err = errors.Join(err, req.Body.Close()); err != nil {
		return nil, fmt.Errorf("read the body of a request: %w", err)
	}
	like := *req
	like.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	like.Body = io.NopCloser(bytes.NewReader(data))
	return &like, nil
}

// CloseIdleConnections makes that of http.Client reach the transport.
func (p *paced) CloseIdleConnections() {
	if closer, ok := p.HTTPClient.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// movingBody is a body that keeps its attempt going.
type movingBody struct {
	io.ReadCloser

	attempt *attempt
	more    time.Duration
}

// Read implements io.Reader.
func (b *movingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.attempt.moved(b.more)
	}
	return n, err
}

package faults

import (
	"context"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/frayrpc/fray/internal/sleep"
)

// errReset is what a broken connection reads like.
var errReset error = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// throttleSlices is in how many pieces a throttled body passes each second.
const throttleSlices = 20

// A shapedBody is a body that a plan cuts or slows.
type shapedBody struct {
	io.ReadCloser

	ctx  context.Context //nolint:containedctx // A body is part of one call, and this is the call's.
	plan *activePlan
	left int64 // bytes that pass before err; below 0: all
	err  error
	rate int64
	gap  time.Duration
	// Bytes that have passed at the rate.
	passed int64
	hit    bool // it was cut
}

// shape returns a body with what an outcome says of it, or nil if there is nothing to shape.
func (o *outcome) shape(ctx context.Context, plan *activePlan, body io.ReadCloser) *shapedBody {
	if body == nil || body == http.NoBody || !o.shaped() {
		return nil
	}
	left, err := o.cut()
	return &shapedBody{ReadCloser: body, ctx: ctx, plan: plan, left: left, err: err, rate: o.rate, gap: o.gap}
}

// cut returns after how many bytes a body ends, below 0 for never, and how.
func (o *outcome) cut() (int64, error) {
	if o.reset >= 0 && least(o.truncate, o.reset) == o.reset {
		return o.reset, errReset
	}
	return o.truncate, io.ErrUnexpectedEOF
}

// slice returns how much of so many bytes may pass at once.
func slice(n int, left, rate int64) int {
	if rate > 0 {
		n = min(n, int(max(1, rate/throttleSlices)))
	}
	if left >= 0 {
		n = int(min(int64(n), left))
	}
	return n
}

// pace takes as long as n bytes take after those that have passed, or until the plan ends and gap
// has passed. In what pieces a body passes makes no difference.
func pace(ctx context.Context, plan *activePlan, passed *int64, n int, rate int64, gap time.Duration) error {
	if rate > 0 && n > 0 && !plan.over() {
		took := func(bytes int64) time.Duration {
			return time.Duration(float64(bytes) / float64(rate) * float64(time.Second))
		}
		before := took(*passed)
		*passed += int64(n)
		if passTime(ctx, plan, nil, took(*passed)-before); plan.over() {
			_ = sleep.For(ctx, gap)
		}
		return ctx.Err()
	}
	return nil
}

// Read implements io.Reader.
func (b *shapedBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return b.ReadCloser.Read(p)
	}
	if b.left == 0 {
		// Only a body that goes on is cut.
		if n, err := b.ReadCloser.Read(p[:1]); n == 0 {
			return 0, err
		}
		b.hit = true
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p[:slice(len(p), b.left, b.rate)])
	if b.left > 0 {
		b.left -= int64(n)
	}
	if paceErr := pace(b.ctx, b.plan, &b.passed, n, b.rate, b.gap); err == nil {
		err = paceErr
	}
	return n, err
}

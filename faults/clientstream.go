package faults

import (
	"cmp"
	"context"
	"sync"

	"connectrpc.com/connect"
)

// A clientStream is a client's end of a stream that a plan concerns.
type clientStream struct {
	connect.StreamingClientConn

	injector *Injector
	plan     *activePlan
	point    point
	ctx      context.Context //nolint:containedctx // A stream is one call, and this is the call's.
	cancel   context.CancelFunc

	// Of the sending side.
	out *sender // nil: nothing was sent

	// Of the receiving side.
	received int
	ended    bool

	mu     sync.Mutex
	header point // what the receiving side knows of the call, once it is sent
	err    error // with which the plan ended the stream
}

func newClientStream(ctx context.Context, n *interceptor, plan *activePlan, spec connect.Spec, next connect.StreamingClientFunc) *clientStream {
	ctx, cancel := context.WithCancel(ctx)
	conn := next(ctx, spec)
	p := n.point(conn.Spec(), conn.Peer(), nil)
	return &clientStream{
		StreamingClientConn: conn, injector: n.injector, plan: plan, point: p, header: p, ctx: ctx, cancel: cancel,
	}
}

// open does what comes before the first message.
func (c *clientStream) open() error {
	if c.out != nil {
		return c.failure()
	}
	p := c.point
	p.header = c.RequestHeader().Clone()
	c.mu.Lock()
	c.header = p
	c.mu.Unlock()
	c.out = newSender(c.injector, c.plan, p, c.StreamingClientConn.Send)
	o := c.injector.meet(c.ctx, c.plan, &p)
	defer o.passed()
	return c.fail(c.injector.ended(c.ctx, &p, &o))
}

// fail ends the stream with an error, unless it is nil.
func (c *clientStream) fail(err error) error {
	if err == nil {
		return nil
	}
	c.mu.Lock()
	c.err = cmp.Or(c.err, err)
	c.mu.Unlock()
	c.cancel() // so that the server hears of it, and nobody waits for it
	return err
}

func (c *clientStream) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Send implements connect.StreamingClientConn.
func (c *clientStream) Send(message any) error {
	if err := c.open(); err != nil {
		return err
	}
	if message == nil {
		return c.StreamingClientConn.Send(nil) // headers alone
	}
	err := c.out.message(c.ctx, message)
	if c.out.ended {
		return c.fail(err)
	}
	return err
}

// CloseRequest implements connect.StreamingClientConn.
func (c *clientStream) CloseRequest() error {
	if err := c.open(); err != nil {
		c.out.settle()
		return nil //nolint:nilerr // There is nothing to close, and Receive has the error.
	}
	if err := c.out.finish(); err != nil {
		return err
	}
	return c.StreamingClientConn.CloseRequest()
}

// Receive implements connect.StreamingClientConn.
func (c *clientStream) Receive(message any) error {
	for {
		if err := c.failure(); err != nil {
			return err
		}
		err := c.StreamingClientConn.Receive(message)
		if failure := c.failure(); failure != nil {
			return failure
		}
		if err != nil {
			return c.end(err)
		}
		c.received++
		p := c.answer()
		p.whole, p.message = false, c.received
		o := c.injector.meet(c.ctx, c.plan, &p)
		o.passed()
		if o.ending == lost && c.ctx.Err() == nil {
			continue
		}
		return c.fail(c.injector.ended(c.ctx, &p, &o))
	}
}

// end does what comes between the status of the stream and its caller.
func (c *clientStream) end(status error) error {
	if c.ended || c.ctx.Err() != nil {
		return status
	}
	c.ended = true
	p := c.answer()
	o := c.injector.meet(c.ctx, c.plan, &p)
	defer o.passed()
	if err := c.fail(c.injector.ended(c.ctx, &p, &o)); err != nil {
		return err
	}
	return status
}

// answer is the point where something comes back.
func (c *clientStream) answer() point {
	c.mu.Lock()
	p := c.header
	c.mu.Unlock()
	p.answering()
	return p
}

// CloseResponse implements connect.StreamingClientConn.
func (c *clientStream) CloseResponse() error {
	defer c.cancel()
	if c.failure() != nil {
		_ = c.StreamingClientConn.CloseResponse()
		return nil
	}
	return c.StreamingClientConn.CloseResponse()
}

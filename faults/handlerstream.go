package faults

import (
	"context"

	"connectrpc.com/connect"
)

// A handlerStream is a handler's end of a stream that a plan concerns.
type handlerStream struct {
	connect.StreamingHandlerConn

	injector *Injector
	plan     *activePlan
	point    point
	ctx      context.Context //nolint:containedctx // A stream is one call, and this is the call's.

	received int
	out      *sender
}

func newHandlerStream(ctx context.Context, injector *Injector, plan *activePlan, p point, conn connect.StreamingHandlerConn) *handlerStream {
	answer := p
	answer.answering()
	return &handlerStream{
		StreamingHandlerConn: conn, injector: injector, plan: plan, point: p, ctx: ctx,
		out: newSender(injector, plan, answer, conn.Send),
	}
}

// serve calls the handler, with what comes before and after it.
func (h *handlerStream) serve(next connect.StreamingHandlerFunc) error {
	if err := h.meet(h.point); err != nil {
		return err
	}
	err := func() error {
		defer h.out.settle() // also if it panics
		return next(h.ctx, h)
	}()
	if finishErr := h.out.finish(); err == nil {
		err = finishErr
	}
	if ended := h.meet(h.out.point); ended != nil {
		return ended
	}
	return err
}

// meet does what the plan says for the call as a whole.
func (h *handlerStream) meet(p point) error {
	o := h.injector.meet(h.ctx, h.plan, &p)
	defer o.passed()
	return h.injector.ended(h.ctx, &p, &o)
}

// Receive implements connect.StreamingHandlerConn.
func (h *handlerStream) Receive(message any) error {
	for {
		if err := h.StreamingHandlerConn.Receive(message); err != nil {
			return err
		}
		h.received++
		p := h.point
		p.whole, p.message = false, h.received
		o := h.injector.meet(h.ctx, h.plan, &p)
		o.passed()
		if o.ending == lost && h.ctx.Err() == nil {
			continue
		}
		return h.injector.ended(h.ctx, &p, &o)
	}
}

// Send implements connect.StreamingHandlerConn.
func (h *handlerStream) Send(message any) error {
	if message == nil {
		return h.StreamingHandlerConn.Send(nil) // headers alone
	}
	return h.out.message(h.ctx, message)
}

package faults

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
)

// Interceptor returns what applies the faults of side [Client] to a client and those of side
// [Server] to a handler. host is the name of the process: From in its clients, To in its handlers.
//
// What an interceptor of a handler drops it answers when the deadline that the caller sent has
// passed.
func (i *Injector) Interceptor(host string) connect.Interceptor {
	i.mounted.interceptor.Store(true)
	return &interceptor{i, host}
}

type interceptor struct {
	injector *Injector
	host     string
}

// WrapUnary implements connect.Interceptor.
func (n *interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if n.injector.active.Load() == nil {
			return next(ctx, req)
		}
		spec := req.Spec()
		p := n.point(spec, req.Peer(), req.Header())
		plan := n.injector.plan(p.side, p.procedure)
		if plan == nil {
			return next(ctx, req)
		}
		p.message = 1
		c := unaryCall{n.injector, plan, p}
		return c.do(ctx, req, next)
	}
}

// point returns where a call begins, as this process sees it.
func (n *interceptor) point(spec connect.Spec, peer connect.Peer, header http.Header) point {
	p := point{procedure: spec.Procedure, here: n.host, header: header, whole: true}
	if spec.IsClient {
		p.side, p.phase, p.from, p.to = Client, RequestBeforeSend, n.host, peer.Addr
	} else {
		p.side, p.phase, p.from, p.to = Server, BeforeHandler, n.injector.peerName(peer.Addr), n.host
	}
	return p
}

// answering moves a point to where the call's answer passes.
func (p *point) answering() {
	if p.repeatable = false; p.side == Client {
		p.phase = ResponseInFlight
	} else {
		p.phase = AfterHandler
	}
}

// A unaryCall is one call, of a client or a handler.
type unaryCall struct {
	injector *Injector
	plan     *activePlan
	point    point
}

func (c *unaryCall) do(ctx context.Context, req connect.AnyRequest, next connect.UnaryFunc) (connect.AnyResponse, error) {
	c.point.repeatable, c.point.content = true, req.Any()
	request := c.injector.meet(ctx, c.plan, &c.point)
	defer request.passed()
	if err := c.injector.ended(ctx, &c.point, &request); err != nil {
		return nil, err
	}
	for range request.copies {
		_, _ = next(ctx, req) // its answer is lost, as that of a first delivery
	}
	res, err := next(ctx, req)
	request.passed()
	if ctx.Err() != nil && c.point.side == Client {
		return res, err // the caller has given up: nothing is on its way to it
	}
	c.point.answering()
	if c.point.content = nil; err == nil {
		c.point.content = res.Any()
	}
	response := c.injector.meet(ctx, c.plan, &c.point)
	defer response.passed()
	if err := c.injector.ended(ctx, &c.point, &response); err != nil {
		return nil, err
	}
	return res, err
}

// ended returns how a call ends at a point, or nil if it goes on. It waits for the caller if the
// call is lost.
func (i *Injector) ended(ctx context.Context, p *point, o *outcome) error {
	switch o.ending {
	case lost:
		o.passed()
		return coded(i.vanish(ctx))
	case failed:
		return o.err
	case crashed:
		if p.side == Server {
			panic(http.ErrAbortHandler) // cuts the connection
		}
		return connect.NewError(connect.CodeCanceled, errCrashed)
	}
	return nil
}

// WrapStreamingClient implements connect.Interceptor.
func (n *interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		plan := n.injector.plan(Client, spec.Procedure)
		if plan == nil {
			return next(ctx, spec)
		}
		return newClientStream(ctx, n, plan, spec, next)
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (n *interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		if n.injector.active.Load() == nil {
			return next(ctx, conn)
		}
		p := n.point(conn.Spec(), conn.Peer(), conn.RequestHeader())
		plan := n.injector.plan(Server, p.procedure)
		if plan == nil {
			return next(ctx, conn)
		}
		return newHandlerStream(ctx, n.injector, plan, p, conn).serve(next)
	}
}

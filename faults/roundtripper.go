package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// RoundTripper returns a transport that applies the faults of side [Network] to what a host calls.
// from is its name; To is the host of the URL. Put the network's adapter on one end of a wire: on
// both, a rule acts twice.
//
// An injected Error is returned as a [*connect.Error]; a Drop, as the error of the request's
// context.
func (i *Injector) RoundTripper(next http.RoundTripper, from string) http.RoundTripper {
	i.mounted.transport.Store(true)
	return &roundTripper{i, next, from}
}

type roundTripper struct {
	injector *Injector
	next     http.RoundTripper
	from     string
}

// CloseIdleConnections makes that of http.Client reach the transport.
func (t *roundTripper) CloseIdleConnections() {
	if closer, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.injector.active.Load() == nil {
		return t.next.RoundTrip(req)
	}
	p := point{
		side: Network, phase: RequestInFlight, procedure: procedureOf(req.URL.Path), header: req.Header, whole: true,
		from: t.from, to: req.URL.Host, here: t.from, repeatable: repeatable(req),
	}
	plan := t.injector.plan(Network, p.procedure)
	if plan == nil {
		return t.next.RoundTrip(req)
	}
	ctx := req.Context()
	request := t.injector.meet(ctx, plan, &p)
	defer request.passed()
	if request.reset == 0 && request.ending == goesOn {
		request.ending, request.err = failed, errReset
	}
	if request.ending != goesOn {
		closeBody(req)
		return nil, t.ended(ctx, &request)
	}
	res, err := t.deliver(ctx, plan, req, &request)
	request.passed()
	if err != nil {
		return nil, err
	}
	p.phase, p.repeatable = ResponseInFlight, false
	response := t.injector.meet(ctx, plan, &p)
	defer response.passed()
	if response.reset == 0 && response.ending == goesOn {
		response.ending, response.err = failed, errReset
	}
	if response.ending != goesOn {
		_ = res.Body.Close()
		return nil, t.ended(ctx, &response)
	}
	if body := response.shape(ctx, plan, res.Body); body != nil {
		res.Body = body
	}
	return res, nil
}

// ended returns how a call ends. It waits for the caller if the call is lost.
func (t *roundTripper) ended(ctx context.Context, o *outcome) error {
	switch o.ending {
	case failed:
		return o.err
	case crashed:
		return errCrashed
	}
	o.passed()
	return t.injector.vanish(ctx)
}

// deliver sends a request, more than once if the plan says so.
func (t *roundTripper) deliver(ctx context.Context, plan *activePlan, req *http.Request, o *outcome) (*http.Response, error) {
	if o.copies > 0 {
		body, err := replay(req)
		if err != nil {
			closeBody(req)
			return nil, err
		}
		for range o.copies {
			t.deliverCopy(ctx, plan, req, body, o)
		}
		req = withBody(req, body())
	}
	if body := o.shape(ctx, plan, req.Body); body != nil {
		req = withBody(req, body)
		req.GetBody = nil // the transport must not send what was cut
	}
	return t.next.RoundTrip(req)
}

// deliverCopy sends a request whose answer nobody gets.
func (t *roundTripper) deliverCopy(ctx context.Context, plan *activePlan, req *http.Request, body func() io.ReadCloser, o *outcome) {
	again := req.Clone(ctx)
	again.Body = body()
	send := func(ctx context.Context) {
		res, err := t.next.RoundTrip(again.WithContext(ctx))
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxReplay))
			_ = res.Body.Close()
		}
	}
	if o.later == 0 {
		send(ctx)
		return
	}
	wait := o.later
	t.injector.later(ctx, plan, func(ctx context.Context) {
		if passTime(ctx, plan, nil, wait); ctx.Err() == nil && !plan.over() {
			send(ctx)
		}
	})
}

// procedureOf returns the procedure that a path ends with, which are its last two parts.
func procedureOf(path string) string {
	method := strings.LastIndexByte(path, '/')
	if method <= 0 {
		return path
	}
	return path[max(0, strings.LastIndexByte(path[:method], '/')):]
}

// maxReplay bounds the body of a request that is delivered more than once, in bytes.
const maxReplay = 128 << 20

// repeatable says whether a request's body is all there, so that it can be read twice.
func repeatable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.ContentLength > 0 && req.ContentLength <= maxReplay
}

// replay reads a request's body, and returns what returns it anew each time.
func replay(req *http.Request) (func() io.ReadCloser, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return func() io.ReadCloser { return req.Body }, nil
	}
	content, err := io.ReadAll(io.LimitReader(req.Body, maxReplay))
	if err != nil {
		return nil, fmt.Errorf("read request to repeat it: %w", err)
	}
	_ = req.Body.Close()
	return func() io.ReadCloser { return io.NopCloser(bytes.NewReader(content)) }, nil
}

// withBody returns a request like another, with a body.
func withBody(req *http.Request, body io.ReadCloser) *http.Request {
	like := *req
	like.Body = body
	return &like
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

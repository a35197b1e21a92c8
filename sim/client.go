package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/frayrpc/fray/faults"
)

// Client is the side of a host that calls others. It is an http.RoundTripper and a
// connect.HTTPClient; as the latter it spares what http.Client does around a round trip, none of
// which Connect needs. It may be used by several goroutines.
//
// A request whose length is known, which that of a unary call is, travels as one message with its
// whole body. A request that is streamed travels in pieces, each all that was written at one
// instant. The response travels whole once the handler has returned, or in pieces if it flushes or
// is longer than 4 KiB.
//
// A caller whose context ends gets the cause at that instant; the handler's context ends when word
// of it has travelled there.
type Client struct {
	inc *incarnation
}

// Client returns what this incarnation of the host calls others with.
func (h *Host) Client() *Client { return &Client{inc: h.inc} }

// HTTPClient returns an http.Client around [Host.Client], without timeout.
func (h *Host) HTTPClient() *http.Client { return &http.Client{Transport: h.Client()} }

// call is one request and its response.
type call struct {
	sim       *Sim
	id        uint64 // 0 until it is sent
	client    *incarnation
	target    *node
	procedure string

	// The request, copied: its sender may reuse it before it arrives.
	sent   *http.Request // only to be told of in the response
	method string
	host   string
	url    url.URL
	header http.Header
	body   []byte
	length int64
	// The body is not as long as was declared; nil: it is.
	bodyErr error
	// Trailers of the request: their names, and what they are once the body was read to its end.
	announced, trailer http.Header
	// The client asked for compression by itself.
	compressed bool
	// The body has no known end; it travels in pieces.
	streamed bool

	// Between the caller and the stepping goroutine.
	arrived  chan struct{} // one token, once res or err is set
	res      *http.Response
	err      error
	gone     atomic.Bool // the caller waits no longer
	up, down *pipe       // bodies that are streamed; down once the caller has the response

	// Of the stepping goroutine.
	server           *incarnation
	lastUp, lastDown int64 // arrivals, so that messages of one direction stay in order
	lostUp, lostDown bool  // something was
	answered         bool  // the response has arrived, to its end
	handled          bool  // the handler has returned
	cancelled        bool  // word of the caller's end has arrived

	// Of the handler.
	ctx     context.Context //nolint:containedctx // The handler's, made where the message arrives.
	cancel  context.CancelCauseFunc
	writer  responder
	payload payload // the whole request, for the handler
	reply   payload // the whole response, for the caller

	request, response packet
}

// errDead is what a dead incarnation's streams end with: ending their goroutines instead would
// leave Connect's own waiting.
var errDead = fmt.Errorf("call after crash: %w", ErrCrashed)

// RoundTrip implements http.RoundTripper.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) { return c.Do(req) }

// Do implements connect.HTTPClient.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	k, err := c.prepare(req)
	if err != nil {
		return nil, err
	}
	if i := c.inc.node.sim.injector.Load(); i != nil {
		k.awaitTurn()
		if i.Concerns(faults.Network, k.procedure) {
			return c.through(i, k)
		}
		if err := c.check(req); err != nil {
			return nil, err
		}
	}
	return k.exchange()
}

// direct makes a call that no injector has a say in any longer.
func (c *Client) direct(req *http.Request) (*http.Response, error) {
	k, err := c.prepare(req)
	if err != nil {
		return nil, err
	}
	return k.exchange()
}

// check returns why a request cannot be sent now, or ends the goroutine with its incarnation.
func (c *Client) check(req *http.Request) error {
	if c.inc.dead.Load() {
		closeBody(req)
		return c.inc.leave(isStreamed(req))
	}
	if ctx := req.Context(); ctx.Err() != nil {
		closeBody(req)
		return context.Cause(ctx)
	}
	return nil
}

// prepare makes a call of a request, and reads the body unless it is streamed.
func (c *Client) prepare(req *http.Request) (*call, error) {
	if err := c.check(req); err != nil {
		return nil, err
	}
	if err := checkRequest(req); err != nil {
		closeBody(req)
		return nil, err
	}
	s := c.inc.node.sim
	targets, err := c.inc.node.resolve(req.URL.Hostname())
	if err != nil {
		closeBody(req)
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	k := &call{
		sim: s, client: c.inc, target: targets[0], procedure: req.URL.Path,
		sent: req, method: cmp.Or(req.Method, http.MethodGet), host: cmp.Or(req.Host, req.URL.Host), url: *req.URL,
		length: req.ContentLength, streamed: isStreamed(req),
	}
	if k.streamed {
		k.length = -1
	} else if err := k.load(req); err != nil {
		return nil, err
	}
	k.header, k.compressed = k.leaving(req)
	if !k.streamed {
		k.trailer = trailers(req)
	}
	return k, nil
}

// trailers returns the trailers of a request whose body was read.
func trailers(req *http.Request) http.Header {
	if len(req.Trailer) == 0 {
		return nil
	}
	return sendable(req.Trailer.Clone())
}

// exchange sends the request and waits for the response.
func (k *call) exchange() (*http.Response, error) {
	k.arrived = make(chan struct{}, 1)
	if k.streamed {
		k.up = newPipe(k, KindRequestData)
		go k.upload(k.sent.Body)
	}
	k.request = packet{
		kind: KindRequest, from: k.client.node, to: k.target, sender: k.client, call: k, procedure: k.procedure, body: k.body, last: !k.streamed,
	}
	k.sim.park(&k.request)
	ctx := k.sent.Context()
	select {
	case <-k.arrived:
	case <-ctx.Done():
		k.abort(context.Cause(ctx))
		if !k.client.dead.Load() {
			return nil, context.Cause(ctx)
		}
	}
	if k.client.dead.Load() {
		return nil, k.client.leave(k.streamed)
	}
	if k.err != nil {
		return nil, k.err
	}
	if body, ok := k.res.Body.(*download); ok {
		body.unwatch = context.AfterFunc(ctx, func() { k.abort(context.Cause(ctx)) })
	}
	if k.compressed {
		uncompress(k.res)
	}
	return k.res, nil
}

// isStreamed says whether a request's body has no known end.
func isStreamed(req *http.Request) bool {
	return req.Body != nil && req.Body != http.NoBody && req.ContentLength <= 0 && req.GetBody == nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // As a transport does; what it says is of no use.
	}
}

// leave ends the goroutine of a dead incarnation, or returns an error if the goroutine may be a
// library's, which others wait for.
func (i *incarnation) leave(streamed bool) error {
	if !streamed {
		runtime.Goexit()
	}
	return errDead
}

// upload sends a streamed request body.
func (k *call) upload(body io.ReadCloser) {
	closeOnce := sync.OnceFunc(func() { _ = body.Close() })
	defer closeOnce()
	unblock := context.AfterFunc(k.up.ctx, closeOnce)
	defer unblock()
	buf := make([]byte, 32<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 && k.up.write(buf[:n]) != nil {
			return
		}
		k.up.park()
		switch {
		case errors.Is(err, io.EOF):
			k.up.close(trailers(k.sent))
			return
		case err != nil:
			if k.up.ctx.Err() == nil {
				k.abort(err)
			}
			return
		}
	}
}

// leave says that the caller waits no longer, and ends its side of the streams. It returns false if
// that was so already.
func (k *call) leave() bool {
	if k.gone.Swap(true) {
		return false
	}
	k.up.stop()
	k.down.fail(ErrCrashed)
	select {
	case k.arrived <- struct{}{}:
	default:
	}
	return true
}

// abort is for a caller that gives up with that error: the handler is to be told.
func (k *call) abort(err error) {
	if k.gone.Swap(true) {
		return
	}
	k.up.stop()
	k.down.fail(err)
	from := k.client.node
	k.sim.park(&packet{kind: KindCancel, from: from, to: k.target, sender: k.client, call: k, procedure: k.procedure})
}

// fulfil gives the caller its response, or an error.
func (k *call) fulfil(res *http.Response, err error) {
	k.res, k.err = res, err
	k.arrived <- struct{}{}
}

// resetBy is word from a host's kernel to the caller that there is no connection.
func (k *call) resetBy(n *node, err error) *packet {
	return &packet{kind: KindReset, from: n, to: k.client.node, call: k, procedure: k.procedure, err: err, last: true}
}

// payload is a whole body.
type payload struct {
	data   []byte
	err    error  // after data; nil is io.EOF
	end    func() // is called at the end of data, if that is none before its time; nil: nothing
	owner  *incarnation
	closed atomic.Pointer[error]
}

// Read implements io.Reader.
func (p *payload) Read(b []byte) (int, error) {
	p.owner.mustLive()
	if closed := p.closed.Load(); closed != nil {
		return 0, *closed
	}
	switch {
	case len(p.data) > 0:
		n := copy(b, p.data)
		p.data = p.data[n:]
		return n, nil
	case p.err != nil:
		return 0, p.err
	}
	if p.end != nil {
		p.end()
		p.end = nil
	}
	return 0, io.EOF
}

// close has reading fail from now on.
func (p *payload) close(err *error) { p.closed.CompareAndSwap(nil, err) }

// What reading a body comes to once it was closed, by the handler that it was sent to or its end,
// or by the caller.
var (
	errClosedRequest  = errors.New("body closed by handler")
	errHandlerExited  = errors.New("http2: request body closed due to handler exiting")
	errClosedResponse = errors.New("http2: response body closed")
)

// request and response are a payload as its receiver has it.
type (
	requestBody  struct{ *payload }
	responseBody struct{ *payload }
)

// Close implements io.Closer.
func (r requestBody) Close() error {
	r.close(&errClosedRequest)
	return nil
}

// Close implements io.Closer.
func (r responseBody) Close() error {
	r.close(&errClosedResponse)
	return nil
}

package sim

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"runtime/pprof"
	"strconv"

	"github.com/frayrpc/fray/sim/order"
)

// runner is a goroutine that runs one handler after another.
type runner struct {
	calls chan *call
}

// serve has an idle goroutine, or else a new one, run the handler of a call that has arrived.
func (s *Sim) serve(k *call) {
	s.mu.Lock()
	var r *runner
	if n := len(s.idle); n > 0 {
		r = s.idle[n-1]
		s.idle = s.idle[:n-1]
	}
	s.mu.Unlock()
	if r == nil {
		r = &runner{calls: make(chan *call, 1)}
		go r.run(s)
	}
	r.calls <- k
}

func (r *runner) run(s *Sim) {
	for k := range r.calls {
		order.Adopt(k.server.mark)
		pprof.SetGoroutineLabels(k.server.labels)
		k.handle()
		order.Adopt(0)
		pprof.SetGoroutineLabels(s.labels)
		s.mu.Lock()
		s.idle = append(s.idle, r)
		s.mu.Unlock()
	}
}

// handle runs the handler, and ends the goroutine with it if the handler does.
func (k *call) handle() {
	returned := false
	defer func() {
		v := recover()
		k.cancel(context.Canceled)
		k.closeRequest()
		if returned || k.server.dead.Load() {
			return
		}
		k.writer.returned.Store(true)
		// As net/http does, except that a panic does not go unnoticed.
		reset := k.resetBy(k.target, errStreamReset(k.id))
		reset.sender = k.server
		if err, _ := v.(error); !errors.Is(err, http.ErrAbortHandler) {
			failure := &PanicError{Value: v, Stack: debug.Stack()}
			reset.fn = func() {
				k.sim.failures = append(k.sim.failures, &SoftwareError{
					Host: k.target.name, Incarnation: k.server.number,
					Err: fmt.Errorf("handle %s: %w", k.procedure, failure),
				})
			}
		}
		k.sim.park(reset)
	}()
	(*k.server.handler.Load()).ServeHTTP(&k.writer, k.incoming())
	returned = true
	k.writer.finish()
}

// closeRequest ends the request's body, whose handler is over.
func (k *call) closeRequest() {
	k.payload.close(&errHandlerExited)
	k.up.fail(errHandlerExited)
}

// incoming is the request as the handler sees it: one of HTTP/2, whatever the caller took it for,
// so that both directions can be streamed at once.
func (k *call) incoming() *http.Request {
	target := &url.URL{Path: cmp.Or(k.url.Path, "/"), RawPath: k.url.RawPath, RawQuery: k.url.RawQuery, ForceQuery: k.url.ForceQuery}
	uri := k.url.RequestURI()
	if k.url.Opaque != "" {
		if parsed, err := url.ParseRequestURI(uri); err == nil {
			target = parsed
		}
	}
	req := (&http.Request{
		Method: k.method, URL: target, Proto: "HTTP/2.0", ProtoMajor: 2, Header: k.header, ContentLength: k.length,
		Host: k.host, RemoteAddr: k.remoteAddr(), RequestURI: uri, Trailer: k.announced, TLS: k.tls(),
	}).WithContext(k.ctx)
	if k.up != nil {
		req.Body = &uploaded{call: k, request: req}
		return req
	}
	k.payload.owner, k.payload.err = k.server, cmp.Or(k.payload.err, k.bodyErr)
	k.payload.end = func() { received(&req.Trailer, k.trailer) }
	req.Body = requestBody{&k.payload}
	return req
}

// remoteAddr is the caller's address, with another port for each call.
func (k *call) remoteAddr() string {
	port := uint16(firstPort + k.id%(lastPort-firstPort+1))
	return netip.AddrPortFrom(k.client.node.ip(), port).String()
}

// Caller returns the name of the host that has made the call whose handler has this context; empty:
// it is no handler's.
func Caller(ctx context.Context) string {
	if k, ok := ctx.Value(callerKey{}).(*call); ok {
		return k.client.node.name
	}
	return ""
}

type callerKey struct{}

// tls is what a handler is told of a connection under https: that it is one. Nothing is encrypted.
func (k *call) tls() *tls.ConnectionState {
	if k.url.Scheme != "https" {
		return nil
	}
	return &tls.ConnectionState{
		Version: tls.VersionTLS13, HandshakeComplete: true, NegotiatedProtocol: "h2", ServerName: k.url.Hostname(),
	}
}

// outgoing is the response as the caller sees it, with a body that is whole or, if that is nil,
// streamed.
func (k *call) outgoing(status int, header http.Header, whole *payload) *http.Response {
	res := &http.Response{
		Status: statusText(status), StatusCode: status, Proto: "HTTP/2.0", ProtoMajor: 2, Header: header, Request: k.sent, TLS: k.tls(),
		Trailer: announced(header), ContentLength: -1,
	}
	if declared := header["Content-Length"]; len(declared) == 1 {
		if n, err := strconv.ParseUint(declared[0], 10, 63); err == nil {
			res.ContentLength = int64(n) // Of 63 bits.
		}
	} else if whole != nil && len(whole.data) == 0 && whole.end == nil && k.method != http.MethodHead {
		res.ContentLength = 0
	}
	switch {
	case k.method == http.MethodHead:
		res.Body = http.NoBody
	case whole == nil:
		res.Body = &download{call: k, left: res.ContentLength, res: res}
	default:
		whole.keepTo(res.ContentLength)
		res.Body = responseBody{whole}
	}
	return res
}

var errReplyTooLong = errors.New("net/http: server replied with more than declared Content-Length; truncated")

// keepTo has a body end as one does that was declared to be that long; -1: it was not.
func (p *payload) keepTo(length int64) {
	switch n := int64(len(p.data)); {
	case length < 0 || p.err != nil:
	case n > length:
		p.data, p.err = p.data[:length], errReplyTooLong
	case n < length:
		p.err = io.ErrUnexpectedEOF
	}
}

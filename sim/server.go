package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"runtime/pprof"
	"strings"
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
		pprof.SetGoroutineLabels(k.server.labels)
		k.handle()
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
		if returned || k.server.dead.Load() {
			return
		}
		// As net/http does, except that a panic does not go unnoticed.
		reset := k.resetBy(k.target, errReset())
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

// incoming is the request as the handler sees it: one of HTTP/2, whatever the caller took it for, so that both directions
// can be streamed at once.
func (k *call) incoming() *http.Request {
	req := (&http.Request{
		Method: k.method, URL: &k.url, Proto: "HTTP/2.0", ProtoMajor: 2, Header: k.header, ContentLength: k.length,
		Host: k.host, RemoteAddr: k.client.node.name + ":0", RequestURI: k.url.RequestURI(),
	}).WithContext(k.ctx)
	if k.up != nil {
		req.Body = &uploaded{pipe: k.up, owner: k.server}
	} else {
		k.payload.owner = k.server
		req.Body = &k.payload
	}
	return req
}

// responder is the http.ResponseWriter of a call.
type responder struct {
	call      *call
	header    http.Header
	sent      http.Header // snapshot, once it streams
	status    int
	buf       []byte
	streaming bool
	pipe      *pipe
}

// Header implements http.ResponseWriter.
func (w *responder) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header, 8)
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter.
func (w *responder) WriteHeader(status int) {
	w.call.server.mustLive()
	if w.status == 0 && status >= http.StatusOK { // Informational responses are not sent on.
		w.status = status
	}
}

// Write implements io.Writer.
func (w *responder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.streaming {
		if err := w.pipe.write(b); err != nil {
			w.call.server.mustLive()
			return 0, err
		}
		return len(b), nil
	}
	w.buf = append(w.buf, b...)
	return len(b), nil
}

// Flush implements http.Flusher: from then on, the response is streamed.
func (w *responder) Flush() {
	w.WriteHeader(http.StatusOK)
	if w.streaming {
		w.pipe.park()
		return
	}
	w.streaming = true
	k := w.call
	w.sent, _ = splitTrailer(w.Header(), false)
	w.sent = w.sent.Clone()
	w.pipe = newPipe(k, KindResponseData)
	w.pipe.pending, w.pipe.unread = w.buf, len(w.buf)
	w.park()
}

// park sends the head of the response.
func (w *responder) park() {
	k := w.call
	k.response = packet{kind: KindResponse, from: k.target, to: k.client.node, sender: k.server, call: k, procedure: k.procedure}
	k.sim.park(&k.response)
}

// finish sends what is left of the response once the handler has returned.
func (w *responder) finish() {
	w.WriteHeader(http.StatusOK)
	if w.streaming {
		_, trailer := splitTrailer(w.Header(), true)
		w.pipe.close(trailer)
		return
	}
	w.park()
}

// splitTrailer tells the trailers in what a handler has set from the headers: those that were declared in the header Trailer,
// and those with http.TrailerPrefix. With end false there are none yet. It changes its argument.
func splitTrailer(h http.Header, end bool) (header, trailer http.Header) {
	for _, names := range h["Trailer"] {
		for name := range strings.SplitSeq(names, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if trailer == nil {
				trailer = make(http.Header)
			}
			if values, ok := h[name]; ok && end {
				trailer[name] = values
				delete(h, name)
			}
		}
	}
	for key, values := range h { // order-free: each is moved for itself
		name, ok := strings.CutPrefix(key, http.TrailerPrefix)
		if !ok || !end {
			continue
		}
		if trailer == nil {
			trailer = make(http.Header)
		}
		trailer[http.CanonicalHeaderKey(name)] = values
		delete(h, key)
	}
	return h, trailer
}

// outgoing is the response as the caller sees it.
func (k *call) outgoing(status int, header, trailer http.Header) *http.Response {
	return &http.Response{
		Status: statusText(status), StatusCode: status, Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: header, Trailer: trailer, Request: k.sent,
	}
}

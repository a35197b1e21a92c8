package sim

import (
	"errors"
	"net/http"
	"time"

	"connectrpc.com/connect"
)

// Fate is what happens to a message. The zero value delivers it.
type Fate struct {
	// Fault names the cause in the trace.
	Fault string
	// Delay is added to the latency.
	Delay time.Duration
	// Drop loses the message: its sender is told nothing.
	Drop bool
	// Reset loses it, and the caller is told that the connection was reset. A handler that is at
	// work has its context cancelled.
	Reset bool
	// Error, with a request, is answered to the caller in the handler's place, and with a response,
	// in place of it. Other messages ignore it. An error that is no *connect.Error is answered as
	// UNKNOWN.
	Error error
	// Truncate cuts the body after Keep bytes; reading on fails with io.ErrUnexpectedEOF.
	Truncate bool
	Keep     int
	// Duplicates is how many times more a request that is not streamed is delivered. Nobody gets
	// the copies' responses.
	Duplicates int
}

// Judge decides what happens to each message. It is asked by one goroutine at a time, in the same
// order in each run of a seed, and must itself be deterministic.
type Judge interface {
	Judge(m *Message) Fate
}

// maxDuplicates bounds Fate.Duplicates.
const maxDuplicates = 16

// reset loses a message and tells both sides that the connection is gone.
func (s *Sim) reset(p *packet) {
	k := p.call
	s.drop(p, "reset")
	if p.kind != KindReset {
		r := k.resetBy(k.target, errReset())
		r.fault = p.fault
		s.number(r)
		s.schedule(r)
	}
	if k.server != nil && !k.handled {
		s.cancelled(k)
	}
}

// duplicate has a copy of a request arrive as well, whose response goes to nobody.
func (s *Sim) duplicate(p *packet, ordinal uint64) {
	if p.kind != KindRequest || !p.last {
		return
	}
	k := p.call
	s.calls++
	s.stats.Duplicate++
	ghost := &call{
		sim: s, id: s.calls, client: k.client, target: k.target, procedure: k.procedure, sent: k.sent, method: k.method,
		host: k.host, url: k.url, header: k.header.Clone(), body: k.body, length: k.length,
	}
	ghost.gone.Store(true)
	c := *p
	c.call = ghost
	c.ordinal = s.draw(forDuplicate, p.ordinal, ordinal)
	ghost.request = c
	s.schedule(&ghost.request)
}

// answer has an error come back in place of a handler's response.
func (s *Sim) answer(p *packet, err error) {
	k := p.call
	k.response = packet{
		kind: KindResponse, from: k.target, to: k.client.node, call: k, procedure: k.procedure, fault: p.fault,
		delay: p.delay + s.latency(p), // It has to go there and back.
	}
	s.number(&k.response)
	s.replace(&k.response, err)
	s.schedule(&k.response)
}

// replace makes a response one that carries that error, in the protocol of the request.
func (s *Sim) replace(p *packet, err error) {
	k := p.call
	if k.writer.pipe != nil && !k.handled {
		s.cancelled(k)
	}
	var wire *connect.Error
	if !errors.As(err, &wire) {
		wire = connect.NewError(connect.CodeUnknown, err)
	}
	writer := recorder{header: make(http.Header)}
	req := &http.Request{Method: k.method, URL: &k.url, Header: k.header}
	_ = connect.NewErrorWriter().Write(&writer, req, wire) // A recorder's Write does not fail.
	p.reply = &responder{call: k, header: writer.header, status: max(writer.status, http.StatusOK), snap: writer.header.Clone(), buf: writer.body}
	p.reply.settle(true)
	p.body, p.last, p.cut = writer.body, true, false
	p.digest = digest(p.body)
}

// recorder is what an error is written to.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write implements io.Writer.
func (r *recorder) Write(b []byte) (int, error) {
	r.body = append(r.body, b...)
	return len(b), nil
}

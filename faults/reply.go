package faults

import (
	"context"
	"net"
	"net/http"
	"time"
)

// A reply applies to an answer on its way to the caller what a plan says, from its first byte on.
type reply struct {
	passed int64 // bytes, at the rate
	http.ResponseWriter

	handler *handler
	request *http.Request
	plan    *activePlan
	point   point
	body    *shapedBody // of the request; nil: it is as it came

	decided bool
	outcome outcome
	silent  bool  // nothing more passes
	left    int64 // bytes that pass; below 0: all
	cutBy   error // how the answer was cut; nil: it was not
	// cancel ends the context of the handler, whose caller has all that it gets.
	cancel context.CancelFunc
}

// writer returns the reply as what the handler writes to. It can flush if what lies below can.
func (y *reply) writer() http.ResponseWriter {
	if flusher, ok := y.ResponseWriter.(http.Flusher); ok {
		return &flushingReply{y, flusher}
	}
	return y
}

// Unwrap is for http.ResponseController.
func (y *reply) Unwrap() http.ResponseWriter { return y.ResponseWriter }

// decide settles what becomes of the answer, when there is one.
func (y *reply) decide() {
	if y.decided {
		return
	}
	y.decided = true
	if y.body != nil && y.body.hit {
		y.outcome.ending, y.silent = crashed, true // a connection that broke carries no answer
		y.outcome.reset = -1
		if y.body.err == errReset { //nolint:errorlint // It is this value itself.
			y.outcome.reset = 0
		}
		return
	}
	y.outcome = y.handler.injector.meet(y.request.Context(), y.plan, &y.point)
	y.outcome.passed()
	y.left, _ = y.outcome.cut()
	y.silent = y.outcome.ending != goesOn || y.outcome.reset == 0
	if y.silent && y.outcome.ending != lost {
		y.cancel() // The call is over for its caller, however long the handler would go on.
	}
}

// WriteHeader implements http.ResponseWriter.
func (y *reply) WriteHeader(code int) {
	if code >= http.StatusOK {
		y.decide()
	}
	if !y.silent {
		y.ResponseWriter.WriteHeader(code)
	}
}

// Write implements http.ResponseWriter. What was lost counts as written.
func (y *reply) Write(p []byte) (int, error) {
	y.decide()
	written := 0
	for !y.silent && written < len(p) {
		if y.left == 0 {
			_, y.cutBy = y.outcome.cut()
			y.silent = true
			y.breakOff()
			break
		}
		n, err := y.ResponseWriter.Write(p[written : written+slice(len(p)-written, y.left, y.outcome.rate)])
		written += n
		if y.left > 0 {
			y.left -= int64(n)
		}
		if err != nil {
			return written, err
		}
		if y.outcome.rate > 0 {
			if written < len(p) {
				_ = http.NewResponseController(y.ResponseWriter).Flush()
			}
			if err := pace(y.request.Context(), y.plan, &y.passed, n, y.outcome.rate, y.outcome.gap); err != nil {
				return written, err
			}
		}
	}
	if y.outcome.ending == crashed || y.outcome.ending == failed || y.outcome.reset == 0 || y.cutBy != nil {
		return written, errReset
	}
	return len(p), nil
}

// breakOff ends an answer that was cut, at once and not when the handler returns, which may be long
// after.
func (y *reply) breakOff() {
	defer y.cancel()
	control := http.NewResponseController(y.ResponseWriter)
	_ = control.Flush()
	if conn, _, err := control.Hijack(); err == nil {
		closeConnection(conn, y.cutBy == errReset) //nolint:errorlint // It is this value itself.
		return
	}
	_ = control.SetWriteDeadline(time.Unix(1, 0)) // Others share the connection: this resets the stream.
}

// A flushingReply is a reply over what can flush.
type flushingReply struct {
	*reply

	flusher http.Flusher
}

// Flush implements http.Flusher.
func (y *flushingReply) Flush() {
	if y.decide(); !y.silent {
		y.flusher.Flush()
	}
}

// finish does what is left when the handler has returned.
func (y *reply) finish() {
	y.decide()
	if y.cutBy != nil {
		y.abort(false)
	}
	if y.silent {
		y.end(&y.outcome)
	}
}

// end answers a call as it ended. It waits for the caller to leave if the call is lost.
func (y *reply) end(o *outcome) {
	switch o.ending {
	case goesOn: // but the connection is reset
		y.abort(true)
	case crashed:
		y.abort(o.reset == 0)
	case lost:
		o.passed()
		drain(y.request)
		_ = y.handler.injector.vanish(y.request.Context())
		y.abort(false)
	case failed:
		header := y.Header()
		clear(header)
		// What cannot be written, nobody is there to read.
		_ = y.handler.errors.Write(y.ResponseWriter, y.request, o.err)
	}
}

// abort cuts the connection, or the stream if others share it.
func (y *reply) abort(reset bool) {
	if reset {
		resetConnection(y.ResponseWriter)
	}
	panic(http.ErrAbortHandler)
}

// resetConnection closes a connection so that the peer sees a reset and no end, where that can be.
func resetConnection(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		closeConnection(conn, true)
	}
}

// closeConnection closes a connection, so that its peer sees a reset if that is asked for.
func closeConnection(conn net.Conn, reset bool) {
	base := conn
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		base = secured.NetConn()
	}
	if tcp, ok := base.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

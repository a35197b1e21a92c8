package sim

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// headSize is how much of a body is gathered before the head of its response is sent without a
// flush.
const headSize = 4 << 10

var (
	errTooMuch = errors.New("http2: handler wrote more than declared Content-Length")
	errBroken  = fmt.Errorf("%w", os.ErrDeadlineExceeded)
)

// responder is the http.ResponseWriter of a call, and does what that of net/http does over HTTP/2.
type responder struct {
	call   *call
	header http.Header // the handler's, which it may change at any time
	status int
	snap   http.Header // the header at WriteHeader; as it was sent once the head is settled
	// Names of trailers, of which the last are known when the handler has returned.
	trailers []string
	buf      []byte
	length   int64 // that was declared, once the head is settled; 0: none
	wrote    int64
	short    bool  // nothing more is taken of what goes nowhere
	pipe     *pipe // of a response that is streamed
	returned atomic.Bool
	broken   atomic.Bool // by a deadline
	lost     int         // bytes written since
	expiry   *time.Timer // of reading, of writing
	late     *time.Timer
}

// use is called before the handler does anything. One that goes on after it has returned is told by
// a panic.
func (w *responder) use(what string) {
	w.call.server.mustLive()
	if w.returned.Load() {
		panic(what + " called after Handler finished")
	}
}

// Header implements http.ResponseWriter.
func (w *responder) Header() http.Header {
	if w.call != nil && w.returned.Load() {
		w.use("Header")
	}
	if w.header == nil {
		w.header = make(http.Header, 8)
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter. Informational responses are not sent on.
func (w *responder) WriteHeader(status int) {
	w.use("WriteHeader")
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	}
	if w.status == 0 && status >= http.StatusOK {
		w.status, w.snap = status, w.header.Clone()
	}
}

// Write implements io.Writer.
func (w *responder) Write(b []byte) (int, error) { return write(w, b) }

// WriteString implements io.StringWriter.
func (w *responder) WriteString(s string) (int, error) { return write(w, s) }

func write[T string | []byte](w *responder, b T) (int, error) {
	w.use("Write")
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	w.wrote += int64(len(b))
	switch {
	case w.length != 0 && w.wrote > w.length:
		return 0, errTooMuch
	case w.broken.Load():
		if w.lost += len(b); w.lost > headSize { // Until then it is only gathered.
			return 0, errBroken
		}
	case w.short:
		return 0, io.ErrShortWrite
	case w.bodiless():
		return discard(w, b)
	case w.pipe != nil:
		if err := w.pipe.write([]byte(b)); err != nil {
			w.call.server.mustLive()
			return 0, err
		}
	default:
		if w.buf = append(w.buf, b...); len(w.buf) > headSize {
			w.stream()
		}
	}
	return len(b), nil
}

// discard takes in what is written to the response of a HEAD. Once its head is sent on the occasion
// of a write that had others before it, net/http's writer says that it is short, for good.
func discard[T string | []byte](w *responder, b T) (int, error) {
	n, gathered := len(b), len(w.buf)
	switch {
	case w.pipe != nil:
	case gathered+n <= headSize:
		w.buf = append(w.buf, b...)
	default:
		w.buf = append(w.buf, b...)
		w.stream()
		if w.short = gathered > 0; w.short {
			return headSize - gathered, io.ErrShortWrite
		}
	}
	return n, nil
}

// Flush implements http.Flusher: from then on, the response is streamed.
func (w *responder) Flush() { _ = w.FlushError() }

// FlushError is Flush for an http.ResponseController.
func (w *responder) FlushError() error {
	w.use("Header")
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.broken.Load():
		return errBroken
	case w.pipe == nil:
		w.short = w.bodiless() && len(w.buf) > 0
		w.stream()
	default:
		w.pipe.park()
	}
	if w.short {
		return io.ErrShortWrite
	}
	return nil
}

// EnableFullDuplex is for an http.ResponseController: it is always so.
func (w *responder) EnableFullDuplex() error { return nil }

// Push implements http.Pusher: no client wants that.
func (w *responder) Push(string, *http.PushOptions) error { return http.ErrNotSupported }

// SetReadDeadline is for an http.ResponseController. It does nothing to a request that is there as
// a whole.
func (w *responder) SetReadDeadline(deadline time.Time) error {
	w.use("SetReadDeadline")
	w.expiry = arm(w.expiry, deadline, func() {
		if up := w.call.up; up != nil {
			up.finish(nil, fmt.Errorf("%w", os.ErrDeadlineExceeded))
		}
	})
	return nil
}

// SetWriteDeadline is for an http.ResponseController. A response that is not at its end by then
// breaks off.
func (w *responder) SetWriteDeadline(deadline time.Time) error {
	w.use("SetWriteDeadline")
	w.late = arm(w.late, deadline, w.breakOff)
	return nil
}

// arm has f called at a deadline, or at once if it has passed, in place of what a timer was to do.
// Zero is never.
func arm(timer *time.Timer, deadline time.Time, f func()) *time.Timer {
	if timer != nil && !timer.Stop() {
		return timer // It is too late for anything else.
	}
	switch left := time.Until(deadline); {
	case deadline.IsZero():
		return nil
	case left < 0:
		f()
		return nil
	default:
		return time.AfterFunc(left, f)
	}
}

// breakOff resets the stream.
func (w *responder) breakOff() {
	k := w.call
	if w.returned.Load() || w.broken.Swap(true) || k.server.dead.Load() {
		return
	}
	reset := k.resetBy(k.target, errStreamReset(k.id))
	reset.sender = k.server
	k.sim.park(reset)
	k.hangUp(errBroken)
}

// stream sends what there is of a response, head first.
func (w *responder) stream() {
	w.settle(false)
	w.pipe = newPipe(w.call, KindResponseData)
	if !w.bodiless() {
		w.pipe.pending, w.pipe.unread = w.buf, len(w.buf)
	}
	w.buf = nil
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
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	for _, timer := range []*time.Timer{w.expiry, w.late} {
		if timer != nil {
			timer.Stop()
		}
	}
	w.returned.Store(true)
	switch {
	case w.broken.Load():
	case w.pipe != nil:
		w.promote()
		w.pipe.close(w.trailer())
	default:
		w.settle(true)
		w.park()
	}
}

// bodiless says whether what is written goes nowhere.
func (w *responder) bodiless() bool { return w.call.method == http.MethodHead }

// settle makes the header what is sent, given what the body begins with, or with over all of it.
func (w *responder) settle(over bool) {
	for _, value := range w.snap["Trailer"] {
		elements(value, w.declare)
	}
	if over {
		w.promote()
	}
	_, typed := w.snap["Content-Type"]
	_, dated := w.snap["Date"]
	h := sendable(w.snap)
	declared := h.Get("Content-Length")
	if n, err := strconv.ParseUint(declared, 10, 63); err == nil {
		w.length = int64(n) // Of 63 bits.
	} else {
		delete(h, "Content-Length")
		declared = ""
	}
	allowed := bodyAllowed(w.status)
	if declared == "" && over && allowed && (len(w.buf) > 0 || !w.bodiless()) {
		h["Content-Length"] = []string{strconv.Itoa(len(w.buf))}
	}
	if !typed && allowed && len(w.buf) > 0 && h.Get("Content-Encoding") == "" {
		h["Content-Type"] = []string{http.DetectContentType(w.buf)}
	}
	if !dated {
		h["Date"] = []string{w.call.sim.date()}
	}
	if w.snap = h; w.bodiless() && over {
		w.buf = nil
	}
}

// bodyAllowed says whether a response of that status has a body.
func bodyAllowed(status int) bool {
	return status >= http.StatusOK && status != http.StatusNoContent && status != http.StatusNotModified
}

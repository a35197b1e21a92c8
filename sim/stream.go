package sim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

const (
	// streamWindow is how many bytes of one direction of a stream may be written and not yet read.
	streamWindow = 1 << 20
	// flushSize is how much a handler that streams may write until it is sent without being
	// flushed.
	flushSize = 64 << 10
)

// errStreamEnded is for who writes to a stream that the other side no longer reads.
var errStreamEnded = errors.New("stream has ended")

// pipe is one direction of a stream. What is written at one instant travels as one message. All
// methods but write may be called on a nil pipe.
type pipe struct {
	call *call
	kind MessageKind
	// Ends when the writer is to stop. Only set for uploads, whose reader blocks elsewhere.
	ctx    context.Context //nolint:containedctx // A signal to the goroutine that uploads.
	cancel context.CancelFunc

	mu      sync.Mutex
	changed sync.Cond

	// Of the writer.
	pending []byte
	closed  bool
	trailer http.Header
	parked  bool
	stopped bool
	blocked bool
	unread  int // bytes

	// Of the reader.
	buf   []byte
	ended bool
	err   error
}

func newPipe(k *call, kind MessageKind) *pipe {
	p := &pipe{call: k, kind: kind}
	p.changed.L = &p.mu
	if kind == KindRequestData {
		p.ctx, p.cancel = context.WithCancel(context.Background())
	}
	return p
}

// write takes bytes in, once there is room for them.
func (p *pipe) write(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.unread >= streamWindow && !p.stopped {
		p.blocked = true
		p.parkLocked()
		p.changed.Wait()
	}
	if p.stopped {
		return errStreamEnded
	}
	p.pending = append(p.pending, b...)
	p.unread += len(b)
	if len(p.pending) >= flushSize {
		p.parkLocked()
	}
	return nil
}

// park has what was written sent.
func (p *pipe) park() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parkLocked()
}

func (p *pipe) parkLocked() {
	// That a handler has returned is told even if nobody reads what it wrote.
	returned := p.closed && p.kind == KindResponseData
	if p.parked || p.stopped && !returned || len(p.pending) == 0 && !p.closed {
		return
	}
	p.parked = true
	k := p.call
	d := &packet{kind: p.kind, call: k, procedure: k.procedure}
	if p.kind == KindRequestData {
		d.from, d.to, d.sender = k.client.node, k.target, k.client
	} else {
		d.from, d.to, d.sender = k.target, k.client.node, k.server
	}
	k.sim.park(d)
}

// close says that nothing more will be written, and has the rest sent.
func (p *pipe) close(trailer http.Header) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.trailer = true, trailer
	p.parkLocked()
}

// take returns what is to be sent, and whether that is the last of it.
func (p *pipe) take() (data []byte, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	data, last = p.pending, p.closed
	p.pending, p.parked = nil, false
	return data, last
}

// stop ends the writer's side: the other one no longer reads.
func (p *pipe) stop() {
	p.halt()
	p.reopen()
	if p != nil && p.cancel != nil {
		p.cancel()
	}
}

// halt is stop, of which a writer that is blocked is not told.
func (p *pipe) halt() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
}

// bring gives the reader what has arrived.
func (p *pipe) bring(data []byte, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return // A deadline came before it.
	}
	p.buf = append(p.buf, data...)
	p.ended = last
	p.changed.Broadcast()
}

// fail ends the reader's side, at once unless it has ended by itself.
func (p *pipe) fail(err error) {
	p.spoil(err)
	p.reopen()
}

// spoil is fail, of which a reader that is blocked is not told.
func (p *pipe) spoil(err error) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && !p.ended {
		p.err = err
	}
}

// finish is fail, once what has arrived was read.
func (p *pipe) finish(data []byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buf = append(p.buf, data...)
	p.ended = true
	if p.err == nil {
		p.err = err
	}
	p.changed.Broadcast()
}

// reopen has a reader and a writer that are blocked look again.
func (p *pipe) reopen() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed.Broadcast()
}

// read is for one reader at a time.
func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.buf) == 0 && !p.ended && p.err == nil {
		p.changed.Wait()
	}
	switch {
	case len(p.buf) > 0 && (p.err == nil || p.ended):
		n := copy(b, p.buf)
		if p.buf = p.buf[n:]; len(p.buf) == 0 {
			p.buf = nil
		}
		p.unread -= n
		if p.blocked && p.unread <= streamWindow/2 {
			p.blocked = false
			p.call.sim.park(&packet{kind: kindWindow, from: p.call.client.node, to: p.call.target, call: p.call, fn: p.reopen})
		}
		return n, nil
	case p.err != nil:
		return 0, p.err
	default:
		return 0, io.EOF
	}
}

// uploaded is a streamed request body as the handler reads it.
type uploaded struct {
	call    *call
	request *http.Request
}

// Read implements io.Reader.
func (u *uploaded) Read(b []byte) (int, error) {
	n, err := u.call.up.read(b)
	u.call.server.mustLive()
	if errors.Is(err, io.EOF) {
		received(&u.request.Trailer, u.call.up.ending())
	}
	return n, err
}

// Close implements io.Closer.
func (u *uploaded) Close() error {
	u.call.up.fail(errClosedRequest)
	return nil
}

// download is a streamed response body as the caller reads it.
type download struct {
	call    *call
	res     *http.Response
	left    int64 // of what was declared; -1: nothing was
	unwatch func() bool
	once    sync.Once
}

// Read implements io.Reader. In a dead incarnation it fails, because its goroutine may be a
// library's.
func (d *download) Read(b []byte) (int, error) {
	n, err := d.call.down.read(b)
	if d.call.client.dead.Load() {
		return 0, errDead
	}
	over := errors.Is(err, io.EOF)
	if over {
		d.end()
	}
	switch {
	case d.left < 0:
	case int64(n) > d.left:
		n, d.left = int(d.left), 0
		d.call.down.fail(errReplyTooLong)
		d.call.abort(errReplyTooLong)
		return n, errReplyTooLong
	case over && d.left > 0:
		return n, io.ErrUnexpectedEOF
	default:
		d.left -= int64(n)
	}
	return n, err
}

// end takes in that the response was read to its end.
func (d *download) end() {
	d.once.Do(func() {
		received(&d.res.Trailer, d.call.down.ending())
		d.unwatch()
	})
}

// ending returns the trailers of a stream that was read to its end.
func (p *pipe) ending() http.Header {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trailer
}

// Close implements io.Closer. Before the end it gives the call up.
func (d *download) Close() error {
	d.unwatch()
	p := d.call.down
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	p.closeRead()
	if !ended {
		d.call.abort(errClosedResponse)
	}
	return nil
}

// closeRead has reading fail from now on, whatever has arrived.
func (p *pipe) closeRead() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buf, p.ended, p.err = nil, true, errClosedResponse
	p.changed.Broadcast()
}

package sim

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// socketWindow is how many bytes of one direction of a connection may be written and not yet read.
const socketWindow = 256 << 10

// wire is a connection between two sockets.
type wire struct {
	sim       *Sim
	id        uint64 // 0 until it is sent for
	procedure string // in the trace
	ends      [2]socket

	mu sync.Mutex
	// Of the one who dials, who waits for settled.
	settled   chan struct{}
	err       error // why there is no connection
	abandoned bool  // nobody waits any longer
}

// socket is one end of a connection, as software has it. Its methods may be called by several
// goroutines.
type socket struct {
	wire  *wire
	peer  *socket
	owner *incarnation
	// Where it is, known once the connection is sent for.
	local, remote net.TCPAddr

	// Under wire.mu.
	changed sync.Cond
	buf     []byte // has arrived
	eof     bool   // nothing follows buf
	err     error  // the connection is no more; what has arrived can still be read
	shut    bool   // Close was called, or the process has ended
	deaf    bool   // what arrives is for nobody
	pending []byte // is to be sent
	ended   bool   // nothing follows pending
	abort   bool   // a reset is to be sent in place of an end
	parked  bool
	blocked bool // a writer waits for room
	unread  int  // bytes that were written and that the peer has not read
	reads   deadline
	writes  deadline

	kernel
}

// deadline is until when something may wait.
type deadline struct {
	at    time.Time // zero: for ever
	timer *time.Timer
}

// set has waiting end at an instant, of which wake tells those who wait; zero: never.
func (d *deadline) set(t time.Time, wake func()) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.at = t; !t.IsZero() && !d.passed() {
		d.timer = time.AfterFunc(time.Until(t), wake)
	}
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func newWire(s *Sim, client *incarnation, procedure string) *wire {
	w := &wire{sim: s, procedure: procedure, settled: make(chan struct{})}
	for i := range w.ends {
		c := &w.ends[i]
		c.wire, c.peer = w, &w.ends[1-i]
		c.changed.L = &w.mu
	}
	w.ends[0].owner = client
	return w
}

// fails wraps an error as package net does.
func (c *socket) fails(op string, err error) error {
	var code syscall.Errno
	if errors.As(err, &code) {
		err = os.NewSyscallError(op, code)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: &c.local, Addr: &c.remote, Err: err}
}

// Read implements net.Conn.
func (c *socket) Read(b []byte) (int, error) {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	for {
		switch {
		case c.owner.dead.Load():
			return 0, c.fails("read", c.owner.lost())
		case c.shut:
			return 0, c.fails("read", net.ErrClosed)
		case c.reads.passed():
			return 0, c.fails("read", os.ErrDeadlineExceeded)
		case len(b) == 0:
			return 0, nil
		case len(c.buf) > 0:
			n := copy(b, c.buf)
			if c.buf = c.buf[n:]; len(c.buf) == 0 {
				c.buf = nil
			}
			c.peer.makeRoom(n)
			return n, nil
		case c.err != nil:
			return 0, c.fails("read", c.err)
		case c.eof:
			return 0, io.EOF
		}
		c.changed.Wait()
	}
}

// makeRoom takes in that n bytes that c has sent were read.
func (c *socket) makeRoom(n int) {
	c.unread -= n
	if c.blocked && c.unread <= socketWindow/2 {
		c.blocked = false
		c.tell(kindWindow, c.wake)
	}
}

// wake has those who wait for something of this end look again.
func (c *socket) wake() {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	c.changed.Broadcast()
}

// tell has the goroutine that steps do something about this end.
func (c *socket) tell(kind MessageKind, fn func()) {
	c.wire.sim.park(&packet{kind: kind, from: c.owner.node, to: c.owner.node, segment: segment{socket: c}, procedure: c.wire.procedure, fn: fn})
}

// Write implements net.Conn.
func (c *socket) Write(b []byte) (int, error) {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	written := 0
	for {
		switch {
		case c.owner.dead.Load():
			return written, c.fails("write", c.owner.lost())
		case c.shut:
			return written, c.fails("write", net.ErrClosed)
		case c.err != nil:
			return written, c.fails("write", c.err)
		case c.ended:
			return written, c.fails("write", syscall.EPIPE)
		case c.writes.passed():
			return written, c.fails("write", os.ErrDeadlineExceeded)
		case len(b) == 0:
			return written, nil
		}
		if n := min(len(b), socketWindow-c.unread); n > 0 {
			c.pending = append(c.pending, b[:n]...)
			c.unread += n
			written += n
			b = b[n:]
			c.park()
			continue
		}
		c.blocked = true
		c.changed.Wait()
	}
}

// park has what was written sent, with all else that is written at this instant.
func (c *socket) park() {
	if c.parked {
		return
	}
	c.parked = true
	c.wire.sim.park(&packet{
		kind: KindBytes, from: c.owner.node, to: c.peer.owner.node, sender: c.owner, segment: segment{socket: c}, procedure: c.wire.procedure,
	})
}

// Close implements net.Conn. What was written is still sent. If something has arrived that was not
// read, the peer gets a reset.
func (c *socket) Close() error {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	if c.shut || c.owner.dead.Load() {
		return c.fails("close", net.ErrClosed)
	}
	c.close()
	return nil
}

// close is Close, also by the kernel of a process that has ended.
func (c *socket) close() {
	c.shut, c.deaf = true, true
	c.abort = c.abort || len(c.buf) > 0
	c.peer.makeRoom(len(c.buf))
	c.buf = nil
	for _, d := range []*deadline{&c.reads, &c.writes} {
		if d.timer != nil {
			d.timer.Stop()
		}
	}
	c.changed.Broadcast()
	if c.err == nil && !c.ended {
		c.ended = true
		c.park()
	}
}

// CloseWrite says that nothing more will be written, as that of net.TCPConn does.
func (c *socket) CloseWrite() error {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	switch {
	case c.shut || c.owner.dead.Load():
		return c.fails("close", net.ErrClosed)
	case c.err != nil:
		return c.fails("shutdown", syscall.ENOTCONN)
	case !c.ended:
		c.ended = true
		c.park()
	}
	return nil
}

// CloseRead says that nothing more will be read, as that of net.TCPConn does. What arrives is
// dropped.
func (c *socket) CloseRead() error {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	if c.shut || c.owner.dead.Load() {
		return c.fails("close", net.ErrClosed)
	}
	c.eof, c.deaf = true, true
	c.peer.makeRoom(len(c.buf))
	c.buf = nil
	c.changed.Broadcast()
	return nil
}

// SetLinger with 0 has Close send a reset in place of what was written and not yet sent; all other
// times are the default's.
func (c *socket) SetLinger(sec int) error {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	c.abort = sec == 0
	return nil
}

// SetNoDelay does nothing: what is written is sent at once.
func (c *socket) SetNoDelay(bool) error { return nil }

// SetKeepAlive does nothing: a peer that does not answer is noticed as package net has it by
// default.
func (c *socket) SetKeepAlive(bool) error { return nil }

// SetKeepAlivePeriod does nothing, see SetKeepAlive.
func (c *socket) SetKeepAlivePeriod(time.Duration) error { return nil }

// LocalAddr implements net.Conn.
func (c *socket) LocalAddr() net.Addr { return &c.local }

// RemoteAddr implements net.Conn.
func (c *socket) RemoteAddr() net.Addr { return &c.remote }

// SetDeadline implements net.Conn.
func (c *socket) SetDeadline(t time.Time) error { return c.limit(t, &c.reads, &c.writes) }

// SetReadDeadline implements net.Conn.
func (c *socket) SetReadDeadline(t time.Time) error { return c.limit(t, &c.reads) }

// SetWriteDeadline implements net.Conn.
func (c *socket) SetWriteDeadline(t time.Time) error { return c.limit(t, &c.writes) }

func (c *socket) limit(t time.Time, deadlines ...*deadline) error {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	if c.shut || c.owner.dead.Load() {
		return c.fails("set", net.ErrClosed)
	}
	for _, d := range deadlines {
		d.set(t, c.wake)
	}
	c.changed.Broadcast()
	return nil
}

// maxLost is how often software of a dead incarnation may find that it is, by an error, until the
// goroutine ends: one that tries again and again would never stop.
const maxLost = 1000

// lost is what use of a connection comes to once the incarnation is dead. The goroutine is often a
// library's, for which others wait, so it is not ended at once.
func (i *incarnation) lost() error {
	if i.used.Add(1) > maxLost {
		runtime.Goexit()
	}
	return ErrCrashed
}

// timeoutError is the error of a dial that took too long.
type timeoutError struct{}

// Error implements error.
func (timeoutError) Error() string { return "i/o timeout" }

// Timeout implements net.Error.
func (timeoutError) Timeout() bool { return true }

// Temporary implements net.Error.
func (timeoutError) Temporary() bool { return true }

// Is has the error be that of the context as well.
func (timeoutError) Is(err error) bool {
	return err == context.DeadlineExceeded
}

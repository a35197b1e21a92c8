package sim

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// maxBacklog is how many connections may wait for Accept; further ones are not answered.
	maxBacklog = 4096
	// Ports that a host chooses by itself.
	firstPort, lastPort = 32768, 60999
)

// listener accepts connections to a port of a host.
type listener struct {
	owner *incarnation
	port  uint16
	addr  net.TCPAddr

	mu      sync.Mutex
	changed sync.Cond
	queue   []*socket
	closed  bool
	limit   deadline
}

// Listen listens on a port of the host, as net.Listen does. The network is tcp or tcp4; of the
// address only the port counts, which 0 leaves to the host. Connections are those of other hosts'
// [Host.DialContext] and its own. They and the calls of [Host.Client] have nothing to do with each
// other, but for the links that both travel on.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	i := h.inc
	fails := func(addr net.Addr, err error) error {
		return &net.OpError{Op: "listen", Net: network, Addr: addr, Err: err}
	}
	if i.dead.Load() {
		return nil, fails(nil, i.lost())
	}
	name, port, err := splitAddress(network, address)
	if err != nil {
		return nil, fails(nil, err)
	}
	l := &listener{owner: i, port: port, addr: net.TCPAddr{IP: net.IPv6unspecified, Port: int(port)}}
	l.changed.L = &l.mu
	if name != "" {
		nodes, err := i.node.resolve(name)
		if err != nil {
			return nil, fails(nil, err)
		}
		if nodes[0] != i.node {
			l.addr.IP = nodes[0].ip().AsSlice()
			return nil, fails(&l.addr, fmt.Errorf("bind: %w", syscall.EADDRNOTAVAIL))
		}
		l.addr.IP = i.node.ip().AsSlice()
		if given, err := netip.ParseAddr(name); err == nil {
			l.addr.IP = given.AsSlice()
		}
	}
	s := i.node.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.port == 0 {
		l.port = i.freePort()
	}
	l.addr.Port = int(l.port)
	if l.port == 0 || i.ports[l.port] != nil {
		return nil, fails(&l.addr, fmt.Errorf("bind: %w", syscall.EADDRINUSE))
	}
	if i.ports == nil {
		i.ports = make(map[uint16]*listener)
	}
	i.ports[l.port] = l
	return l, nil
}

// freePort returns a port that nobody listens on, or 0. Sim.mu is held.
func (i *incarnation) freePort() uint16 {
	for range lastPort - firstPort + 1 {
		if port := i.node.nextPort(); i.ports[port] == nil {
			return port
		}
	}
	return 0
}

// nextPort returns one port of the machine after the other. Sim.mu is held.
func (n *node) nextPort() uint16 {
	port := firstPort + n.ported%(lastPort-firstPort+1)
	n.ported++
	return port
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	fails := func(err error) error { return &net.OpError{Op: "accept", Net: "tcp", Addr: &l.addr, Err: err} }
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.owner.dead.Load():
			return nil, fails(l.owner.lost())
		case l.closed:
			return nil, fails(net.ErrClosed)
		case l.limit.passed():
			return nil, fails(os.ErrDeadlineExceeded)
		case len(l.queue) > 0:
			c := l.queue[0]
			l.queue = l.queue[1:]
			return c, nil
		}
		l.changed.Wait()
	}
}

// Close implements net.Listener. Connections that nobody has accepted get a reset.
func (l *listener) Close() error {
	s := l.owner.node.sim
	s.mu.Lock()
	ours := l.owner.ports[l.port] == l
	if ours {
		delete(l.owner.ports, l.port)
	}
	s.mu.Unlock()
	if !ours {
		return &net.OpError{Op: "close", Net: "tcp", Addr: &l.addr, Err: net.ErrClosed}
	}
	for _, c := range l.shut() {
		c.wire.mu.Lock()
		c.abort = true
		c.close()
		c.wire.mu.Unlock()
	}
	return nil
}

// shut ends accepting, and returns what was not accepted.
func (l *listener) shut() []*socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	left := l.queue
	l.queue = nil
	l.changed.Broadcast()
	return left
}

// offer takes in a connection. It reports false if there is no room for it.
func (l *listener) offer(c *socket) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.queue) >= maxBacklog {
		return false
	}
	l.queue = append(l.queue, c)
	return true
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return &l.addr }

// SetDeadline is until when Accept waits, as that of net.TCPListener.
func (l *listener) SetDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit.set(t, l.wake)
	l.changed.Broadcast()
	return nil
}

func (l *listener) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed.Broadcast()
}

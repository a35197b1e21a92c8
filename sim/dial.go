package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"

	"github.com/frayrpc/fray/faults"
)

// Dial is DialContext without a limit of time.
func (h *Host) Dial(network, address string) (net.Conn, error) {
	return h.DialContext(context.Background(), network, address)
}

// DialContext connects to a listener of a host, its own or another, as that of net.Dialer does. The
// network is tcp or tcp4. The address is a host's name, one of [Sim.Name], an IP address or
// localhost, and a port.
//
// What is written at one instant travels together, now and then in two pieces. Bytes arrive in
// order. What a link loses is sent again: after 200 ms, and after twice as long each time that it
// is lost again, for up to a quarter of an hour, and a request for a connection after 1 s, for two
// minutes. What was lost for so long, an attempt to connect without an answer for 127 s, or a peer
// that has not answered 9 probes, one each 15 s, ends the connection with ETIMEDOUT; a peer that
// does not know of it any longer, with ECONNRESET. The end of a process closes its connections, and
// loss of power tells nobody.
//
// Once the incarnation is dead, its connections fail with an error that wraps ErrCrashed.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	i := h.inc
	fails := func(err error) error { return &net.OpError{Op: "dial", Net: network, Err: err} }
	if i.dead.Load() {
		return nil, fails(i.lost())
	}
	name, port, err := splitAddress(network, address)
	if err != nil {
		return nil, fails(err)
	}
	nodes, err := i.node.resolve(name)
	if err != nil {
		return nil, fails(err)
	}
	var first error
	for _, n := range nodes {
		conn, err := i.connect(ctx, n, port)
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil || i.dead.Load() {
			break
		}
	}
	return nil, first
}

// connect asks one host for a connection, and waits for it.
func (i *incarnation) connect(ctx context.Context, to *node, port uint16) (net.Conn, error) {
	w := newWire(i.node.sim, i, procedureOf(port))
	c := &w.ends[0]
	addr := net.TCPAddrFromAddrPort(netip.AddrPortFrom(to.ip(), port))
	fails := func(err error) error {
		var code syscall.Errno
		if errors.As(err, &code) {
			err = fmt.Errorf("connect: %w", code)
		}
		return &net.OpError{Op: "dial", Net: "tcp", Addr: addr, Err: err}
	}
	w.sim.park(&packet{kind: KindConnect, from: i.node, to: to, sender: i, segment: segment{socket: c, port: port}, procedure: w.procedure})
	select {
	case <-w.settled:
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.settled:
	default:
		w.abandoned = true
		if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) {
			return nil, fails(errors.New("operation was canceled"))
		}
		return nil, fails(timeoutError{})
	}
	switch {
	case i.dead.Load():
		return nil, fails(i.lost())
	case w.err != nil:
		return nil, fails(w.err)
	}
	return c, nil
}

// procedureOf is what the trace calls the port of connections.
func procedureOf(port uint16) string { return faults.Connections + strconv.Itoa(int(port)) }

var networks = []string{"tcp", "tcp4"}

// splitAddress returns the host and the port of an address of a network.
func splitAddress(network, address string) (host string, port uint16, err error) {
	if !slices.Contains(networks, network) {
		return "", 0, fmt.Errorf("network %q is not simulated; use tcp", network)
	}
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	switch {
	case err == nil:
		return host, uint16(n), nil
	case text == "":
		return host, 0, nil
	case text == "http":
		return host, 80, nil
	case text == "https":
		return host, 443, nil
	}
	return "", 0, &net.AddrError{Err: "unknown port; write its number", Addr: address}
}

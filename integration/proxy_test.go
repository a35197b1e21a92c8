package integration_test

import (
	"net"
	"sync"
	"testing"
	"time"
)

// proxy is a network that a test can take away: it passes TCP connections on to an address.
type proxy struct {
	t        testing.TB
	url      string
	to       string
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
	// Bytes that came from the server, and after how many of them the network goes down. 0: it does
	// not.
	replied, downAfter int64
}

// newProxy returns a proxy to the server at a URL, which ends with the test.
func newProxy(t testing.TB, url string) *proxy {
	t.Helper()
	if *http3 {
		t.Skip("it passes on TCP")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, url: scheme() + l.Addr().String(), to: host(url), listener: l, conns: map[net.Conn]bool{}}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close() // ends accept
		p.cut()
		p.running.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer p.drop(client)
	if !p.add(client) {
		return
	}
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer p.drop(server)
	if !p.add(server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pass(server, client, nil) })
	both.Go(func() { p.pass(client, server, p.count) })
	both.Wait()
}

// pass copies until either side ends, and then ends both. count, if not nil, may forbid what comes
// next.
func (p *proxy) pass(to, from net.Conn, count func(n int) bool) {
	defer p.drop(to)
	defer p.drop(from)
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if count != nil && !count(n) {
				return
			}
			if _, werr := to.Write(buffer[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) count(n int) bool {
	p.mu.Lock()
	p.replied += int64(n)
	over := p.downAfter > 0 && p.replied > p.downAfter
	if over {
		p.downAfter = 0
	}
	p.mu.Unlock()
	if over {
		p.cut()
	}
	return !over
}

func (p *proxy) add(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.down {
		p.conns[c] = true
	}
	return !p.down
}

func (p *proxy) drop(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	_ = c.Close() // may have been closed from the other side
}

// cut resets all connections, and refuses new ones until mend.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = true
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, as a cut line is noticed
		}
		_ = c.Close() // may have been closed from the other side
	}
}

// mend lets connections through again.
func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = false
}

// outage lets time pass in which something is away. What follows does not depend on how long it
// was; it is only as long as outages are.
func outage(t testing.TB, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

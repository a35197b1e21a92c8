package serve

import (
	"net"
	"net/http"
	"sync"
)

// unused are a server's connections on which no request has begun. [http.Server.Shutdown] gives each of
// them seconds for its first request, and HTTP transports open some that they then do not need. Whoever
// was about to use one finds it closed, as one that was idle, and makes its request elsewhere.
type unused struct {
	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

// note is an [http.Server.ConnState].
func (u *unused) note(c net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(u.conns, c)
	case u.closed:
		_ = c.Close() // Nothing was read from it.
	default:
		u.conns[c] = struct{}{}
	}
}

// close closes all of them, and those to come.
func (u *unused) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for c := range u.conns { // in any order
		_ = c.Close() // as above
	}
}

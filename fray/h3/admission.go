package h3

import (
	"context"
	"errors"
	"math"
	"net"
	"runtime/debug"
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/frayrpc/fray/internal/number"
)

// errFull is what connections past the bounds are refused for.
var errFull = errors.New("there are as many connections as there may be")

// admission decides who gets a connection, who has to prove an address first, and who may send more
// ahead of its reader.
type admission struct {
	most    int // connections
	refused func()

	mu          sync.Mutex
	open        int                   // handshakes included
	handshaking int                   // of these
	grown       map[*quic.Conn]uint64 // by what windows have grown, in bytes
	growth      uint64                // all of that
	limit       uint64                // of growth
}

// newAdmission bounds connections by most, by the package's own bound, and by the memory that the Go
// runtime may use (GOMEMLIMIT).
func newAdmission(most int, refused func()) *admission {
	a := &admission{most: min(most, maxConnections), refused: refused, grown: make(map[*quic.Conn]uint64), limit: maxGrowth}
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		share := limit / memoryShare
		a.most = min(a.most, max(int(min(share/connectionBytes, maxConnections)), leastConnections)) // within: maxConnections
		a.limit = min(a.limit, number.Clamp[uint64](share/memoryShare))
	}
	return a
}

type admissionKey struct{}

// admitted is a connection that was let in.
type admitted struct {
	of      *admission
	shaking bool // hands
}

// admit is quic.Transport.ConnContext: it counts a connection from its first packet to its end.
func (a *admission) admit(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open >= a.most || a.handshaking >= max(a.most/handshakeShare, 1) {
		a.refused()
		return nil, errFull
	}
	c := &admitted{of: a, shaking: true}
	a.open++
	a.handshaking++
	context.AfterFunc(ctx, func() {
		c.shaken()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.open--
	})
	return context.WithValue(ctx, admissionKey{}, c), nil
}

// shaken says that the handshake is over.
func (c *admitted) shaken() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.shaking {
		c.shaking = false
		c.of.handshaking--
	}
}

// suspicious is quic.Transport.VerifySourceAddress: it says whether the next caller has to prove its
// address before it gets a connection.
func (a *admission) suspicious(net.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.handshaking >= min(trustedHandshakes, max(a.most/handshakeShare/2, 1))
}

// grow is quic.Config.AllowConnectionWindowIncrease.
func (a *admission) grow(conn *quic.Conn, bytes uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.growth+bytes > a.limit {
		return false
	}
	a.growth += bytes
	a.grown[conn] += bytes
	return true
}

// shrink gives back what a connection has grown by. It has ended.
func (a *admission) shrink(conn *quic.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.growth -= a.grown[conn]
	delete(a.grown, conn)
}

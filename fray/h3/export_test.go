package h3

import "github.com/frayrpc/fray/fray/internal/serve"

// Bounds, for tests.
const (
	TrustedHandshakes = trustedHandshakes
	FirstStreamWindow = firstStreamWindow
	MaxStreams        = maxStreams
)

// Standing returns how many connections a server has, and how many of these have not shaken hands.
func Standing(b serve.Beside) (open, handshaking int) {
	a := b.(*server).admission
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open, a.handshaking
}

// Growth returns what the windows of a server's connections have grown by, and what they may, in
// bytes.
func Growth(b serve.Beside) (growth, limit uint64) {
	a := b.(*server).admission
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.growth, a.limit
}

// Die ends a server as the end of its process would: nobody is told.
func Die(b serve.Beside) error {
	s := b.(*server)
	_ = s.socket.Close()
	return s.quic.Close()
}

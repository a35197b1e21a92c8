// Package h3 is HTTP/3: calls and answers over QUIC, for networks that lose packets and for callers
// whose address changes.
//
//	controller.Config{TLS: files, HTTP3: h3.Serve}
//	worker.Config{TLS: files, HTTP3: h3.Dial, ControllerURL: "https://10.0.0.5:7070"}
//	fray.WithHTTP3(h3.Dial)
//
// It is a package of its own, so that only programs which name it link QUIC. What is asked for is
// what is spoken: a caller that dials by it does not fall back to TCP.
//
// There is no 0-RTT on either side. Its first bytes can be replayed by who has seen them, and come
// before the caller's certificate was checked; it would save one round trip of a connection that
// stays open for days.
package h3

import "time"

// Times of a connection. Without packets of the other end a caller takes its connection for dead
// after idleCaller; while it has nothing to say it asks each keepAlive. A controller that was
// restarted knows nothing of the connection, and answers the next packet with a stateless reset,
// which ends it at once; so a caller notices a restart after keepAlive at the latest.
const (
	keepAlive  = 3 * time.Second
	idleCaller = 12 * time.Second
	// idleServer is for callers that have no bound of their own.
	idleServer = 30 * time.Second
	// handshakeTimeout is how long a caller waits for a packet of a handshake, which may take twice as
	// long.
	handshakeTimeout = 5 * time.Second
)

// Bounds of a server.
const (
	// maxStreams is how many requests one connection may have at a time; more wait at the caller.
	maxStreams = 1024
	// maxControlStreams is room for those that HTTP/3 has beside requests.
	maxControlStreams = 8
	// maxConnections is how many connections there are at most.
	maxConnections = 8192
	// connectionBytes is what a connection may take of memory before it has shown that it needs more:
	// what it may send without being read, and its state.
	connectionBytes = 256 << 10
	// memoryShare is the part of a limited memory that connections may take so.
	memoryShare = 4
	// leastConnections are there whatever the limit.
	leastConnections = 16
	// handshakeShare is the part of the connections that may be those of unfinished handshakes.
	handshakeShare = 2
	// trustedHandshakes is how many handshakes may be unfinished before callers have to prove that they
	// receive at the address that they send from.
	trustedHandshakes = 64

	// What a caller may send ahead of its reader, in bytes: at first, and at most where it is read fast.
	firstStreamWindow = 64 << 10
	mostStreamWindow  = 2 << 20
	firstWindow       = 128 << 10
	mostWindow        = 4 << 20
	// maxGrowth bounds what all connections together may send so beyond firstWindow each.
	maxGrowth = 256 << 20

	connectionIDLength = 8
	// lastWords is for how long, beside two round trips, nothing comes or goes on a connection whose
	// requests have ended before it is closed; maxLastWords bounds all of that.
	lastWords    = 100 * time.Millisecond
	maxLastWords = 3 * time.Second
)

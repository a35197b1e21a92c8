// Package dial is the client side of every RPC: an HTTP client with connections enough for many
// long polls, and [Do], the one place that decides which failed calls are made again.
//
// Every call of Fray is idempotent, so one whose answer was lost is repeated without a second
// thought.
package dial

import (
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
)

// Bounds of the connections of one client.
const (
	dialTimeout     = 5 * time.Second
	keepAlive       = 15 * time.Second
	idleTimeout     = 90 * time.Second
	maxIdlePerHost  = 256
	pingInterval    = 10 * time.Second // http2: a dead connection is noticed within the sum of both
	pingTimeout     = 5 * time.Second
	bufferSize      = 64 << 10
	tlsTimeout      = 10 * time.Second
	continueTimeout = time.Second
)

// Option configures NewHTTPClient.
type Option func(*http.Transport)

// WithH2C makes the client speak HTTP/2, without TLS to http URLs. The gRPC protocol needs it.
func WithH2C() Option {
	return func(t *http.Transport) {
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP2(true)
		t.Protocols.SetUnencryptedHTTP2(true)
		t.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingInterval, PingTimeout: pingTimeout}
	}
}

// NewHTTPClient returns a client of its own connections, which its owner closes with
// CloseIdleConnections. It speaks HTTP/1.1 with keep-alive, the faster protocol for unary calls
// over net/http. It has no timeout: each call's context carries one. It takes no proxy from the
// environment.
func NewHTTPClient(opts ...Option) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	transport := &http.Transport{
		DialContext:           dialer.DialContext,
		MaxIdleConnsPerHost:   maxIdlePerHost,
		IdleConnTimeout:       idleTimeout,
		TLSHandshakeTimeout:   tlsTimeout,
		ExpectContinueTimeout: continueTimeout,
		WriteBufferSize:       bufferSize,
		ReadBufferSize:        bufferSize,
		// Connect compresses by itself what is worth it.
		DisableCompression: true,
		Protocols:          new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(true)
	for _, opt := range opts {
		opt(transport)
	}
	return &http.Client{Transport: transport}
}

// WithoutCompression is a client option: replies come as they are. Connect's default asks for gzip,
// which costs more than it saves for the small messages between hosts that are near each other.
func WithoutCompression() connect.ClientOption {
	return connect.WithAcceptCompression("gzip", nil, nil)
}

// Package outgoing is what every client of Fray's servers is made of: connections enough for many
// long polls, and the secret that calls show.
//
//	client := &http.Client{Transport: outgoing.NewTransport()}
package outgoing

import (
	"context"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
)

// TokenVariable is the environment variable with the secret that controller, workers and clients of
// a cluster share.
const TokenVariable = "FRAY_TOKEN"

// Bounds of the connections of one client.
const (
	dialTimeout     = 5 * time.Second
	keepAlive       = 15 * time.Second
	idleTimeout     = 90 * time.Second
	maxIdlePerHost  = 256
	bufferSize      = 64 << 10
	tlsTimeout      = 10 * time.Second
	continueTimeout = time.Second
)

// NewTransport returns connections of their own, which their owner closes with
// CloseIdleConnections. They speak HTTP/1.1 with keep-alive, the faster protocol for unary calls
// over net/http. They have no timeout: each call's context carries one. They take no proxy from the
// environment.
func NewTransport() *http.Transport {
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
	return transport
}

// ShowToken is an interceptor of clients that shows a secret with every call. None of Fray's
// procedures streams.
func ShowToken(token string) connect.Interceptor {
	return connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+token)
			return next(ctx, req)
		}
	})
}

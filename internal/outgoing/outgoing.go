// Package outgoing is what every client of Fray's servers is made of: connections enough for many
// long polls, and the secret that calls show.
//
//	client := &http.Client{Transport: outgoing.NewTransport()}
package outgoing

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
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
// CloseIdleConnections; those to https URLs trust the machine's authorities. They speak HTTP/1.1 with keep-alive, the faster protocol for unary calls
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

// CheckToken returns an error if a secret cannot stand in a header.
func CheckToken(token string) error {
	if strings.IndexFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return errors.New("token: it must be of printable ASCII without spaces: is there a line break at its end? " +
			"it is taken from " + TokenVariable + " unless it is given")
	}
	return nil
}

// ShowToken is an interceptor of clients that shows a secret with every call. None of Fray's
// procedures streams.
func ShowToken(token func() string) connect.Interceptor {
	return connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+token())
			return next(ctx, req)
		}
	})
}

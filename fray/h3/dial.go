package h3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/frayrpc/fray/fray/certs"
)

// Dial returns connections to https URLs over QUIC, one for each host, that say who calls and trust
// whom the files say; certificates that change count for the next connection, and log is told what
// becomes of them. Its CloseIdleConnections closes those that no call needs, and the ones that calls
// are under way on once these have ended: nothing is left then, no socket and no goroutine. It
// may be used by several goroutines, also after that.
func Dial(files certs.Files, log *slog.Logger) (http.RoundTripper, error) {
	calls, err := files.Calls(log)
	if err != nil {
		return nil, err
	}
	return &transport{http3: &http3.Transport{
		DisableCompression: true, // Connect compresses by itself what is worth it.
		QUICConfig: &quic.Config{
			HandshakeIdleTimeout: handshakeTimeout, MaxIdleTimeout: idleCaller, KeepAlivePeriod: keepAlive,
			MaxIncomingStreams: -1, // A server opens none.
		},
		Dial: func(ctx context.Context, address string, _ *tls.Config, config *quic.Config) (*quic.Conn, error) {
			secure := calls(address)
			secure.NextProtos = []string{http3.NextProtoH3}
			conn, err := quic.DialAddr(ctx, address, secure, config)
			return conn, certs.Explained(err, address)
		},
	}}, nil
}

// transport is http3's, which takes a connection for idle while an answer is still read.
type transport struct {
	http3 *http3.Transport

	mu      sync.Mutex
	calls   int  // that are under way, until their answer is read or closed
	closing bool // when there are none
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.mu.Lock()
	t.calls++
	t.mu.Unlock()
	res, err := t.http3.RoundTrip(req)
	if err != nil {
		t.ended()
		return nil, err
	}
	res.Body = &answer{ReadCloser: res.Body, ended: sync.OnceFunc(t.ended)}
	return res, nil
}

func (t *transport) ended() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls--
	t.closeIdle()
}

// CloseIdleConnections is what http.Client's calls.
func (t *transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closing = true
	t.closeIdle()
}

func (t *transport) closeIdle() {
	if t.closing && t.calls == 0 {
		t.closing = false
		t.http3.CloseIdleConnections()
	}
}

// answer is the body of an answer, which tells when it is done with.
type answer struct {
	io.ReadCloser

	ended func()
}

// Read implements io.Reader. An answer that ends with its connection is torn, as it would be over
// TCP.
func (a *answer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
	}
	return n, err
}

// Close implements io.Closer.
func (a *answer) Close() error {
	err := a.ReadCloser.Close()
	a.ended()
	return err
}

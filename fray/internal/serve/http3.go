package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// HTTP3 opens a door for HTTP/3; package fray/h3 has the one there is. It is given, and not
// imported, so that a program which does not serve HTTP/3 does not link QUIC.
type HTTP3 func(ctx context.Context, d Door) (Beside, error)

// Door is where a server is reached beside its TCP listener, and what is behind it.
type Door struct {
	// Addr has the address and port of the TCP listener; the door is at those of UDP.
	Addr *net.TCPAddr
	// TLS is that of the TCP listener, but for its protocols.
	TLS     *tls.Config
	Handler http.Handler
	// MaxConnections bounds the connections through the door.
	MaxConnections int
	// HeaderTimeout is how long a handshake, and the head of a request, may take, IdleTimeout how long a connection may
	// have no request, and AnswerTimeout how long what a handler left to send may.
	HeaderTimeout, IdleTimeout, AnswerTimeout time.Duration
	MaxHeaderBytes                            int
	Logger                                    *slog.Logger
}

// Beside serves through a door that is open. Close closes one that was never run.
type Beside interface {
	io.Closer

	// Run serves until ctx is done. Then it takes no more connections and requests, waits for the
	// requests that are under way for the grace at most, cuts off the others, and returns nil once
	// every connection is closed and the door is.
	Run(ctx context.Context, grace time.Duration) error
}

const (
	// portTries is how often a port that the system chooses for TCP may be taken for UDP.
	portTries = 16
	// altSvcAge is for how long, in seconds, callers may remember that there is HTTP/3.
	altSvcAge = 3600
)

var errHTTP3WithoutTLS = errors.New("HTTP/3 is spoken over TLS only: give a certificate and its key")

// open opens the listener, unless it is given, and the door for HTTP/3 at the same port if there is
// to be one. What it returns closes what it has opened.
func (s *Server) open(ctx context.Context) (net.Listener, Beside, func() error, error) {
	var config net.ListenConfig
	for try := 1; ; try++ {
		listener, shut := s.cfg.Listener, func() error { return nil }
		if listener == nil {
			var err error
			if listener, err = config.Listen(ctx, "tcp", s.cfg.Address); err != nil {
				return nil, nil, nil, fmt.Errorf("listen on %q: %w", s.cfg.Address, err)
			}
			shut = listener.Close
		}
		door, err := s.openDoor(ctx, listener)
		if err == nil && door == nil {
			return listener, nil, shut, nil
		}
		if err == nil {
			return listener, door, func() error { return errors.Join(door.Close(), shut()) }, nil
		}
		err = errors.Join(err, shut())
		if s.cfg.Listener != nil || !strings.HasSuffix(s.cfg.Address, ":0") || try == portTries {
			return nil, nil, nil, err
		}
	}
}

// openDoor opens the door for HTTP/3 beside a listener; nil: there is to be none.
func (s *Server) openDoor(ctx context.Context, listener net.Listener) (Beside, error) {
	if s.cfg.HTTP3 == nil {
		return nil, nil
	}
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("listen for HTTP/3: %v is no TCP address, whose port UDP could have", listener.Addr())
	}
	door, err := s.cfg.HTTP3(ctx, Door{
		Addr: addr, TLS: s.cfg.TLS, Handler: s.handler, MaxConnections: s.cfg.MaxConnections,
		HeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, AnswerTimeout: bodyPatience,
		MaxHeaderBytes: maxHeaderBytes, Logger: s.cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP/3 on UDP %v: %w", addr, err)
	}
	return door, nil
}

// announced has answers say that there is HTTP/3 at a port.
func announced(next http.Handler, port int) http.Handler {
	service := `h3=":` + strconv.Itoa(port) + `"; ma=` + strconv.Itoa(altSvcAge)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Alt-Svc", service)
		next.ServeHTTP(w, r)
	})
}

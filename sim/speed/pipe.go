package speed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/frayrpc/fray/sim"
)

// Pipe makes the calls of Echo by net/http over net.Pipe in a bubble: virtual time as the standard
// library has it, without hosts, links or an order that repeats.
func Pipe(bubble sim.Bubble, calls int) (Sample, error) {
	errs := make([]error, callers)
	begun := time.Now()
	err := bubble(func() {
		listener := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: newHandler(), ReadHeaderTimeout: time.Minute}
		var serving, calling sync.WaitGroup
		serving.Go(func() { _ = server.Serve(listener) }) // Until it is closed.
		transport := &http.Transport{DialContext: listener.dial, MaxIdleConnsPerHost: callers}
		client := newClient(&http.Client{Transport: transport})
		for i := range callers {
			calling.Go(func() { errs[i] = call(context.Background(), client, each(calls)) })
		}
		calling.Wait()
		transport.CloseIdleConnections()
		_ = server.Close() // A listener of ours does not fail.
		serving.Wait()
	})
	wall := time.Since(begun)
	if err := errors.Join(err, errors.Join(errs...)); err != nil {
		return Sample{}, fmt.Errorf("echo over net.Pipe: %w", err)
	}
	return Sample{Messages: 2 * callers * each(calls), Wall: wall}, nil
}

// pipeListener listens where only dial calls.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (*pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

package sim_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/sim"
)

// inBubble runs a benchmark's loop in a bubble. Time in it is virtual, so the benchmark measures from outside.
func inBubble(b *testing.B, f func()) time.Duration {
	b.Helper()
	start := time.Now()
	done, procs := false, runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(procs)
	ok := testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{
		Name: "bubble", F: func(t *testing.T) { //nolint:thelper // It is no helper but the test.
			if done {
				return // Run once for each value of -cpu.
			}
			runtime.GOMAXPROCS(procs)
			synctest.Test(t, func(*testing.T) { f() })
			done = true
		},
	}})
	if !ok || !done {
		b.Fatal("bubble did not run")
	}
	return time.Since(start)
}

const callers = 16

// BenchmarkEcho counts each request and each response as a message.
func BenchmarkEcho(b *testing.B) {
	payload := strings.Repeat("x", 64)
	b.ReportAllocs()
	b.ResetTimer()
	wall := inBubble(b, func() {
		s := sim.New(sim.Config{MaxSteps: 4*b.N + 1000, MaxTime: 1000 * time.Hour})
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(echoService(nil, plain))
			<-ctx.Done()
			return nil
		})
		for i := range callers {
			s.Client(fmt.Sprintf("client-%02d", i), func(ctx context.Context, h *sim.Host) error {
				client := caller(h, "server", echoProcedure, connect.WithAcceptCompression("gzip", nil, nil))
				for range (b.N + callers - 1) / callers {
					if _, err := say(ctx, client, payload); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := s.Run(); err != nil {
			b.Error(err)
		}
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	b.ReportMetric(2*float64(b.N)/wall.Seconds(), "msgs/s")
}

// BenchmarkEchoOverPipe is the same calls by net/http over net.Pipe in a bubble, without simulated network.
func BenchmarkEchoOverPipe(b *testing.B) {
	payload := strings.Repeat("x", 64)
	b.ReportAllocs()
	b.ResetTimer()
	wall := inBubble(b, func() {
		listener := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: echoService(nil, plain), ReadHeaderTimeout: time.Minute}
		var serving, calling sync.WaitGroup
		serving.Go(func() { _ = server.Serve(listener) })
		transport := &http.Transport{DialContext: listener.dial, MaxIdleConnsPerHost: callers}
		client := connect.NewClient[text, text](&http.Client{Transport: transport}, "http://server"+echoProcedure,
			connect.WithAcceptCompression("gzip", nil, nil))
		for range callers {
			calling.Go(func() {
				for range (b.N + callers - 1) / callers {
					if _, err := say(context.Background(), client, payload); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		calling.Wait()
		transport.CloseIdleConnections()
		_ = server.Close()
		serving.Wait()
	})
	b.ReportMetric(2*float64(b.N)/wall.Seconds(), "msgs/s")
}

// BenchmarkIdle reports how many seconds pass in the simulation in one: eight hosts send a heartbeat each second.
func BenchmarkIdle(b *testing.B) {
	const hosts = 8
	virtual := time.Duration(b.N) * time.Second
	wall := inBubble(b, func() {
		s := sim.New(sim.Config{MaxSteps: 4*hosts*b.N + 1000, MaxTime: virtual + time.Hour})
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(echoService(nil, plain))
			<-ctx.Done()
			return nil
		})
		for i := range hosts {
			s.Host(fmt.Sprintf("host-%d", i), func(ctx context.Context, h *sim.Host) error {
				client := caller(h, "server", echoProcedure, connect.WithAcceptCompression("gzip", nil, nil))
				for ctx.Err() == nil {
					if _, err := say(ctx, client, "beat"); err != nil && ctx.Err() == nil {
						return err
					}
					select {
					case <-time.After(time.Second):
					case <-ctx.Done():
					}
				}
				return nil
			})
		}
		if err := s.RunFor(virtual); err != nil {
			b.Error(err)
		}
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	b.ReportMetric(virtual.Seconds()/wall.Seconds(), "virtual-s/s")
}

// pipeListener listens where only dial calls.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

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

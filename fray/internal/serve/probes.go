package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"connectrpc.com/grpchealth"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/internal/browsers"
)

// mountProbes answers who asks whether the process is alive, and whether it serves.
func mountProbes(mux *http.ServeMux, ready grpchealth.Checker) {
	mux.HandleFunc("GET "+access.HealthPath, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, "ok") // the caller may be gone
	})
	mux.HandleFunc("GET "+access.ReadyPath, func(w http.ResponseWriter, r *http.Request) {
		res, err := ready.Check(r.Context(), &grpchealth.CheckRequest{})
		if err != nil || res.Status != grpchealth.StatusServing {
			http.Error(w, "not serving", http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "serving") // as above
	})
}

func mountMetrics(mux *http.ServeMux, g prometheus.Gatherer) {
	if g != nil {
		mux.Handle("GET "+access.MetricsPath, promhttp.HandlerFor(g, promhttp.HandlerOpts{}))
	}
}

// metricsConnections is how many connections the metrics' own port has at once.
const metricsConnections = 64

// metricsPort is where metrics and probes are for who has no credential.
type metricsPort struct {
	server  *Server
	address string
	handler http.Handler
	// Once it listens.
	listener net.Listener
}

func newMetricsPort(s *Server, ready grpchealth.Checker) *metricsPort {
	mux := http.NewServeMux()
	mountProbes(mux, ready)
	mountMetrics(mux, s.cfg.Gatherer)
	p := &metricsPort{server: s, address: s.cfg.MetricsAddress}
	if strings.HasPrefix(p.address, ":") {
		p.address = "127.0.0.1" + p.address
	}
	p.handler = browsers.KeepOut(mux, browsers.Server{Loopback: func() bool { return browsers.OnLoopback(p.listener) }})
	return p
}

func (p *metricsPort) listen(ctx context.Context) error {
	if p.listener != nil {
		return nil
	}
	var config net.ListenConfig
	var err error
	if p.listener, err = config.Listen(ctx, "tcp", p.address); err != nil {
		p.listener = nil
		return fmt.Errorf("listen for metrics on %q: %w", p.address, err)
	}
	p.server.cfg.Logger.InfoContext(ctx, "metrics are served apart", "url", "http://"+p.listener.Addr().String()+access.MetricsPath)
	return nil
}

// run serves until ctx is done. Who asks then is cut off: the next one asks in a few seconds anyway.
func (p *metricsPort) run(ctx context.Context) error {
	server := &http.Server{
		Handler: p.handler, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(netutil.LimitListener(p.listener, metricsConnections)) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve metrics on %v: %w", p.listener.Addr(), err)
	case <-ctx.Done():
	}
	err := server.Close()
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

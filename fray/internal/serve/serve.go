// Package serve puts Connect services on one port: HTTP/1.1 and HTTP/2, with TLS or without, and
// HTTP/3 for those who ask for it, hence Connect, gRPC and gRPC-Web; gRPC health and reflection;
// /healthz, /readyz and /metrics.
//
//	server, err := serve.New(serve.Config{
//		Address:  "127.0.0.1:0",
//		Services: []serve.Service{{Name: frayv1connect.WorkerServiceName, New: mount}},
//		Logger:   logger,
//	})
//	if err := server.Listen(ctx); err != nil { ... }
//	logger.Info("listening", "url", server.URL())
//	return server.Run(ctx)
//
// What a web page has a browser send is refused, and what cannot be read is INVALID_ARGUMENT. Every other request
// is validated against the rules in its schema, counted and timed; a panic becomes INTERNAL. A program
// that has no use for a listener takes [Server.Handler] alone.
package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"golang.org/x/net/netutil"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/internal/browsers"
)

// Bounds of a server. Those for reading a body and writing an answer are by their bytes, see inFlight:
// between the two a long poll may wait.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	maxStreams        = 4096 // requests at a time on one HTTP/2 connection
	pingAfter         = 15 * time.Second
	pingTimeout       = 10 * time.Second
	// compressMinBytes leaves small answers alone: they cost more to compress than to send.
	compressMinBytes = 1 << 10
)

// Server serves what its Config says. Its methods are safe for concurrent use once Listen has
// returned.
type Server struct {
	cfg      Config
	handler  http.Handler
	listener net.Listener
	leaving  atomic.Bool
	metrics  *metricsPort // nil: metrics have no port of their own
	door     Beside       // of HTTP/3, once it listens; nil: there is none
}

// New builds the handlers. It does not listen yet.
func New(cfg Config) (*Server, error) {
	if len(cfg.Services) == 0 {
		return nil, errors.New("no service to serve: set Services")
	}
	if cfg.HTTP3 != nil && cfg.TLS == nil {
		return nil, errHTTP3WithoutTLS
	}
	if cfg.ShutdownGrace <= 0 {
		cfg.ShutdownGrace = DefaultShutdownGrace
	}
	if cfg.MaxConnections <= 0 {
		cfg.MaxConnections = DefaultMaxConnections()
	}
	if cfg.InFlightBytes <= 0 {
		cfg.InFlightBytes = defaultInFlightBytes()
	}
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	s := &Server{cfg: cfg}
	metrics, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	room, err := newInFlight(&s.cfg)
	if err != nil {
		return nil, err
	}
	s.handler = s.mount(metrics, room)
	return s, nil
}

func (s *Server) mount(metrics *metrics, room *inFlight) http.Handler {
	g := &guard{logger: s.cfg.Logger}
	options := append([]connect.HandlerOption{
		Bounded(room.most),
		connect.WithCompressMinBytes(compressMinBytes),
		connect.WithInterceptors(metrics, g, connect.UnaryInterceptorFunc(reserveAnswers)),
		connect.WithRecover(g.recovered),
	}, s.cfg.HandlerOptions...)
	mux := http.NewServeMux()
	names := make([]string, 0, len(s.cfg.Services))
	for _, service := range s.cfg.Services {
		mux.Handle(service.New(options...))
		names = append(names, service.Name)
	}
	checker := s.cfg.Checker
	if checker == nil {
		checker = grpchealth.NewStaticChecker(names...)
	}
	reflector := grpcreflect.NewStaticReflector(append(names, grpchealth.HealthV1ServiceName)...)
	small := connect.WithReadMaxBytes(DefaultRequestBytes)
	ready := &leavingChecker{Checker: checker, leaving: &s.leaving}
	mux.Handle(grpchealth.NewHandler(ready, small))
	mux.Handle(grpcreflect.NewHandlerV1(reflector, small))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector, small))
	mountProbes(mux, ready)
	if s.cfg.MetricsAddress != "" {
		s.metrics = newMetricsPort(s, ready)
	} else {
		mountMetrics(mux, s.cfg.Gatherer)
	}
	if s.cfg.Page != nil {
		mux.Handle("GET "+access.PagePath+"{$}", s.cfg.Page)
	}
	handler := room.handler(mux)
	for i := len(s.cfg.Middleware) - 1; i >= 0; i-- {
		handler = s.cfg.Middleware[i](handler)
	}
	handler = readable(handler)
	if s.cfg.Access != nil {
		handler = access.NewGuard(access.GuardConfig{Policy: s.cfg.Access, Audit: s.cfg.Audit, Log: s.cfg.Logger}).Wrap(handler)
	}
	known := browsers.Server{
		Loopback: func() bool { return browsers.OnLoopback(s.listener) }, Guarded: s.cfg.Access != nil, Names: s.cfg.Names,
	}
	if s.cfg.Page != nil {
		known.Page = access.PagePath
	}
	return browsers.KeepOut(handler, known)
}

// Handler returns all that the server serves.
func (s *Server) Handler() http.Handler { return s.handler }

// Listen opens the listener, unless it is open, after which Addr and URL are known and calls wait
// for Run.
func (s *Server) Listen(ctx context.Context) error {
	listener, door, opened := s.listener, s.door, func() error { return nil }
	if listener == nil {
		var err error
		if listener, door, opened, err = s.open(ctx); err != nil {
			return err
		}
	}
	if s.metrics != nil {
		if err := s.metrics.listen(ctx); err != nil {
			return errors.Join(err, opened())
		}
	}
	if s.listener == nil { // Else it is known already, and others may look at it.
		s.listener, s.door = listener, door
	}
	return nil
}

// Addr returns where the server listens, after Listen.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// URL returns the base URL for calls from this machine, after Listen.
func (s *Server) URL() string {
	scheme := "http://"
	if s.cfg.TLS != nil {
		scheme = "https://"
	}
	host, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		return scheme + s.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.To4() == nil {
			host = "::1"
		}
	}
	return scheme + net.JoinHostPort(host, port)
}

// Run serves until ctx is done. Then it takes no more connections, waits for the requests that are
// under way for the shutdown grace at most, cuts off the others, and returns nil once every
// connection is closed.
func (s *Server) Run(ctx context.Context) error {
	var beside []func(context.Context) error
	if s.metrics != nil {
		beside = append(beside, s.metrics.run)
	}
	if s.door != nil {
		beside = append(beside, func(ctx context.Context) error { return s.door.Run(ctx, s.cfg.ShutdownGrace) })
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(beside))
	for _, run := range beside {
		go func() {
			defer cancel()
			ended <- run(ctx)
		}()
	}
	err := s.run(ctx)
	cancel()
	for range beside {
		err = errors.Join(err, <-ended)
	}
	return err
}

// run is Run of the listener.
func (s *Server) run(ctx context.Context) error {
	handler := s.handler
	if s.door != nil {
		if addr, ok := s.listener.Addr().(*net.TCPAddr); ok {
			handler = announced(handler, addr.Port)
		}
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(s.cfg.TLS == nil)
	protocols.SetHTTP2(s.cfg.TLS != nil)
	fresh := &unused{conns: make(map[net.Conn]struct{})}
	server := &http.Server{
		Handler:           handler,
		ConnState:         fresh.note,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         protocols,
		TLSConfig:         s.cfg.TLS,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		ErrorLog:          slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelWarn),
	}
	server.RegisterOnShutdown(fresh.close)
	served := make(chan error, 1)
	// When there are no descriptors left all the same, Serve says so and tries again, after up to a
	// second.
	go func() {
		limited := netutil.LimitListener(s.listener, s.cfg.MaxConnections)
		if s.cfg.TLS != nil {
			served <- server.ServeTLS(limited, "", "")
		} else {
			served <- server.Serve(limited)
		}
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serve on %v: %w", s.listener.Addr(), err)
	case <-ctx.Done():
	}
	s.leaving.Store(true)
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownGrace)
	defer cancel()
	err := server.Shutdown(bounded)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	if err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

// leavingChecker says NOT_SERVING once the server shuts down.
type leavingChecker struct {
	grpchealth.Checker

	leaving *atomic.Bool
}

func (c *leavingChecker) Check(ctx context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	if c.leaving.Load() {
		return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil
	}
	return c.Checker.Check(ctx, req)
}

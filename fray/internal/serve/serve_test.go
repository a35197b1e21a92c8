package serve_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/fray/internal/serve"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service answers HealthCheck with what a test makes of it.
type service struct {
	frayv1connect.UnimplementedWorkerServiceHandler

	healthCheck func(context.Context) (*frayv1.HealthCheckResponse, error)
}

func (s service) HealthCheck(ctx context.Context, _ *frayv1.HealthCheckRequest) (*frayv1.HealthCheckResponse, error) {
	return s.healthCheck(ctx)
}

func healthy(context.Context) (*frayv1.HealthCheckResponse, error) {
	return &frayv1.HealthCheckResponse{WorkerId: "w1"}, nil
}

// start serves a WorkerService and an unimplemented ControllerService on a free port until the test
// ends.
func start(t *testing.T, cfg serve.Config, healthCheck func(context.Context) (*frayv1.HealthCheckResponse, error)) (url string, stop func() error) {
	t.Helper()
	validated, err := serve.Validated()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Address = "127.0.0.1:0"
	cfg.Services = []serve.Service{
		{Name: frayv1connect.WorkerServiceName, New: func(opts ...connect.HandlerOption) (string, http.Handler) {
			return frayv1connect.NewWorkerServiceHandler(service{healthCheck: healthCheck}, opts...)
		}},
		{Name: frayv1connect.ControllerServiceName, New: func(opts ...connect.HandlerOption) (string, http.Handler) {
			return frayv1connect.NewControllerServiceHandler(frayv1connect.UnimplementedControllerServiceHandler{}, append(opts, validated)...)
		}},
	}
	server, err := serve.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, server)
}

// run has a server listen until the test ends.
func run(t *testing.T, server *serve.Server) (url string, stop func() error) {
	t.Helper()
	if err := server.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stop = func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return server.URL(), stop
}

func httpClient(t *testing.T, h2c bool) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!h2c)
	transport.Protocols.SetUnencryptedHTTP2(h2c)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestEveryProtocolOnOnePort(t *testing.T) {
	t.Parallel()
	var proto atomic.Value
	url, _ := start(t, serve.Config{Middleware: []func(http.Handler) http.Handler{func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			proto.Store(r.Proto)
			next.ServeHTTP(w, r)
		})
	}}}, healthy)
	tests := []struct {
		name    string
		h2c     bool
		options []connect.ClientOption
		want    string
	}{
		{name: "connect over HTTP/1.1", want: "HTTP/1.1"},
		{name: "connect with JSON", options: []connect.ClientOption{connect.WithProtoJSON()}, want: "HTTP/1.1"},
		{name: "connect over h2c", h2c: true, want: "HTTP/2.0"},
		{name: "gRPC", h2c: true, options: []connect.ClientOption{connect.WithGRPC()}, want: "HTTP/2.0"},
		{name: "gRPC-Web over HTTP/1.1", options: []connect.ClientOption{connect.WithGRPCWeb()}, want: "HTTP/1.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := frayv1connect.NewWorkerServiceClient(httpClient(t, tt.h2c), url, tt.options...)
			res, err := client.HealthCheck(t.Context(), &frayv1.HealthCheckRequest{})
			if err != nil || res.GetWorkerId() != "w1" {
				t.Fatalf("HealthCheck: %v, %v", res, err)
			}
			if got := proto.Load(); got != tt.want {
				t.Errorf("spoke %v, want %s", got, tt.want)
			}
		})
	}
}

// With TLS, too, each protocol is spoken on the one port, and nothing is spoken without it.
func TestEveryProtocolOverTLS(t *testing.T) {
	t.Parallel()
	authority, err := certs.NewAuthority("test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := authority.Issue("server", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.PEM)
	var proto atomic.Value
	url, _ := start(t, serve.Config{
		TLS: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}},
		Middleware: []func(http.Handler) http.Handler{func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				proto.Store(r.Proto)
				next.ServeHTTP(w, r)
			})
		}},
	}, healthy)
	if !strings.HasPrefix(url, "https://") {
		t.Errorf("the URL is %s", url)
	}
	for want, options := range map[string][][]connect.ClientOption{
		"HTTP/1.1": {nil, {connect.WithProtoJSON()}, {connect.WithGRPCWeb()}},
		"HTTP/2.0": {nil, {connect.WithGRPC()}},
	} {
		transport := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots}}
		transport.Protocols.SetHTTP1(want == "HTTP/1.1")
		transport.Protocols.SetHTTP2(want == "HTTP/2.0")
		t.Cleanup(transport.CloseIdleConnections)
		for _, o := range options {
			res, err := frayv1connect.NewWorkerServiceClient(&http.Client{Transport: transport}, url, o...).HealthCheck(t.Context(), &frayv1.HealthCheckRequest{})
			if err != nil || res.GetWorkerId() != "w1" || proto.Load() != want {
				t.Errorf("%s: %v, %v by %v", want, res, err, proto.Load())
			}
		}
	}
	for _, h2c := range []bool{false, true} {
		plain := "http://" + strings.TrimPrefix(url, "https://")
		if _, err := frayv1connect.NewWorkerServiceClient(httpClient(t, h2c), plain).HealthCheck(t.Context(), &frayv1.HealthCheckRequest{}); err == nil {
			t.Error("without TLS it is answered as well")
		}
	}
}

func TestHealthAndReflection(t *testing.T) {
	t.Parallel()
	url, _ := start(t, serve.Config{}, healthy)
	if status := grpcHealth(t, url); status != `{"status":"SERVING_STATUS_SERVING"}` {
		t.Errorf("health: %s", status)
	}
	client := grpcreflect.NewClient(httpClient(t, true), url, connect.WithGRPC())
	stream := client.NewStream(t.Context())
	names, err := stream.ListServices()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Close(); err != nil {
		t.Error(err)
	}
	want := []string{frayv1connect.WorkerServiceName, frayv1connect.ControllerServiceName, "grpc.health.v1.Health"}
	for _, name := range want {
		if !strings.Contains(joined(names), name) {
			t.Errorf("reflection lists %v, without %s", names, name)
		}
	}
}

func TestBugsDoNotLeak(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		check func(context.Context) (*frayv1.HealthCheckResponse, error)
		want  connect.Code
		text  string // what the caller may read
		logs  string
	}{
		{
			name: "panic", want: connect.CodeInternal, text: "internal error", logs: "handler panicked",
			check: func(context.Context) (*frayv1.HealthCheckResponse, error) { panic("secret") },
		},
		{
			name: "error without a code", want: connect.CodeInternal, text: "internal error", logs: "without a code",
			check: func(context.Context) (*frayv1.HealthCheckResponse, error) { return nil, errors.New("secret") },
		},
		{
			name: "error with a code", want: connect.CodeNotFound, text: "no such task",
			check: func(context.Context) (*frayv1.HealthCheckResponse, error) {
				return nil, connect.NewError(connect.CodeNotFound, errors.New("no such task"))
			},
		},
		{
			name: "cancelled", want: connect.CodeCanceled, text: "context canceled",
			check: func(context.Context) (*frayv1.HealthCheckResponse, error) { return nil, context.Canceled },
		},
		{
			name: "deadline", want: connect.CodeDeadlineExceeded, text: "deadline exceeded",
			check: func(context.Context) (*frayv1.HealthCheckResponse, error) { return nil, context.DeadlineExceeded },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log strings.Builder
			url, stop := start(t, serve.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, tt.check)
			_, err := frayv1connect.NewWorkerServiceClient(httpClient(t, false), url).HealthCheck(t.Context(), &frayv1.HealthCheckRequest{})
			if connect.CodeOf(err) != tt.want || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, want %v with %q", err, tt.want, tt.text)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
			if !strings.Contains(log.String(), tt.logs) || (tt.logs != "") != strings.Contains(log.String(), "secret") {
				t.Errorf("log %q, want %q", log.String(), tt.logs)
			}
		})
	}
}

func TestInvalidRequestIsRefused(t *testing.T) {
	t.Parallel()
	url, _ := start(t, serve.Config{}, healthy)
	client := frayv1connect.NewControllerServiceClient(httpClient(t, false), url)
	if _, err := client.GetTask(t.Context(), &frayv1.GetTaskRequest{}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("GetTask without an id: %v", err)
	}
	if _, err := client.GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: "a"}); connect.CodeOf(err) != connect.CodeUnimplemented {
		t.Errorf("GetTask: %v", err)
	}
}

func TestTooLargeRequestIsRefused(t *testing.T) {
	t.Parallel()
	url, _ := start(t, serve.Config{RequestBytes: map[string]int{frayv1connect.ControllerServiceGetTaskProcedure: 100}}, healthy)
	client := frayv1connect.NewControllerServiceClient(httpClient(t, false), url)
	_, err := client.GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: strings.Repeat("a", 120)})
	if connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("GetTask: %v", err)
	}
}

func TestShutdownWaitsForRequests(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	url, stop := start(t, serve.Config{ShutdownGrace: time.Minute}, func(ctx context.Context) (*frayv1.HealthCheckResponse, error) {
		close(arrived)
		<-release
		return healthy(ctx)
	})
	answered := make(chan error, 1)
	client := frayv1connect.NewWorkerServiceClient(httpClient(t, false), url)
	go func() {
		_, err := client.HealthCheck(t.Context(), &frayv1.HealthCheckRequest{})
		answered <- err
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for refused := false; !refused; { // until the listener is closed
		_, err := frayv1connect.NewWorkerServiceClient(httpClient(t, true), url).ListTasks(t.Context(), &frayv1.WorkerServiceListTasksRequest{})
		refused = connect.CodeOf(err) == connect.CodeUnavailable
	}
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("request under way: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("run: %v", err)
	}
}

func TestShutdownCutsOffWhatHangs(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	url, stop := start(t, serve.Config{ShutdownGrace: time.Millisecond}, func(ctx context.Context) (*frayv1.HealthCheckResponse, error) {
		close(arrived)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	answered := make(chan error, 1)
	client := frayv1connect.NewWorkerServiceClient(httpClient(t, false), url)
	go func() {
		_, err := client.HealthCheck(t.Context(), &frayv1.HealthCheckRequest{})
		answered <- err
	}()
	<-arrived
	if err := stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	if err := <-answered; err == nil {
		t.Error("a request that was cut off succeeded")
	}
}

// A connection that a client has opened and not used, as transports do that find another one free
// meanwhile, held a server up for all its grace.
func TestShutdownLeavesUnusedConnections(t *testing.T) {
	t.Parallel()
	for _, h2c := range []bool{false, true} {
		t.Run(fmt.Sprintf("h2c=%v", h2c), func(t *testing.T) {
			t.Parallel()
			url, stop := start(t, serve.Config{ShutdownGrace: time.Minute}, healthy)
			if _, err := frayv1connect.NewWorkerServiceClient(httpClient(t, h2c), url).HealthCheck(t.Context(), &frayv1.HealthCheckRequest{}); err != nil {
				t.Fatal(err)
			}
			unused, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer unused.Close()
			// One that is accepted after it: so was that.
			if _, err := frayv1connect.NewWorkerServiceClient(httpClient(t, h2c), url).HealthCheck(t.Context(), &frayv1.HealthCheckRequest{}); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if err := stop(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	url, _ := start(t, serve.Config{Registerer: registry, Gatherer: registry}, healthy)
	second, _ := start(t, serve.Config{Registerer: registry}, func(context.Context) (*frayv1.HealthCheckResponse, error) { panic("boom") })
	for _, url := range []string{url, url, second} {
		_, _ = frayv1connect.NewWorkerServiceClient(httpClient(t, false), url).HealthCheck(t.Context(), &frayv1.HealthCheckRequest{})
	}
	page := get(t, url+"/metrics")
	for _, want := range []string{
		`fray_rpc_requests_total{code="ok",procedure="/fray.v1.WorkerService/HealthCheck"} 2`,
		`fray_rpc_requests_total{code="internal",procedure="/fray.v1.WorkerService/HealthCheck"} 1`,
		`fray_rpc_duration_seconds_count{procedure="/fray.v1.WorkerService/HealthCheck"} 3`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("metrics lack %s:\n%s", want, page)
		}
	}
	if page := get(t, second+"/metrics"); !strings.Contains(page, "404") {
		t.Errorf("metrics without a gatherer: %s", page)
	}
}

func TestNewRefusesNothingToServe(t *testing.T) {
	t.Parallel()
	if _, err := serve.New(serve.Config{}); err == nil {
		t.Error("no error")
	}
}

func TestListenSaysWhereItCouldNot(t *testing.T) {
	t.Parallel()
	server, err := serve.New(serve.Config{
		Address: "256.0.0.1:0",
		Services: []serve.Service{{Name: "x", New: func(...connect.HandlerOption) (string, http.Handler) {
			return "/x/", http.NotFoundHandler()
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), `"256.0.0.1:0"`) {
		t.Errorf("error %v", err)
	}
}

func grpcHealth(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/grpc.health.v1.Health/Check", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return do(t, req)
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, req)
}

func do(t *testing.T, req *http.Request) string {
	t.Helper()
	res, err := httpClient(t, false).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func joined[S ~string](names []S) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString(string(name) + "\n")
	}
	return b.String()
}

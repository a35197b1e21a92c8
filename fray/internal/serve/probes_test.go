package serve_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/grpchealth"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/internal/serve"
)

// switched serves while it is on.
type switched struct{ on atomic.Bool }

func (s *switched) Check(context.Context, *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	if s.on.Load() {
		return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil
}

func status(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := httpClient(t, false).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

func TestProbesNeedNoCredential(t *testing.T) {
	t.Parallel()
	var s switched
	url, _ := start(t, serve.Config{
		Checker: &s, Gatherer: prometheus.NewRegistry(), Access: func() *access.Policy { return access.Shared("secret") },
	}, healthy)
	for _, on := range []bool{false, true} {
		s.on.Store(on)
		want := http.StatusServiceUnavailable
		if on {
			want = http.StatusOK
		}
		if got := status(t, url+access.ReadyPath); got != want {
			t.Errorf("while it serves (%v) it is ready with %d", on, got)
		}
		if got := status(t, url+access.HealthPath); got != http.StatusOK {
			t.Errorf("while it serves (%v) it is alive with %d", on, got)
		}
		if got := grpcHealth(t, url); strings.Contains(got, "NOT_SERVING") == on {
			t.Errorf("while it serves (%v) its health is %s", on, got)
		}
	}
	if got := status(t, url+access.MetricsPath); got != http.StatusUnauthorized {
		t.Errorf("metrics are answered with %d", got)
	}
}

func TestMetricsOnAPortOfTheirOwn(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	calls := prometheus.NewCounter(prometheus.CounterOpts{Name: "some_total", Help: "Some."})
	registry.MustRegister(calls)
	url, stop := start(t, serve.Config{
		Gatherer: registry, MetricsAddress: ":0", Access: func() *access.Policy { return access.Shared("secret") },
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}, healthy)
	match := regexp.MustCompile(`url=(http://127\.0\.0\.1:\d+)/metrics`).FindStringSubmatch(log.String())
	if match == nil {
		t.Fatalf("the log does not say where metrics are: %s", log.String())
	}
	if got := get(t, match[1]+access.MetricsPath); !strings.Contains(got, "some_total 0") {
		t.Errorf("the metrics are %s", got)
	}
	for _, path := range []string{access.HealthPath, access.ReadyPath} {
		if got := status(t, match[1]+path); got != http.StatusOK {
			t.Errorf("%s there is answered with %d", path, got)
		}
	}
	if got := status(t, match[1]+"/fray.v1.WorkerService/HealthCheck"); got != http.StatusNotFound {
		t.Errorf("a call there is answered with %d", got)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+access.MetricsPath, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer secret")
	if got := do(t, req); !strings.Contains(got, "404") {
		t.Errorf("metrics are on the main port, too: %s", got)
	}
	if err := stop(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	var dialer net.Dialer
	if conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(match[1], "http://")); err == nil {
		_ = conn.Close()
		t.Error("the port of the metrics outlives the server")
	}
}

func TestMetricsPortThatIsTaken(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	taken, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	server, err := serve.New(serve.Config{
		Address: "127.0.0.1:0", Services: []serve.Service{streams(nil)}, Gatherer: prometheus.NewRegistry(), MetricsAddress: taken.Addr().String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	err = server.Listen(t.Context())
	var op *net.OpError
	if !errors.As(err, &op) || !strings.Contains(err.Error(), "listen for metrics on") {
		t.Errorf("error %v", err)
	}
}

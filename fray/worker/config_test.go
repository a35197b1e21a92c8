package worker_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker"
)

func TestConfigIsValidated(t *testing.T) {
	t.Parallel()
	good := worker.Config{ControllerURL: "http://c", ID: "w1", Functions: functions()}
	tests := []struct {
		name string
		edit func(*worker.Config)
		want string // empty: good
	}{
		{name: "good", edit: func(*worker.Config) {}},
		{name: "no controller", edit: func(c *worker.Config) { c.ControllerURL = "" }, want: "controller"},
		{name: "no id", edit: func(c *worker.Config) { c.ID = "" }, want: "worker_id"},
		{name: "bad id", edit: func(c *worker.Config) { c.ID = "a b" }, want: "worker_id"},
		{name: "no functions", edit: func(c *worker.Config) { c.Functions = nil }, want: "functions"},
		{name: "twins", edit: func(c *worker.Config) { c.Functions = []fray.Function{echo, echo} }, want: `two functions are named "echo"`},
		{name: "negative slots", edit: func(c *worker.Config) { c.Slots = -1 }, want: "slots"},
		{name: "negative resource", edit: func(c *worker.Config) { c.Resources = map[string]int64{"cpu": -1} }, want: "resources"},
		{name: "too much ahead", edit: func(c *worker.Config) { c.MaxPrefetch = 1 << 20 }, want: "prefetch"},
		{name: "lease of a job", edit: func(c *worker.Config) { c.JobLease, c.JobLeaseTTL = "a/job", time.Second }},
		{name: "lease of no job", edit: func(c *worker.Config) { c.JobLease = "a job" }, want: `JobLease "a job"`},
		{name: "lease of what", edit: func(c *worker.Config) { c.JobLeaseTTL = time.Minute }, want: "JobLeaseTTL is given, and no JobLease"},
		{name: "hasty lease", edit: func(c *worker.Config) { c.JobLease, c.JobLeaseTTL = "j", time.Millisecond }, want: "must be 100ms at least, is 1ms"},
		{name: "negative grace", edit: func(c *worker.Config) { c.StopGrace = -1 }, want: "StopGrace"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			tt.edit(&cfg)
			_, err := worker.New(cfg)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
			} else if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestTokenAndAddressAreThoseOfClients(t *testing.T) {
	t.Setenv("FRAY_TOKEN", "from-env")
	var shown, host atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown.CompareAndSwap(nil, r.Header.Get("Authorization"))
		host.CompareAndSwap(nil, r.Host)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"code":"invalid_argument","message":"no"}`))
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	w, err := worker.New(worker.Config{ControllerURL: address, ID: "w", Functions: []fray.Function{
		fray.Define("f", func(context.Context, int) (int, error) { return 0, nil }),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context()); err == nil {
		t.Error("a refused registration is no error")
	}
	if shown.Load() != "Bearer from-env" || host.Load() != address {
		t.Errorf("showed %v to %v", shown.Load(), host.Load())
	}
	if _, err := worker.New(worker.Config{ControllerURL: "h:port", ID: "w", Token: "a b"}); err == nil ||
		!strings.Contains(err.Error(), "parse controller address") || !strings.Contains(err.Error(), "printable ASCII") {
		t.Errorf("got %v", err)
	}
}

func TestConfigComesFromTheEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		worker.ControllerVariable: "10.0.0.5:7070", worker.IDVariable: "w7", worker.JobLeaseVariable: "job", worker.JobLeaseTTLVariable: "90s",
	} {
		t.Setenv(name, value)
	}
	c, err := worker.FromEnvironment()
	if err != nil || c.ControllerURL != "10.0.0.5:7070" || c.ID != "w7" || c.JobLease != "job" || c.JobLeaseTTL != 90*time.Second {
		t.Errorf("got %+v, %v", c, err)
	}
	t.Setenv(worker.JobLeaseTTLVariable, "soon")
	if _, err := worker.FromEnvironment(); err == nil || !strings.Contains(err.Error(), `FRAY_JOB_LEASE_TTL: "soon" is not a time such as 1m`) {
		t.Errorf("got %v", err)
	}
}

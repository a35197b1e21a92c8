package worker_test

import (
	"errors"
	"net"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/frayrpc/fray/fray/worker"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// TestOverTCP runs a worker with a listener of its own against a controller behind a real one.
func TestOverTCP(t *testing.T) {
	t.Parallel()
	c := newController()
	server := httptestServer(t, c.handler)
	registry := prometheus.NewRegistry()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, c, func(cfg *worker.Config) {
		cfg.ControllerURL, cfg.HTTPClient = server, nil
		cfg.Listener, cfg.Registerer, cfg.Gatherer = listener, registry, registry
	})
	sulks := c.add("sulk", `0.2`)
	client := frayv1connect.NewWorkerServiceClient(httpClient(t), "http://"+listener.Addr().String())
	await(t, func() bool {
		res, err := client.ListTasks(t.Context(), &frayv1.WorkerServiceListTasksRequest{})
		return err == nil && len(res.GetTasks()) == 1 &&
			res.GetTasks()[0].GetState() == frayv1.AttemptState_ATTEMPT_STATE_RUNNING && res.GetTasks()[0].GetFunction() == "sulk"
	})
	health, err := client.HealthCheck(t.Context(), &frayv1.HealthCheckRequest{})
	if err != nil || health.GetHealth() != frayv1.WorkerHealth_WORKER_HEALTH_SERVING || health.GetSlots() != 2 || health.GetWorkerId() != "w1" {
		t.Errorf("health: %v, %v", health, err)
	}
	await(t, func() bool { return c.outcome(sulks) == "SUCCEEDED" })
	if url := c.seen().registrations[0].GetAdvertiseUrl(); url != "http://"+listener.Addr().String() {
		t.Errorf("advertised %q", url)
	}
	for _, want := range []string{
		"fray_worker_slots", "fray_worker_attempts_total", "fray_worker_run_seconds", "fray_worker_outbox", "fray_worker_queued", "fray_worker_actors",
		"fray_worker_reports_total", "fray_worker_sessions_total", "fray_worker_heartbeat_failures_total", "fray_rpc_requests_total",
	} {
		if n, err := testutil.GatherAndCount(registry, want); err != nil || n == 0 {
			t.Errorf("metric %s: %d, %v", want, n, err)
		}
	}
	w.stop(t)
	if err := w.Run(t.Context()); !errors.Is(err, worker.ErrRunTwice) {
		t.Errorf("second run: %v", err)
	}
}

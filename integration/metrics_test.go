package integration_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/integration/tasks"
)

// scrape returns the counters and gauges that a process shows under /metrics, by
// name{label="value",...}; of a histogram, its count.
func (c *cluster) scrape(url string) map[string]float64 {
	c.t.Helper()
	values := map[string]float64{}
	for name, family := range c.families(url) {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+`="`+l.GetValue()+`"`)
			}
			key := name
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case m.GetCounter() != nil:
				values[key] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				values[key] = m.GetGauge().GetValue()
			case m.GetHistogram() != nil:
				values[key] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return values
}

// families reads the metrics of a process.
func (c *cluster) families(url string) map[string]*dto.MetricFamily {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.context(), http.MethodGet, url+"/metrics", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		c.t.Fatalf("metrics of %s: %v", url, err)
	}
	return families
}

// wantMetrics waits until metrics have these values, and says which do not.
func (c *cluster) wantMetrics(url string, want map[string]float64) {
	c.t.Helper()
	var got map[string]float64
	same := func() bool {
		got = c.scrape(url)
		for name, value := range want {
			if v, ok := got[name]; v != value || !ok {
				return false
			}
		}
		return true
	}
	defer func() {
		if c.t.Failed() {
			for _, name := range slices.Sorted(maps.Keys(want)) {
				if v, ok := got[name]; v != want[name] || !ok {
					c.t.Errorf("%s is %v (%v), want %v", name, v, ok, want[name])
				}
			}
		}
	}()
	eventually(c.t, "metrics of "+url+" agree with what was done", same)
}

// Metrics that disagree with what happened are worse than none.
func TestMetricsAgreeWithTheRun(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	w := c.worker("w", "--slots", "4")
	ctx := c.client()
	squares, err := tasks.Square.RunAll(ctx, make([]int, 10))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range squares {
		get(ctx, t, f)
	}
	for range 3 {
		failed(ctx, t, run(ctx, t, tasks.Fail, tasks.Failure{Message: "no"}, fray.WithRetries(2), quick))
	}
	get(ctx, t, run(ctx, t, tasks.Fail, tasks.Failure{Message: "no", Until: 2}, fray.WithRetries(2), quick))
	failed(ctx, t, run(ctx, t, tasks.Panic, "boom"))
	failed(ctx, t, run(ctx, t, tasks.NotANumber, struct{}{}))
	h := c.hold()
	held := run(ctx, t, tasks.Held, h)
	c.awaitHeld(held.ID(), h)
	waiting := run(ctx, t, tasks.Square, 1, fray.WithLabels(map[string]string{"no": "where"}))
	cancelled := run(ctx, t, tasks.Square, 1, fray.WithLabels(map[string]string{"no": "where"}))
	if err := cancelled.Cancel(ctx); err != nil {
		t.Fatal(err)
	}
	failed(ctx, t, cancelled)

	const submitted, attempts = 10 + 3 + 1 + 1 + 1 + 1 + 2, 10 + 9 + 2 + 1 + 1 + 1
	c.wantMetrics(c.url(), map[string]float64{
		"fray_tasks_submitted_total":                                 submitted,
		"fray_tasks_refused_total":                                   0,
		"fray_leases_granted_total":                                  attempts,
		`fray_tasks{status="PENDING"}`:                               1,
		`fray_tasks{status="LEASED"}`:                                0,
		`fray_tasks{status="RUNNING"}`:                               1,
		`fray_tasks{status="COMPLETED"}`:                             11,
		`fray_tasks{status="FAILED"}`:                                5,
		`fray_tasks{status="CANCELLED"}`:                             1,
		`fray_attempts_total{function="square",outcome="succeeded"}`: 10,
		`fray_attempts_total{function="fail",outcome="failed"}`:      10,
		`fray_attempts_total{function="fail",outcome="succeeded"}`:   1,
		`fray_attempts_total{function="panic",outcome="failed"}`:     1,
		`fray_attempts_total{function="nan",outcome="undecodable"}`:  1,
		`fray_queue_seconds{function="square"}`:                      10,
		`fray_run_seconds{function="square"}`:                        10,
		"fray_workers":                                               1,
		"fray_slots":                                                 4,
		"fray_stale_reports_total":                                   0,
		"fray_leases_expired_total":                                  0,
		"fray_sessions_expired_total":                                0,
		"fray_delivery_failures_total":                               0,
		registrations:                                                1,
	})
	c.wantMetrics(w.url, map[string]float64{
		`fray_worker_attempts_total{function="square",outcome="succeeded"}`: 10,
		`fray_worker_attempts_total{function="fail",outcome="failed"}`:      10,
		`fray_worker_attempts_total{function="fail",outcome="succeeded"}`:   1,
		`fray_worker_attempts_total{function="panic",outcome="failed"}`:     1,
		`fray_worker_attempts_total{function="nan",outcome="undecodable"}`:  1,
		`fray_worker_attempts_total{function="held",outcome="succeeded"}`:   0,
		`fray_worker_run_seconds{function="square"}`:                        10,
		`fray_worker_slots{state="running"}`:                                1,
		`fray_worker_slots{state="free"}`:                                   3,
		"fray_worker_queued":                                                0,
		"fray_worker_outbox":                                                0,
		"fray_worker_sessions_total":                                        1,
		`fray_worker_reports_total{verdict="stale"}`:                        0,
		`fray_worker_reports_total{verdict="duplicate"}`:                    0,
	})
	c.open(h)
	get(ctx, t, held)
	c.wantMetrics(c.url(), map[string]float64{
		`fray_tasks{status="RUNNING"}`:                             0,
		`fray_tasks{status="COMPLETED"}`:                           12,
		`fray_attempts_total{function="held",outcome="succeeded"}`: 1,
	})
	if err := waiting.Cancel(ctx); err != nil {
		t.Fatal(err)
	}
}

// registrations is the metric that counts the registrations of workers.
const registrations = `fray_rpc_requests_total{code="ok",procedure="/fray.v1.ControllerService/RegisterWorker"}`

package worker

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/core/slots"
	"github.com/frayrpc/fray/fray/internal/latency"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// metrics are what a worker counts. They are kept whether or not anybody registered for them.
type metrics struct {
	attempts *prometheus.CounterVec
	runTime  *prometheus.HistogramVec
	reports  [4]prometheus.Counter // by verdict
	sessions prometheus.Counter
	failures map[string]prometheus.Counter // by call
}

// functionMetrics are those of one function.
type functionMetrics struct {
	outcomes [core.UndecodableOutcome + 1]prometheus.Counter
	runTime  prometheus.Observer
}

// counted are the calls whose failures are counted, each under its own name.
var counted = []struct{ call, metric string }{
	{"RegisterWorker", "fray_worker_register_failures_total"},
	{"LeaseTasks", "fray_worker_lease_failures_total"},
	{"Heartbeat", "fray_worker_heartbeat_failures_total"},
	{"ReportTasks", "fray_worker_report_failures_total"},
}

func newMetrics(registerer prometheus.Registerer, w *Worker) (*metrics, error) {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fray_worker_attempts_total", Help: "Attempts that ended here, by function and outcome.",
		}, []string{"function", "outcome"}),
		runTime: prometheus.NewHistogramVec(latency.Opts("fray_worker_run_seconds", "How long functions ran.",
			prometheus.ExponentialBuckets(10e-6, 5, 12)), []string{"function"}),
		sessions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fray_worker_sessions_total", Help: "Sessions that the worker opened.",
		}),
		failures: make(map[string]prometheus.Counter),
	}
	reports := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fray_worker_reports_total", Help: "Reports that the controller judged, by verdict. STARTED ones are included.",
	}, []string{"verdict"})
	for v := range m.reports {
		name := strings.TrimPrefix(frayv1.ReportVerdict(v).String(), "REPORT_VERDICT_") // 0 to 3.
		m.reports[v] = reports.WithLabelValues(strings.ToLower(name))
	}
	collectors := []prometheus.Collector{m.attempts, m.runTime, m.sessions, reports}
	for _, c := range counted {
		counter := prometheus.NewCounter(prometheus.CounterOpts{Name: c.metric, Help: "Calls of " + c.call + " that failed."})
		m.failures[c.call] = counter
		collectors = append(collectors, counter)
	}
	for _, g := range []struct {
		state string
		count func(slots.Counts) int
	}{
		{"free", func(c slots.Counts) int { return c.Free }},
		{"running", func(c slots.Counts) int { return c.Running }},
		{"blocked", func(c slots.Counts) int { return c.Blocked }},
		{"abandoned", func(c slots.Counts) int { return c.Abandoned }},
	} {
		collectors = append(collectors, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "fray_worker_slots", ConstLabels: prometheus.Labels{"state": g.state},
			Help: "Slots by what has them. Blocked attempts have lent theirs.",
		}, func() float64 { return float64(g.count(w.counts())) }))
	}
	collectors = append(collectors,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "fray_worker_queued", Help: "Attempts that wait for a slot.",
		}, func() float64 { return float64(w.counts().Queued) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "fray_worker_outbox", Help: "Terminal reports that no controller has acknowledged.",
		}, func() float64 { return float64(w.counts().Outbox) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "fray_worker_actors", Help: "Actors that live here, and take calls.",
		}, func() float64 { return float64(w.actorCount()) }),
	)
	if registerer == nil {
		return m, nil
	}
	for _, c := range collectors {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register worker metrics: %w", err)
		}
	}
	return m, nil
}

// of returns the metrics of a function.
func (m *metrics) of(function string) functionMetrics {
	f := functionMetrics{runTime: m.runTime.WithLabelValues(function)}
	for o := core.Succeeded; o <= core.UndecodableOutcome; o++ {
		f.outcomes[o] = m.attempts.WithLabelValues(function, strings.ToLower(o.String()))
	}
	return f
}

func (f *functionMetrics) ended(o core.Outcome) { f.outcomes[o].Inc() }

func (f *functionMetrics) observe(ran time.Duration) { f.runTime.Observe(ran.Seconds()) }

func (m *metrics) failed(call string) {
	if c := m.failures[call]; c != nil {
		c.Inc()
	}
}

func (m *metrics) judged(v frayv1.ReportVerdict) {
	if v < 0 || int(v) >= len(m.reports) {
		v = frayv1.ReportVerdict_REPORT_VERDICT_UNSPECIFIED
	}
	m.reports[v].Inc()
}

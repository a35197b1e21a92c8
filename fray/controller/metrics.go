package controller

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/latency"
)

// metrics are the controller's. Totals are asked of the scheduler when they are scraped; what
// happens to attempts is counted as it happens. Names carry no task, job or worker.
type metrics struct {
	stats func() (core.InfoReply, bool)

	attempts *prometheus.CounterVec
	queue    *prometheus.HistogramVec
	run      *prometheus.HistogramVec

	mu        sync.Mutex
	functions map[functionEnd]functionMetrics
	named     map[string]bool // functions that have labels of their own
}

const (
	// maxNamed is how many functions metrics tell apart, since the controller started. All that come
	// later are otherFunctions.
	maxNamed = 1000
	// maxDepths is how many functions have a queue's depth of their own, those with the most ready tasks. All others
	// are otherFunctions together.
	maxDepths = 50
	// otherFunctions counts a function of that name, too.
	otherFunctions = "(others)"
)

type functionEnd struct {
	function string
	end      core.AttemptEnd
}

// functionMetrics are looked up once, because labels cost more than counting.
type functionMetrics struct {
	count prometheus.Counter
	took  prometheus.Observer
}

// scraped are the totals of the scheduler, each with where it comes from.
var scraped = []scrape{
	gauge("ready_tasks", "Tasks that wait for nothing but a slot: the queue's depth.", func(i *core.InfoReply) float64 { return float64(i.Stats.Ready) }),
	gauge("queued_bytes", "Encoded size of the specs of all open tasks.", func(i *core.InfoReply) float64 { return float64(i.Stats.QueuedBytes) }),
	gauge("retained_bytes", "Size of the records of all ended tasks.", func(i *core.InfoReply) float64 { return float64(i.RetainedBytes) }),
	gauge("objects", "Objects that are kept, put or deleted.", func(i *core.InfoReply) float64 { return float64(i.Objects) }),
	gauge("object_bytes", "Size of these.", func(i *core.InfoReply) float64 { return float64(i.ObjectBytes) }),
	gauge("watchers", "Clients that follow the ends of a job, and were heard of lately.", func(i *core.InfoReply) float64 { return float64(i.Watchers) }),
	gauge("leases", "Attempts that workers hold, as far as the controller knows.", func(i *core.InfoReply) float64 { return float64(i.Leases) }),
	gauge("waiting_calls", "Calls that wait at the controller for something to happen: polls, heartbeats, those of clients that wait for ends.", func(i *core.InfoReply) float64 { return float64(i.Waiting) }),
	gauge("oldest_ready_age_seconds", "How long the ready task that waits longest has waited, since it was submitted or could be run again.", func(i *core.InfoReply) float64 { return i.OldestReadyAge.Seconds() }),
	gauge("workers", "Workers with a live session.", func(i *core.InfoReply) float64 { return float64(i.Stats.Workers) }),
	gauge("slots", "Slots of all workers with a live session.", func(i *core.InfoReply) float64 { return float64(i.Stats.Slots) }),
	{
		prometheus.NewDesc("fray_scheduler_looks_total", "Things that the scheduler held and looked at, to find what to do.", nil, nil),
		prometheus.CounterValue, func(i *core.InfoReply) float64 { return float64(i.Looks) },
	},
	{
		prometheus.NewDesc("fray_scheduler_work_total", "Events that the scheduler took, records that it had written and replies that it gave.", nil, nil),
		prometheus.CounterValue, func(i *core.InfoReply) float64 { return float64(i.Work) },
	},
	counter("tasks_submitted_total", "Tasks accepted.", func(s *core.Stats) uint64 { return s.Submitted }),
	counter("tasks_refused_total", "Offers of tasks refused because a bound was reached.", func(s *core.Stats) uint64 { return s.Refused }),
	counter("tasks_restored_total", "Tasks taken over from the controller's earlier runs.", func(s *core.Stats) uint64 { return s.Restored }),
	counter("attempts_adopted_total", "Attempts of before a restart that their workers were given back.", func(s *core.Stats) uint64 { return s.Adopted }),
	counter("leases_granted_total", "Attempts handed to workers.", func(s *core.Stats) uint64 { return s.LeasesGranted }),
	counter("sessions_expired_total", "Worker sessions that ended because no heartbeat came.", func(s *core.Stats) uint64 { return s.SessionsExpired }),
	counter("leases_expired_total", "Leases that ended because their worker's session did.", func(s *core.Stats) uint64 { return s.LeasesExpired }),
	counter("delivery_failures_total", "Leases that were taken back because their delivery failed.", func(s *core.Stats) uint64 { return s.DeliveryFailures }),
	counter("stale_reports_total", "Reports of attempts that were no longer their task's current one.", func(s *core.Stats) uint64 { return s.StaleReports }),
	counter("duplicate_reports_total", "Reports that had been accepted before.", func(s *core.Stats) uint64 { return s.DuplicateReports }),
	counter("controller_stalls_total", "Times that the controller itself did not run for a while, so that sessions got their time anew.", func(s *core.Stats) uint64 { return s.Stalls }),
	counter("workers_backed_off_total", "Times that a worker was given no work for a while because it failed everything quickly.", func(s *core.Stats) uint64 { return s.WorkersBackedOff }),
	counter("tasks_forgotten_total", "Ended tasks that were collected.", func(s *core.Stats) uint64 { return s.Forgotten }),
	counter("tasks_forgotten_early_total", "Ended tasks that were collected before their retention was over, to keep within the bounds.", func(s *core.Stats) uint64 { return s.ForgottenTooEarly }),
}

var depthDesc = prometheus.NewDesc("fray_function_ready_tasks",
	"Tasks that wait for nothing but a slot, by function: those with the most apart, all others together.", []string{"function"}, nil)

var tasksDesc = prometheus.NewDesc("fray_tasks", "Known tasks by status.", []string{"status"}, nil)

type scrape struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(i *core.InfoReply) float64
}

func gauge(name, help string, value func(i *core.InfoReply) float64) scrape {
	return scrape{prometheus.NewDesc("fray_"+name, help, nil, nil), prometheus.GaugeValue, value}
}

func counter(name, help string, value func(s *core.Stats) uint64) scrape {
	return scrape{
		prometheus.NewDesc("fray_"+name, help, nil, nil), prometheus.CounterValue,
		func(i *core.InfoReply) float64 { return float64(value(&i.Stats)) },
	}
}

// newMetrics registers the metrics with r, unless it is nil.
func newMetrics(r prometheus.Registerer, stats func() (core.InfoReply, bool)) (*metrics, error) {
	buckets := prometheus.ExponentialBuckets(0.0001, 4, 12) // 0.1 ms to 7 min.
	m := &metrics{
		stats: stats, functions: make(map[functionEnd]functionMetrics), named: make(map[string]bool),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fray_attempts_total", Help: "Attempts that ended, by function and how.",
		}, []string{"function", "outcome"}),
		queue: prometheus.NewHistogramVec(latency.Opts("fray_queue_seconds", "How long tasks were ready before they were leased.", buckets),
			[]string{"function"}),
		run: prometheus.NewHistogramVec(latency.Opts("fray_run_seconds", "How long attempts ran.", buckets), []string{"function"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.attempts, m.queue, m.run, totals{m}} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// observe counts what happened to attempts.
func (m *metrics) observe(notes []core.AttemptNote) {
	if len(notes) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range notes {
		n := &notes[i]
		f := m.function(functionEnd{n.Function, n.End})
		if f.count != nil {
			f.count.Inc()
		}
		if f.took != nil {
			f.took.Observe(n.Took.Seconds())
		}
	}
}

func (m *metrics) function(k functionEnd) functionMetrics {
	f, ok := m.functions[k]
	if ok {
		return f
	}
	if !m.named[k.function] {
		if len(m.named) >= maxNamed {
			k.function = otherFunctions
			if f, ok = m.functions[k]; ok {
				return f
			}
		}
		m.named[k.function] = true
	}
	switch k.end {
	case core.EndLeased:
		f.took = m.queue.WithLabelValues(k.function)
	case core.EndUndelivered, core.EndReturned:
		f.count = m.attempts.WithLabelValues(k.function, k.end.String())
	default:
		f.count = m.attempts.WithLabelValues(k.function, k.end.String())
		f.took = m.run.WithLabelValues(k.function)
	}
	m.functions[k] = f
	return f
}

// totals collects what the scheduler knows. While the controller does not run there is nothing to
// collect.
type totals struct{ m *metrics }

func (t totals) Describe(ch chan<- *prometheus.Desc) {
	ch <- tasksDesc
	ch <- depthDesc
	for _, s := range scraped {
		ch <- s.desc
	}
}

func (t totals) Collect(ch chan<- prometheus.Metric) {
	info, ok := t.m.stats()
	if !ok {
		return
	}
	for _, st := range core.Statuses() {
		ch <- prometheus.MustNewConstMetric(tasksDesc, prometheus.GaugeValue, float64(info.Stats.Tasks[st]), st.String())
	}
	others := info.OtherFunctions
	for _, f := range info.Functions {
		if f.Function == otherFunctions { // Two of the same labels would fail the scrape.
			others += f.Ready
			continue
		}
		ch <- prometheus.MustNewConstMetric(depthDesc, prometheus.GaugeValue, float64(f.Ready), f.Function)
	}
	ch <- prometheus.MustNewConstMetric(depthDesc, prometheus.GaugeValue, float64(others), otherFunctions)
	for _, s := range scraped {
		ch <- prometheus.MustNewConstMetric(s.desc, s.kind, s.value(&info))
	}
}

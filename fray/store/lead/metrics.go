package lead

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/internal/latency"
)

// outcome is what became of one try to commit.
type outcome string

const (
	made         outcome = "made"          // as the database said
	foundMade    outcome = "found_made"    // The connection was lost, and the seat has its number.
	foundMissing outcome = "found_missing" // Likewise, and the seat has it not: it is made again.
	leftUnknown  outcome = "unknown"       // Likewise, and the lead was lost before the seat was read.
	replaced     outcome = "replaced"      // Another leads.
	refused      outcome = "refused"       // It can never be applied.
	full         outcome = "full"          // There was no room: it is made again.
)

// outcomes are all.
var outcomes = []outcome{made, foundMade, foundMissing, leftUnknown, replaced, refused, full}

// Metrics count what a controller does with its database, over all its terms. A nil *Metrics counts
// nothing. Its methods may be called concurrently.
type Metrics struct {
	commits map[outcome]prometheus.Counter
	took    prometheus.Histogram
	bytes   prometheus.Counter

	answered, unanswered prometheus.Counter // looks

	began time.Time
	heard atomic.Int64 // when the database last answered, since began
}

// NewMetrics registers metrics with r, unless it is nil.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	commits := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fray_database_commits_total", Help: "Tries to commit to the database, by what became of them.",
	}, []string{"outcome"})
	looks := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fray_standby_looks_total", Help: "Looks for the leader, by whether the database answered.",
	}, []string{"outcome"})
	m := &Metrics{
		commits: make(map[outcome]prometheus.Counter),
		took: prometheus.NewHistogram(latency.Opts("fray_database_commit_seconds", "How long a commit took until it was made, tries that failed included.",
			prometheus.ExponentialBuckets(0.0001, 2, 18))), // 0.1 ms to 13 s.
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fray_database_commit_bytes_total", Help: "Size of the values that were committed to the database.",
		}),
		answered: looks.WithLabelValues("answered"), unanswered: looks.WithLabelValues("unanswered"),
		began: time.Now(),
	}
	for _, o := range outcomes {
		m.commits[o] = commits.WithLabelValues(string(o))
	}
	if r == nil {
		return m, nil
	}
	silent := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fray_database_silent_seconds", Help: "How long ago the database last answered, or this controller began to ask it.",
	}, func() float64 { return (time.Since(m.began) - time.Duration(m.heard.Load())).Seconds() })
	for _, c := range []prometheus.Collector{commits, looks, m.took, m.bytes, silent} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// tried counts a try to commit.
func (m *Metrics) tried(o outcome) {
	if m != nil {
		m.commits[o].Inc()
	}
}

// committed counts a commit that was made, and what it took since it was asked for.
func (m *Metrics) committed(o outcome, bytes int, took time.Duration) {
	if m != nil {
		m.tried(o)
		m.bytes.Add(float64(bytes))
		m.took.Observe(took.Seconds())
	}
}

// looked counts a look for the leader.
func (m *Metrics) looked(err error) {
	switch {
	case m == nil:
	case err != nil:
		m.unanswered.Inc()
	default:
		m.answered.Inc()
		m.hear()
	}
}

// hear notes that the database has answered.
func (m *Metrics) hear() {
	if m != nil {
		m.heard.Store(int64(time.Since(m.began)))
	}
}

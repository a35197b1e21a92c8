package pebblestore

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/internal/latency"
)

// metrics show a store's Stats. All but the time of a sync is asked of the store when it is
// scraped.
type metrics struct {
	store *Store
	sync  prometheus.Histogram
}

// scraped are the numbers of Stats that are metrics.
var scraped = []struct {
	desc  *prometheus.Desc
	value func(s *Stats) uint64
}{
	{describe("commits_total", "Batches of records that were committed."), func(s *Stats) uint64 { return s.Commits }},
	{describe("records_total", "Records that commits set or deleted."), func(s *Stats) uint64 { return s.Records }},
	{describe("commit_bytes_total", "Size of the batches that were committed."), func(s *Stats) uint64 { return s.CommitBytes }},
	{describe("written_bytes_total", "Bytes written to files, compaction included."), func(s *Stats) uint64 { return s.WrittenBytes }},
	{describe("stalls_total", "Times that commits waited for recent records to be written to tables."), func(s *Stats) uint64 { return s.Stalls }},
}

var (
	diskBytes = describe("disk_bytes", "Bytes that the store takes on disk, but for the current log.")
	full      = describe("full", "Whether the disk has no room for new work: 0 or 1.")
)

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("fray_store_"+name, help, nil, nil)
}

func newMetrics(s *Store) *metrics {
	return &metrics{store: s, sync: prometheus.NewHistogram(latency.Opts("fray_store_sync_seconds", "How long an fsync of the log took.",
		prometheus.ExponentialBuckets(0.0001, 2, 15)))} // 0.1 ms to 1.6 s.
}

// synced takes in how long an fsync of the log took.
func (m *metrics) synced(took time.Duration) { m.sync.Observe(took.Seconds()) }

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.sync.Describe(ch)
	ch <- diskBytes
	ch <- full
	for _, s := range scraped {
		ch <- s.desc
	}
}

// Collect implements prometheus.Collector. Of a store that is closed there is less to tell.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.sync.Collect(ch)
	if used, err := m.store.DiskUsage(); err == nil {
		ch <- prometheus.MustNewConstMetric(diskBytes, prometheus.GaugeValue, float64(used))
	}
	isFull := 0.0
	if m.store.Room() != nil {
		isFull = 1
	}
	ch <- prometheus.MustNewConstMetric(full, prometheus.GaugeValue, isFull)
	stats := m.store.Stats()
	for _, s := range scraped {
		ch <- prometheus.MustNewConstMetric(s.desc, prometheus.CounterValue, float64(s.value(&stats)))
	}
}

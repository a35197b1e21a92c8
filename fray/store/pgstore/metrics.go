package pgstore

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics show a database's connections, but for the one that listens. They are asked of the pool when
// they are scraped.
type metrics struct{ pool *pgxpool.Pool }

var (
	connectionsDesc = prometheus.NewDesc("fray_database_connections", "Connections to the database, by whether they are in use.", []string{"state"}, nil)
	maxConnections  = prometheus.NewDesc("fray_database_max_connections", "Connections to the database at most.", nil, nil)
)

// Describe implements prometheus.Collector.
func (metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- connectionsDesc
	ch <- maxConnections
}

// Collect implements prometheus.Collector.
func (m metrics) Collect(ch chan<- prometheus.Metric) {
	stat := m.pool.Stat()
	for state, n := range map[string]int32{"in_use": stat.AcquiredConns(), "idle": stat.IdleConns()} { // order-free: each has its label
		ch <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(n), state)
	}
	ch <- prometheus.MustNewConstMetric(maxConnections, prometheus.GaugeValue, float64(stat.MaxConns()))
}

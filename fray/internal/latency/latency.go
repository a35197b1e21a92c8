// Package latency says how the histograms of times are kept: with the buckets that each of them names, and beside
// these as a native histogram, which has finer ones.
//
//	prometheus.NewHistogram(latency.Opts("fray_run_seconds", "How long attempts ran.", buckets))
//
// Prometheus is sent the native ones if it asks for them (in Prometheus 2 --enable-feature=native-histograms), and by
// protocol buffers; whoever asks for text gets the named buckets, as ever.
package latency

import "github.com/prometheus/client_golang/prometheus"

const (
	// Growth is by how much a native bucket is wider than the one before it, at most: a quantile is off by half of
	// that. Prometheus takes the next finer step that it has, 2^(1/4).
	Growth = 1.2
	// MaxBuckets bounds the native buckets of one series. 100 are enough for 0.1 ms to 50 min; where times lie farther
	// apart, the buckets become twice as wide.
	MaxBuckets = 100
)

// Opts returns the options of a histogram of times in seconds, with these upper bounds of its buckets.
// What it has counted is never reset, so that it needs no timer and depends on no clock.
func Opts(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: Growth, NativeHistogramMaxBucketNumber: MaxBuckets,
	}
}

package latency_test

import (
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/frayrpc/fray/fray/internal/latency"
)

// observed returns what a histogram of these times shows.
func observed(t *testing.T, times ...float64) *dto.Histogram {
	t.Helper()
	h := prometheus.NewHistogram(latency.Opts("seconds", "How long it took.", []float64{0.001, 1}))
	for _, v := range times {
		h.Observe(v)
	}
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetHistogram()
}

func nativeBuckets(h *dto.Histogram) (n uint32) {
	for _, span := range h.GetPositiveSpan() {
		n += span.GetLength()
	}
	return n
}

func TestBothKindsOfBuckets(t *testing.T) {
	t.Parallel()
	h := observed(t, 0.0005, 0.002, 0.003, 2)
	if b := h.GetBucket(); len(b) != 2 || b[0].GetCumulativeCount() != 1 || b[1].GetCumulativeCount() != 3 {
		t.Errorf("the named buckets are %v", b)
	}
	if n := nativeBuckets(h); n < 4 {
		t.Errorf("four times that differ by a third and more are in %d native buckets", n)
	}
	if growth := math.Pow(2, math.Pow(2, -float64(h.GetSchema()))); growth > latency.Growth {
		t.Errorf("a native bucket is %.3f times as wide as the one before it, want at most %v", growth, latency.Growth)
	}
}

func TestNativeBucketsAreBounded(t *testing.T) {
	t.Parallel()
	var times []float64
	for i := range 2000 {
		times = append(times, 1e-9*math.Pow(1.03, float64(i)))
	}
	h := observed(t, times...)
	if n := nativeBuckets(h); n == 0 || n > 2*latency.MaxBuckets {
		t.Errorf("there are %d native buckets", n)
	}
	if h.GetSampleCount() != uint64(len(times)) {
		t.Errorf("%d of %d times are counted", h.GetSampleCount(), len(times))
	}
}

// What native buckets cost beside the named ones alone.
func BenchmarkObserve(b *testing.B) {
	buckets := prometheus.ExponentialBuckets(0.0001, 4, 12)
	for name, opts := range map[string]prometheus.HistogramOpts{
		"named":  {Name: "seconds", Buckets: buckets},
		"native": latency.Opts("seconds", "", buckets),
	} {
		b.Run(name, func(b *testing.B) {
			h := prometheus.NewHistogram(opts)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				h.Observe(float64(i%1000) * 1e-4)
			}
		})
	}
}

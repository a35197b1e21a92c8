package bench

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bounds of a timing; shorter and longer ones count as these.
const (
	leastTiming   = 1
	longestTiming = int64(time.Hour)
	// timingDigits of each timing are kept, so that a percentile is wrong by a thousandth at most.
	timingDigits = 3
)

// timings are how long things of one kind took, in a bounded amount of memory. One goroutine uses
// them.
type timings struct{ h *hdrhistogram.Histogram }

func newTimings() *timings {
	return &timings{hdrhistogram.New(leastTiming, longestTiming, timingDigits)}
}

func (t *timings) note(d time.Duration) {
	_ = t.h.RecordValue(min(max(int64(d), leastTiming), longestTiming)) // within bounds
}

func (t *timings) merge(other *timings) { t.h.Merge(other.h) }

// Latency is how long things of one kind took, in nanoseconds.
type Latency struct {
	Count int64 `json:"count"`
	P50   int64 `json:"p50_ns"`
	P90   int64 `json:"p90_ns"`
	P99   int64 `json:"p99_ns"`
	Max   int64 `json:"max_ns"`
	// Buckets are how many took no longer than each of some lengths, and longer than the one before.
	Buckets []Bucket `json:"buckets"`
}

// A Bucket is how many things took no longer than so many nanoseconds.
type Bucket struct {
	To    int64 `json:"to_ns"`
	Count int64 `json:"count"`
}

func (t *timings) latency() *Latency {
	l := &Latency{
		Count: t.h.TotalCount(),
		P50:   t.h.ValueAtPercentile(50), P90: t.h.ValueAtPercentile(90), P99: t.h.ValueAtPercentile(99), Max: t.h.Max(),
	}
	to := int64(1)
	for _, bar := range t.h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		for bar.To > to {
			to = nextEdge(to)
		}
		if n := len(l.Buckets); n > 0 && l.Buckets[n-1].To == to {
			l.Buckets[n-1].Count += bar.Count
		} else {
			l.Buckets = append(l.Buckets, Bucket{to, bar.Count})
		}
	}
	return l
}

// nextEdge follows 1, 2, 5, 10, 20, 50 and so on.
func nextEdge(edge int64) int64 {
	decade := int64(1)
	for decade*10 <= edge {
		decade *= 10
	}
	if edge == 2*decade {
		return 5 * decade
	}
	return 2 * edge
}

// barWidth is how long the longest bar of a histogram is.
const barWidth = 50

// writeHistogram draws a bar for each bucket, those between that are empty included.
func (l *Latency) writeHistogram(w io.Writer) {
	if len(l.Buckets) == 0 {
		return
	}
	most := int64(0)
	counts := make(map[int64]int64, len(l.Buckets))
	for _, b := range l.Buckets {
		counts[b.To] = b.Count
		most = max(most, b.Count)
	}
	last := l.Buckets[len(l.Buckets)-1].To
	for edge := l.Buckets[0].To; edge <= last; edge = nextEdge(edge) {
		bar := strings.Repeat("#", int((counts[edge]*barWidth+most-1)/most)) // within: most is the greatest count
		fmt.Fprintf(w, "  <= %-8s %9d  %s\n", shortTime(edge), counts[edge], bar)
	}
}

// shortTime is a number of nanoseconds with three digits.
func shortTime(ns int64) string {
	d, unit := time.Duration(ns), time.Duration(1)
	for unit*1000 <= d {
		unit *= 10
	}
	return d.Round(unit).String()
}

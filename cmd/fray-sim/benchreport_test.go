package main

import (
	"testing"
	"time"

	"github.com/frayrpc/fray/sim/speed"
)

// A figure is the median of its samples, between the least and the greatest.
func TestFigure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		samples []float64
		want    string
	}{
		{[]float64{7}, "7.0"},
		{[]float64{99.94, 3, 100.4}, "99.9 (3.0..100)"},
		{[]float64{1234567, 1000, 999.5, 12345}, "6,672 (1,000..1,234,567)"},
	} {
		r := newBenchReport(len(test.samples))
		for _, sample := range test.samples {
			for _, f := range []*benchFigure{&r.OfPipe, &r.Seeds, &r.Sweep} {
				f.add(sample)
			}
			for _, rate := range []*benchRate{&r.Echo, &r.Pipe, &r.Direct, &r.Idle} {
				rate.add(2*sample, taken{speed.Sample{Wall: 4 * time.Second}, 2 * time.Second})
			}
		}
		r.ran(3*time.Second, 4*time.Second)
		r.settle()
		if r.Share != 0.75 {
			t.Errorf("the share is %v, want 0.75", r.Share)
		}
		if got := r.Idle.CPU.String(); got != test.want {
			t.Errorf("%v make the figure %s, want %s", test.samples, got, test.want)
		}
		if r.Idle.Wall.Median != r.Idle.CPU.Median/2 {
			t.Errorf("%v a second, and %v a second of CPU time", r.Idle.Wall.Median, r.Idle.CPU.Median)
		}
	}
}

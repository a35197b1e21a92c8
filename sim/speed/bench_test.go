package speed_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/speed"
)

// bubbles makes the bubbles of a benchmark, which has no T of its own.
func bubbles(b *testing.B) sim.Bubble {
	b.Helper()
	return func(f func()) error {
		done, procs := false, runtime.GOMAXPROCS(0)
		defer runtime.GOMAXPROCS(procs)
		ok := testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{
			Name: "bubble", F: func(t *testing.T) { //nolint:thelper // It is no helper but the test.
				if done {
					return // Run once for each value of -cpu.
				}
				runtime.GOMAXPROCS(procs)
				synctest.Test(t, func(*testing.T) { f() })
				done = true
			},
		}})
		if !ok || !done {
			b.Fatal("bubble did not run")
		}
		return nil
	}
}

// BenchmarkEcho, and those beside it, count each request and each response as a message.
func BenchmarkEcho(b *testing.B) {
	b.ReportAllocs()
	sample, err := speed.Echo(bubbles(b), b.N)
	report(b, sample, err)
}

func BenchmarkEchoOverPipe(b *testing.B) {
	b.ReportAllocs()
	sample, err := speed.Pipe(bubbles(b), b.N)
	report(b, sample, err)
}

func BenchmarkEchoDirect(b *testing.B) {
	b.ReportAllocs()
	sample, err := speed.Direct(b.N)
	report(b, sample, err)
}

// BenchmarkIdle is a second of eight idle workers.
func BenchmarkIdle(b *testing.B) {
	b.ReportAllocs()
	sample, err := speed.Idle(b.Context(), bubbles(b), 8, time.Duration(b.N)*time.Second)
	report(b, sample, err)
	b.ReportMetric(sample.Ratio(), "virtual-s/s")
}

// BenchmarkCrash is one seed of a cluster of which one worker dies.
func BenchmarkCrash(b *testing.B) {
	b.ReportAllocs()
	sample, err := speed.Crash(b.Context(), bubbles(b), 3, b.N)
	report(b, sample, err)
}

func report(b *testing.B, sample speed.Sample, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(sample.Rate(), "msgs/s")
}

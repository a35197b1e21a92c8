package check_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/frayrpc/fray/sim/check"
)

// BenchmarkOracles is the life of a task from its submission to its end, nine events, with every
// oracle looking, and what is left of it in memory.
func BenchmarkOracles(b *testing.B) {
	b.ReportAllocs()
	s := newScript(check.Config{FairnessBound: 1000, LivenessBound: 1})
	s.History = check.NewHistory(check.HistoryConfig{Observe: s.Observe, Keep: 1000})
	s.register("w")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := 0
	for b.Loop() {
		n++
		task := fmt.Sprint("t", n)
		s.submit(task)
		s.run("w", task, 1, "1")
		s.view(task, completed, 1, digest("1"))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "heap-B/task")
	if s.Violated() > 0 {
		b.Fatal(s.Violations()[0].String())
	}
	runtime.KeepAlive(s)
}

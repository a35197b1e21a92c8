package bench

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics of a controller that are looked at.
const (
	metricResident   = "process_resident_memory_bytes"
	metricHeap       = "go_memstats_heap_alloc_bytes"
	metricCPU        = "process_cpu_seconds_total"
	metricCalls      = "fray_rpc_requests_total"
	metricAllocs     = "go_memstats_mallocs_total"
	metricAllocBytes = "go_memstats_alloc_bytes_total"
	metricCommits    = "fray_store_commits_total"
	metricSyncs      = "fray_store_sync_seconds"
	metricStored     = "fray_store_commit_bytes_total"
)

// Parts of a cluster, and what a task takes of each, as far as that is known.
var (
	costParts = []string{"client", "controller", "workers"}
	costNames = []string{
		"cpu-us", "calls", "reads", "writes", "read-B", "written-B", "allocs", "alloc-B", "commits", "syncs", "stored-B",
	}
)

// Metrics are figures by their names, each summed over its labels. That of a histogram is its count.
type Metrics map[string]float64

// ParseMetrics reads metrics as Prometheus does.
func ParseMetrics(r io.Reader) (Metrics, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	metrics := make(Metrics, len(families))
	for name, family := range families {
		for _, m := range family.GetMetric() {
			metrics[name] += figure(m)
		}
	}
	return metrics, nil
}

func figure(m *dto.Metric) float64 {
	if h := m.GetHistogram(); h != nil {
		return float64(h.GetSampleCount())
	}
	return m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue() // two of them are 0
}

// Usage is what processes have taken of the machine.
type Usage struct {
	// CPU is in seconds, user and system.
	CPU float64
	// Reads and Writes are system calls, files and sockets alike, and the bytes what went through them.
	Reads, Writes, ReadBytes, WrittenBytes float64
}

func (u *Usage) add(o Usage) {
	u.CPU += o.CPU
	u.Reads += o.Reads
	u.Writes += o.Writes
	u.ReadBytes += o.ReadBytes
	u.WrittenBytes += o.WrittenBytes
}

// ticksPerSecond is the unit of times in /proc, the same on all systems that people run.
const ticksPerSecond = 100

// UsageOf returns what processes have taken, as Linux tells in /proc; false: that is not known of one of
// them.
func UsageOf(pids ...int) (all Usage, ok bool) {
	for _, pid := range pids {
		dir := "/proc/" + strconv.Itoa(pid)
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			return Usage{}, false
		}
		counts, err := os.ReadFile(dir + "/io")
		if err != nil {
			return Usage{}, false
		}
		u, ok := parseUsage(string(stat), string(counts))
		if !ok {
			return Usage{}, false
		}
		all.add(u)
	}
	return all, true
}

// parseUsage reads the files stat and io of a process.
func parseUsage(stat, counts string) (u Usage, ok bool) {
	_, rest, ok := strings.Cut(stat[strings.LastIndex(stat, ")")+1:], " ") // the name may have anything in it
	fields := strings.Fields(rest)
	const user, system = 11, 12 // fields 14 and 15, of which the first two are cut
	if !ok || len(fields) <= system {
		return u, false
	}
	for _, i := range []int{user, system} {
		ticks, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return u, false
		}
		u.CPU += ticks / ticksPerSecond
	}
	known := 0
	for line := range strings.Lines(counts) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		into := map[string]*float64{"rchar": &u.ReadBytes, "wchar": &u.WrittenBytes, "syscr": &u.Reads, "syscw": &u.Writes}[name]
		if into == nil {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return u, false
		}
		*into = n
		known++
	}
	return u, known == 4
}

// snapshot is what is known of costs at an instant.
type snapshot struct {
	metrics Metrics
	usage   map[string]Usage
	allocs  runtime.MemStats
}

func (m *meter) snapshot(ctx context.Context, t *Target) (s snapshot) {
	if t.Metrics != nil {
		// A controller need not show them.
		s.metrics, _ = t.Metrics(ctx)
	}
	if t.Usage != nil {
		s.usage = maps.Clone(t.Usage())
	}
	runtime.ReadMemStats(&s.allocs)
	return s
}

// cost returns what tells what n tasks have cost since, for each of them, as far as it is known and
// wanted: by the part of the cluster and what it took.
func (m *meter) cost(ctx context.Context, t *Target) func(n int) map[string]float64 {
	if !m.Costs {
		return func(int) map[string]float64 { return nil }
	}
	before := m.snapshot(ctx, t)
	return func(n int) map[string]float64 {
		after := m.snapshot(ctx, t)
		cost := make(map[string]float64)
		each := func(name string, before, after float64) {
			if n > 0 {
				cost[name] = (after - before) / float64(n)
			}
		}
		for name, metric := range map[string]string{
			"controller calls": metricCalls, "controller allocs": metricAllocs, "controller alloc-B": metricAllocBytes,
			"controller commits": metricCommits, "controller syncs": metricSyncs, "controller stored-B": metricStored,
		} {
			if _, ok := after.metrics[metric]; ok {
				each(name, before.metrics[metric], after.metrics[metric])
			}
		}
		for part, now := range after.usage {
			then := before.usage[part]
			each(part+" cpu-us", then.CPU*1e6, now.CPU*1e6)
			each(part+" reads", then.Reads, now.Reads)
			each(part+" writes", then.Writes, now.Writes)
			each(part+" read-B", then.ReadBytes, now.ReadBytes)
			each(part+" written-B", then.WrittenBytes, now.WrittenBytes)
		}
		each("client allocs", float64(before.allocs.Mallocs), float64(after.allocs.Mallocs))
		each("client alloc-B", float64(before.allocs.TotalAlloc), float64(after.allocs.TotalAlloc))
		return cost
	}
}

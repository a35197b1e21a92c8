package integration_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/integration/tasks"
)

// benchPayload is what a task of the benchmarks has as its input and its result.
var benchPayload = bytes.Repeat([]byte{'x'}, 64)

// benchSlots is enough for a worker to be busy while a batch of reports is under way.
const benchSlots = "64"

// newBench starts a controller and a worker, and returns a client of theirs that has been used.
func newBench(b *testing.B) (*cluster, context.Context) {
	b.Helper()
	c := newCluster(b, "--log-level", "warn")
	return c, benchClient(b, c)
}

// benchClient starts a worker of a cluster, and returns a client that has been used.
func benchClient(b *testing.B, c *cluster) context.Context {
	b.Helper()
	c.worker("w", "--slots", benchSlots)
	// Not newClient's: a benchmark has no deadline.
	jc, err := fray.NewJobContext(context.WithoutCancel(b.Context()), fray.KindFray, append(asClient(), fray.WithControllerAddress(c.url()))...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := jc.Close(); err != nil {
			b.Error(err)
		}
	})
	ctx := fray.NewContext(b.Context(), jc)
	if _, err := tasks.Noop.Call(ctx, benchPayload); err != nil {
		b.Fatal(err)
	}
	return ctx
}

// BenchmarkBatch runs 20,000 tasks in one call and gets their results.
func BenchmarkBatch(b *testing.B) {
	const n = 20_000
	_, ctx := newBench(b)
	ins := slices.Repeat([][]byte{benchPayload}, n)
	b.ReportAllocs()
	for b.Loop() {
		futures, err := tasks.Noop.RunAll(ctx, ins)
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range futures {
			if _, err := f.Get(ctx); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}

// BenchmarkConcurrentRun has 64 goroutines that each wait for one task after the other.
func BenchmarkConcurrentRun(b *testing.B) {
	const goroutines, each = 64, 50
	_, ctx := newBench(b)
	b.ReportAllocs()
	for b.Loop() {
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for range each {
					if _, err := tasks.Noop.Call(ctx, benchPayload); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	b.ReportMetric(goroutines*each*float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}

// BenchmarkRoundTrip runs one task after the other.
func BenchmarkRoundTrip(b *testing.B) {
	_, ctx := newBench(b)
	var took []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		if _, err := tasks.Noop.Call(ctx, benchPayload); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}

// BenchmarkQueuedMemory queues 100,000 tasks that no worker is there for, and measures how much the
// controller grows. The memory store keeps the specs in the same process, so that their bytes are
// part of it.
func BenchmarkQueuedMemory(b *testing.B) {
	const n, batch = 100_000, 10_000
	var grown float64
	for b.Loop() {
		c := newCluster(b, "--log-level", "warn")
		before := c.controller.residentBytes()
		for first := 0; first < n; first += batch {
			req := &frayv1.SubmitTasksRequest{JobId: "queued"}
			for i := range batch {
				req.Tasks = append(req.Tasks, &frayv1.TaskSpec{
					TaskId: fmt.Sprintf("01J0000000000000000%07d", first+i), Function: "noop",
					Payload: &frayv1.Payload{Encoding: "raw", Data: benchPayload},
				})
			}
			res, err := c.SubmitTasks(b.Context(), req)
			if err != nil || res.GetCreatedCount() != batch {
				b.Fatalf("created %d: %v", res.GetCreatedCount(), err)
			}
		}
		grown += float64(c.controller.residentBytes() - before)
		c.controller.kill()
	}
	b.ReportMetric(grown/float64(b.N)/n, "B/task")
}

// residentBytes is the memory that the process has of the machine.
func (p *process) residentBytes() int64 {
	p.t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(p.cmd.Process.Pid), "status"))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	p.t.Fatalf("no VmRSS in %s", status)
	return 0
}

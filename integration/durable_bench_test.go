package integration_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/integration/tasks"
)

// BenchmarkDurability has 64 callers at once, who submit tasks that no worker is there for, one or
// sixteen a call, or run tasks and wait for each result, against a controller with each kind of
// store. Beside the rate it gives the share of the time in which an fsync was under way, and how
// many tasks shared one.
func BenchmarkDurability(b *testing.B) {
	const callers, batch = 64, 16
	var last atomic.Int64
	spec := func() *frayv1.TaskSpec {
		return &frayv1.TaskSpec{
			TaskId: fmt.Sprintf("t%d", last.Add(1)), Function: "noop", Payload: &frayv1.Payload{Encoding: "raw", Data: benchPayload},
		}
	}
	loads := []struct {
		name  string
		tasks int // of a call
		new   func(b *testing.B, c *cluster) (one func() error)
	}{
		{name: "submit", tasks: 1, new: func(b *testing.B, c *cluster) func() error {
			return func() error {
				_, err := c.SubmitTask(b.Context(), &frayv1.SubmitTaskRequest{JobId: "j", Task: spec()})
				return err
			}
		}},
		{name: "submit16", tasks: batch, new: func(b *testing.B, c *cluster) func() error {
			return func() error {
				req := &frayv1.SubmitTasksRequest{JobId: "j"}
				for range batch {
					req.Tasks = append(req.Tasks, spec())
				}
				_, err := c.SubmitTasks(b.Context(), req)
				return err
			}
		}},
		{name: "run", tasks: 1, new: func(b *testing.B, c *cluster) func() error {
			ctx := benchClient(b, c)
			return func() error {
				_, err := tasks.Noop.Call(ctx, benchPayload)
				return err
			}
		}},
	}
	for _, load := range loads {
		for _, durability := range []string{"memory", "relaxed", "sync"} {
			b.Run(load.name+"/"+durability, func(b *testing.B) {
				args := []string{"--log-level", "warn"}
				if durability != "memory" {
					args = append(args, "--durability", durability, "--data-dir", filepath.Join(b.TempDir(), "data"))
				}
				c := newCluster(b, args...)
				one := load.new(b, c)
				syncs, syncTime, begun := c.syncs()
				var left atomic.Int64
				left.Store(int64(b.N))
				b.ResetTimer()
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							if err := one(); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				laterSyncs, laterTime, now := c.syncs()
				b.ReportMetric(float64(b.N*load.tasks)/b.Elapsed().Seconds(), "tasks/s")
				if laterSyncs > syncs {
					b.ReportMetric(100*(laterTime-syncTime)/now.Sub(begun).Seconds(), "%fsync")
					b.ReportMetric(float64(b.N*load.tasks)/(laterSyncs-syncs), "tasks/fsync")
				}
			})
		}
	}
}

// syncs returns how many fsyncs the controller's store has made by now, and how many seconds they
// took.
func (c *cluster) syncs() (count, seconds float64, now time.Time) {
	c.t.Helper()
	for _, m := range c.families(c.url())["fray_store_sync_seconds"].GetMetric() {
		count, seconds = float64(m.GetHistogram().GetSampleCount()), m.GetHistogram().GetSampleSum()
	}
	return count, seconds, time.Now()
}

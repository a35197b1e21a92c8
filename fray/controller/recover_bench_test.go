package controller_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/store"
	storev1 "github.com/frayrpc/fray/gen/fray/store/v1"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// shelf is a durable store whose records lie in order already, so that reading them costs nothing.
type shelf struct {
	store.Store
	specs, states [][]byte
}

func (*shelf) Durability() store.Durability { return store.Sync }

func (s *shelf) Scan(kind store.RecordKind, from uint64, f func(num uint64, value []byte) error) error {
	var records [][]byte
	switch kind {
	case store.Spec:
		records = s.specs
	case store.State:
		records = s.states
	default:
		return s.Store.Scan(kind, from, f)
	}
	for i, r := range records {
		if err := f(uint64(i)+1, r); err != nil {
			return err
		}
	}
	return nil
}

// recovered is when a controller says so.
type recovered struct {
	slog.Handler
	f func()
}

func (r recovered) Enabled(context.Context, slog.Level) bool { return true }

func (r recovered) Handle(_ context.Context, rec slog.Record) error {
	if rec.Message == "controller started" {
		r.f()
	}
	return nil
}

// BenchmarkRecover is the start of a controller whose store has a million tasks with payloads of
// 256 bytes, all of them queued or all of them ended, and what that leaves in its heap for each.
func BenchmarkRecover(b *testing.B) {
	const tasks = 1_000_000
	encode := func(m proto.Message) []byte {
		r, err := proto.Marshal(m)
		if err != nil {
			b.Fatal(err)
		}
		return r
	}
	specs := func(yield func([]byte) bool) {
		payload := &frayv1.Payload{Encoding: "json", Data: make([]byte, 256)}
		for i := range tasks {
			spec := &frayv1.TaskSpec{TaskId: fmt.Sprintf("01JZ%022d", i), Function: "f", Payload: payload}
			if !yield(encode(&storev1.TaskRecord{Spec: spec, JobId: "01JZJOB", SubmittedUnixNs: int64(i)})) {
				return
			}
		}
	}
	ends := func(yield func([]byte) bool) {
		for i := range tasks {
			if !yield(encode(&storev1.TaskStateRecord{
				Status: frayv1.TaskStatus_TASK_STATUS_COMPLETED, Started: true, AttemptCount: 1, WorkerId: fmt.Sprintf("worker-%d", i%100),
				LeasedUnixNs: int64(i) << 20, LastLeaseToken: uint64(1<<40 + i), LeaseToken: uint64(1<<40 + i),
				EndedUnixNs: int64(i) << 20, EndNumber: uint64(i) + 1, ResultBytes: 100,
			})) {
				return
			}
		}
	}
	for _, c := range []struct {
		name   string
		states iter.Seq[[]byte]
	}{{"queued", func(func([]byte) bool) {}}, {"ended", ends}} {
		b.Run(c.name, func(b *testing.B) {
			s := &shelf{Store: store.NewMemory()}
			for r := range specs {
				s.specs = append(s.specs, r)
			}
			for r := range c.states {
				s.states = append(s.states, r)
			}
			var heap uint64
			b.ReportAllocs()
			for b.Loop() {
				before := heapInUse()
				ctx, cancel := context.WithCancel(context.Background())
				ctl, err := controller.New(controller.Config{
					Store: s, Core: core.Config{Retention: 1 << 62},
					Logger: slog.New(recovered{slog.DiscardHandler, func() {
						b.StopTimer()
						heap = heapInUse() - before
						cancel()
					}}),
				})
				if err != nil {
					b.Fatal(err)
				}
				if err := ctl.Run(ctx); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/recovery")
			b.ReportMetric(float64(heap)/tasks, "B/task")
		})
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

package worker_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// source is a controller that never runs out of tasks, until they have all ended.
type source struct {
	*controller

	spec       *frayv1.TaskSpec
	left, open atomic.Int64
	leases     uint64
	done       chan struct{}
}

func (s *source) LeaseTasks(ctx context.Context, req *frayv1.LeaseTasksRequest) (*frayv1.LeaseTasksResponse, error) {
	n := min(int64(req.GetMaxTasks()), s.left.Load())
	if n == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.left.Add(-n)
	res := &frayv1.LeaseTasksResponse{Tasks: make([]*frayv1.LeasedTask, n)}
	for i := range res.Tasks {
		s.leases++
		res.Tasks[i] = &frayv1.LeasedTask{Attempt: &frayv1.Attempt{TaskId: s.spec.GetTaskId(), Number: 1, LeaseToken: s.leases}, Spec: s.spec, JobId: "job"}
	}
	return res, nil
}

func (s *source) ReportTasks(_ context.Context, req *frayv1.ReportTasksRequest) (*frayv1.ReportTasksResponse, error) {
	res := &frayv1.ReportTasksResponse{Verdicts: make([]frayv1.ReportVerdict, len(req.GetReports()))}
	for i, r := range req.GetReports() {
		res.Verdicts[i] = frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED
		if r.GetOutcome() != frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STARTED && s.open.Add(-1) == 0 {
			close(s.done)
		}
	}
	return res, nil
}

// BenchmarkNoop is what a task costs at a worker, with its share of the calls and of their encoding
// at both ends.
func BenchmarkNoop(b *testing.B) {
	for _, slots := range []int{1, 8} {
		b.Run(fmt.Sprintf("slots=%d", slots), func(b *testing.B) {
			s := &source{
				controller: newController(), done: make(chan struct{}),
				spec: &frayv1.TaskSpec{TaskId: "01K3ZQ8QJ5X7R9V1T3W5Y7A9C1", Function: "noop", Payload: &frayv1.Payload{Encoding: "raw", Data: make([]byte, 64)}},
			}
			s.left.Store(int64(b.N))
			s.open.Store(int64(b.N))
			mux := http.NewServeMux()
			mux.Handle(frayv1connect.NewControllerServiceHandler(s))
			s.handler = mux
			w, err := worker.New(worker.Config{
				ControllerURL: "http://controller", ID: "w1", Slots: slots, HTTPClient: s.controller,
				Functions: []fray.Function{function("noop", func(context.Context) {})},
			})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			b.ReportAllocs()
			b.ResetTimer()
			go func() { ended <- w.Run(ctx) }()
			<-s.done
			b.StopTimer()
			cancel()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
		})
	}
}

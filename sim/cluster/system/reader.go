package system

import (
	"context"
	"fmt"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
)

const (
	// readEvery is how often an operator looks at a cluster whose disk is full.
	readEvery = 500 * time.Millisecond
	// readWithin is how soon it must be answered.
	readWithin = time.Second
)

// Look implements engine.System: it has an operator look at the cluster, for so long, in all the
// ways there are. What it is told goes into the history, so that the oracles hold the cluster to
// it: what a read has told must be so after a crash, too.
func (s *System) Look(_ string, lasts time.Duration) {
	s.readers++
	s.run.Backend().Client(fmt.Sprintf("reader-%d", s.readers), func(ctx context.Context, m engine.Machine) error {
		client := frayv1connect.NewControllerServiceClient(s.caller(m), s.firstURL(), s.shows(ReaderName), s.observed(m))
		random := m.Rand("reads")
		for until := s.run.Elapsed() + lasts; s.run.Elapsed() < until; {
			task := ""
			m.Do(func() {
				if known := s.tally.acknowledgedTasks(); len(known) > 0 {
					task = known[random.IntN(len(known))]
				}
			})
			askTask := asking(client.GetTask, &frayv1.GetTaskRequest{TaskId: task})
			if task == "" {
				askTask = func(context.Context) error { return nil }
			}
			for _, ask := range []func(context.Context) error{
				asking(client.ListTasks, &frayv1.ListTasksRequest{PageSize: 1000}),
				asking(client.ListWorkers, &frayv1.ListWorkersRequest{}),
				asking(client.GetClusterInfo, &frayv1.GetClusterInfoRequest{}),
				askTask,
			} {
				bounded, cancel := context.WithTimeout(ctx, readWithin)
				err := ask(bounded)
				cancel()
				if ctx.Err() != nil {
					return nil //nolint:nilerr // The run is over.
				}
				m.Do(func() {
					s.tally.change(func(f *cluster.Facts) {
						if err == nil {
							f.Reads.Answered++
						} else {
							f.Reads.Failed++
						}
					})
				})
			}
			if sleep.For(ctx, readEvery+time.Duration(random.Int64N(int64(engine.Jitter)))) != nil {
				return nil //nolint:nilerr // The run is over.
			}
		}
		return nil
	})
}

// asking returns what makes a call, whatever is answered.
func asking[Req, Res any](call func(context.Context, *Req) (*Res, error), req *Req) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := call(ctx, req)
		return err
	}
}

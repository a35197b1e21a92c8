package controller_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray/clock"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// inBubble runs a controller in a bubble of synctest until the test is over.
func inBubble(t *testing.T, cfg controller.Config) *cluster {
	t.Helper()
	c, err := controller.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	<-c.Ready()
	_, handler := c.Handler()
	return &cluster{ControllerServiceClient: frayv1connect.NewControllerServiceClient(&http.Client{Transport: direct{handler}}, "http://controller"), t: t}
}

// However the wall clock is set, a session ends when its time has passed, and the controller is
// idle until then.
func TestWallClockIsSet(t *testing.T) {
	for name, by := range map[string]time.Duration{"back": -time.Hour, "ahead": time.Hour, "a little back": -2 * time.Second, "a little ahead": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const most = 10_000
				var set, asked atomic.Int64
				begun := time.Now()
				c := inBubble(t, controller.Config{Store: store.NewMemory(), Clock: clock.Clock{
					Wall: func() time.Time { return time.Now().Add(time.Duration(set.Load())) },
					Monotonic: func() time.Duration {
						if asked.Add(1) > most {
							panic("the controller spins")
						}
						return time.Since(begun)
					},
				}})
				c.submit("a")
				w := c.worker("w")
				w.lease(1)
				set.Store(int64(by))
				asked.Store(0)
				time.Sleep(14 * time.Second)
				if got := c.status("a").GetStatus(); got != frayv1.TaskStatus_TASK_STATUS_LEASED {
					t.Errorf("before its worker's session is over the task is %v", got)
				}
				time.Sleep(1500 * time.Millisecond)
				synctest.Wait()
				if got := asked.Load(); got > 200 {
					t.Errorf("an idle controller asked for the time %d times in 15 s", got)
				}
				if got := c.status("a").GetStatus(); got != frayv1.TaskStatus_TASK_STATUS_PENDING {
					t.Errorf("when its worker's session is over the task is %v", got)
				}
			})
		})
	}
}

// stuckStore does not commit while it is stuck.
type stuckStore struct {
	store.Store
	mu    sync.Mutex
	stuck chan struct{}
}

func (s *stuckStore) Commit(b *store.Batch) error {
	s.mu.Lock()
	stuck := s.stuck
	s.mu.Unlock()
	if stuck != nil && len(b.Ops()) > 0 {
		<-stuck
	}
	return s.Store.Commit(b)
}

// Reports that wait for the disk count, though every deadline has passed when there is room again,
// and those that come then, too.
func TestDiskIsFullForLongerThanAttemptsMayTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stuckStore{Store: store.NewMemory()}
		c := inBubble(t, controller.Config{Store: s})
		const tasks = 60 // More than the controller decides while a commit waits.
		ids := make([]string, tasks)
		req := &frayv1.SubmitTasksRequest{JobId: "job"}
		for i := range ids {
			ids[i] = fmt.Sprint("t", i)
			task := spec(ids[i])
			task.ExecutionTimeoutMs = 2000
			req.Tasks = append(req.Tasks, task)
		}
		if _, err := c.SubmitTasks(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		w := c.worker("w")
		leased := w.lease(tasks)
		started := make([]*frayv1.TaskReport, len(leased))
		for i, l := range leased {
			started[i] = &frayv1.TaskReport{Attempt: l.GetAttempt(), Outcome: frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STARTED}
		}
		w.report(started...)
		room := make(chan struct{})
		s.mu.Lock()
		s.stuck = room
		s.mu.Unlock()
		var reports sync.WaitGroup
		for _, l := range leased[:tasks-1] {
			reports.Go(func() { w.report(succeeded(l, "value")) })
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(16 * time.Second)
		s.mu.Lock()
		s.stuck = nil
		s.mu.Unlock()
		close(room)
		reports.Wait()
		time.Sleep(5 * time.Second)
		w.report(succeeded(leased[tasks-1], "value"))
		for _, id := range ids {
			if got := c.status(id); got.GetStatus() != frayv1.TaskStatus_TASK_STATUS_COMPLETED {
				t.Errorf("task %s is %v: %v", id, got.GetStatus(), got.GetFailureReason())
			}
		}
	})
}

package controller_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// fullStore is a store without room, while it is full, whose commits wait for it.
type fullStore struct {
	store.Store
	mu        sync.Mutex
	room      chan struct{} // closed while there is some
	abandoned chan struct{}
	gaveUp    sync.Once
}

func newFullStore() *fullStore {
	s := &fullStore{Store: store.NewMemory(), room: make(chan struct{}), abandoned: make(chan struct{})}
	close(s.room)
	return s
}

func (s *fullStore) fill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = make(chan struct{})
}

func (s *fullStore) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.room)
}

func (s *fullStore) Commit(b *store.Batch) error {
	s.mu.Lock()
	room := s.room
	s.mu.Unlock()
	select {
	case <-room:
		return s.Store.Commit(b)
	case <-s.abandoned:
		return store.ErrFull
	}
}

func (s *fullStore) Abandon() { s.gaveUp.Do(func() { close(s.abandoned) }) }

// stuck is a controller whose store is full, with a worker that holds the task "held" and has
// polled, and the task "open".
type stuck struct {
	*testing.T
	frayv1connect.ControllerServiceClient
	store   *fullStore
	session uint64
	held    *frayv1.LeasedTask
	end     func() error
	calls   sync.WaitGroup
}

func newStuck(t *testing.T) *stuck {
	t.Helper()
	s := &stuck{T: t, store: newFullStore()}
	c, err := controller.New(controller.Config{Store: s.store})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	<-c.Ready()
	s.end = func() error {
		cancel()
		err := <-ended
		s.calls.Wait()
		return err
	}
	_, handler := c.Handler()
	s.ControllerServiceClient = frayv1connect.NewControllerServiceClient(&http.Client{Transport: direct{handler}}, "http://controller")
	r, err := s.RegisterWorker(t.Context(), &frayv1.RegisterWorkerRequest{WorkerId: "w", RegistrationId: "r", Slots: 1, Functions: []string{"f"}})
	if err != nil {
		t.Fatal(err)
	}
	s.session = r.GetSessionToken()
	for _, id := range []string{"held", "open"} {
		s.submit(id)
	}
	leased, err := s.LeaseTasks(t.Context(), &frayv1.LeaseTasksRequest{SessionToken: s.session, PollSeq: 1, FreeSlots: 1, MaxTasks: 1})
	if err != nil || len(leased.GetTasks()) != 1 {
		t.Fatalf("lease: %v, %v", leased, err)
	}
	s.held = leased.GetTasks()[0]
	synctest.Wait()
	s.store.fill()
	return s
}

func (s *stuck) submit(id string) {
	_, err := s.SubmitTask(s.Context(), &frayv1.SubmitTaskRequest{JobId: "j", Task: spec(id)})
	if err != nil && connect.CodeOf(err) != connect.CodeUnavailable {
		s.Error(err)
	}
}

// change has what is known change in ways that cannot be committed.
func (s *stuck) change() {
	s.calls.Go(func() {
		_, _ = s.ReportTasks(s.Context(), &frayv1.ReportTasksRequest{SessionToken: s.session, Reports: []*frayv1.TaskReport{succeeded(s.held, "x")}})
	})
	synctest.Wait()
	s.calls.Go(func() { _, _ = s.CancelTasks(s.Context(), &frayv1.CancelTasksRequest{TaskIds: []string{"open"}}) })
	synctest.Wait()
	for n := range 100 { // More than there are steps.
		s.calls.Go(func() { s.submit(fmt.Sprint("new", n)) })
		synctest.Wait()
	}
}

// at once has what is asked answered without time passing.
func atOnce[Req, Res any](s *stuck, call func(context.Context, *Req) (*Res, error), req *Req) *Res {
	s.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	res, err := call(ctx, req)
	if took := time.Since(began); err != nil || took > 0 {
		s.Errorf("%T was answered after %v: %v", req, took, err)
	}
	return res
}

func TestWhoOnlyAsksDoesNotWaitForCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStuck(t)
		s.change()
		for _, id := range []string{"held", "open"} {
			if r := atOnce(s, s.GetTask, &frayv1.GetTaskRequest{TaskId: id}); r.GetTask().GetStatus() > frayv1.TaskStatus_TASK_STATUS_RUNNING {
				t.Errorf("task %q is told to be %v, which is not durable", id, r.GetTask().GetStatus())
			}
		}
		if r := atOnce(s, s.GetTaskResult, &frayv1.GetTaskResultRequest{TaskId: "held"}); r.GetResult().GetValue() != nil {
			t.Error("a value was told that is not durable")
		}
		_, err := s.GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: "new1"})
		wantCode(t, err, connect.CodeNotFound)
		if r := atOnce(s, s.ListTasks, &frayv1.ListTasksRequest{}); len(r.GetTasks()) != 2 {
			t.Errorf("listed %v, want the two tasks that are durable", r.GetTasks())
		}
		if r := atOnce(s, s.ListWorkers, &frayv1.ListWorkersRequest{}); len(r.GetWorkers()) != 1 {
			t.Errorf("workers %v", r.GetWorkers())
		}
		counts := atOnce(s, s.GetClusterInfo, &frayv1.GetClusterInfoRequest{}).GetTaskCounts()
		if counts["PENDING"] != 1 || counts["LEASED"]+counts["RUNNING"] != 1 || counts["COMPLETED"]+counts["CANCELLED"] != 0 {
			t.Errorf("counts %v", counts)
		}
		if r := atOnce(s, s.WatchJob, &frayv1.WatchJobRequest{JobId: "j"}); len(r.GetResults()) != 0 || r.GetOpenCount() != 2 {
			t.Errorf("watch told %v", r)
		}
		s.store.free()
		s.calls.Wait()
		if r := atOnce(s, s.WatchJob, &frayv1.WatchJobRequest{JobId: "j"}); len(r.GetResults()) != 2 || r.GetOpenCount() != 100 {
			t.Errorf("when there was room again, watch told %v", r)
		}
		if err := s.end(); err != nil {
			t.Error(err)
		}
	})
}

// Workers and clients that wait are answered in time, and sessions last, however long the disk is
// full.
func TestWaitsEndWhileCommitsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStuck(t)
		s.change()
		const wait = 4 * time.Second
		var results sync.WaitGroup
		for _, id := range []string{"held", "open"} {
			results.Go(func() {
				r, err := s.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: id, MaxWaitMs: time.Hour.Milliseconds()})
				for err == nil && r.GetResult().GetTask().GetFinishedUnixMs() == 0 {
					r, err = s.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: id, MaxWaitMs: time.Hour.Milliseconds()})
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		for n := range uint64(10) {
			began := time.Now()
			if _, err := s.Heartbeat(t.Context(), &frayv1.HeartbeatRequest{
				SessionToken: s.session, HeartbeatSeq: n + 1, ReceivedPollSeq: n + 1, MaxWaitMs: wait.Milliseconds(),
			}); err != nil {
				t.Fatalf("heartbeat %d: %v", n, err)
			}
			r, err := s.LeaseTasks(t.Context(), &frayv1.LeaseTasksRequest{
				SessionToken: s.session, PollSeq: n + 2, ReceivedPollSeq: n + 1, FreeSlots: 1, MaxTasks: 1, MaxWaitMs: wait.Milliseconds(),
			})
			if err != nil || len(r.GetTasks()) > 0 {
				t.Fatalf("poll %d: %v, %v", n, r, err)
			}
			watched, err := s.WatchJob(t.Context(), &frayv1.WatchJobRequest{JobId: "j", MaxWaitMs: wait.Milliseconds()})
			if err != nil || len(watched.GetResults()) > 0 {
				t.Fatalf("watch %d: %v, %v", n, watched, err)
			}
			if took := time.Since(began).Round(time.Second); took != 3*wait {
				t.Errorf("three calls that may wait %v each took %v", wait, took)
			}
		}
		s.store.free()
		s.calls.Wait()
		results.Wait()
		if err := s.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestShutdownNeedsNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStuck(t)
		s.change()
		began := time.Now()
		err := s.end()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the controller ended after %v", took)
		}
		if !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), "steps were not committed") {
			t.Errorf("the controller ended with %v", err)
		}
	})
}

// A report that is sent again and again while the disk is full is held once.
func TestCallsThatWereGivenUpAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStuck(t)
		s.change()
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := s.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: "j", Task: spec("given-up")})
			wantCode(t, err, connect.CodeDeadlineExceeded)
			cancel()
		}
		s.store.free()
		s.calls.Wait()
		_, err := s.GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: "given-up"})
		wantCode(t, err, connect.CodeNotFound)
		if err := s.end(); err != nil {
			t.Error(err)
		}
	})
}

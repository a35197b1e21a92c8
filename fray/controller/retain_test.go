package controller_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// beforeRead is a store that does something between the scheduler's answer and the first read of a
// result.
type beforeRead struct {
	store.Store
	do atomic.Pointer[func()]
}

func (s *beforeRead) Get(k store.Key) ([]byte, error) {
	if do := s.do.Load(); k.Kind == store.Result && do != nil && s.do.CompareAndSwap(do, nil) {
		(*do)()
	}
	return s.Store.Get(k)
}

// run has a worker execute a task to its end.
func (c *cluster) run(w *worker, id string) {
	c.submit(id)
	w.report(succeeded(w.lease(1)[0], id))
}

func TestResultIsNotForgottenWhileItIsRead(t *testing.T) {
	t.Parallel()
	reads := map[string]func(c *cluster) (*frayv1.TaskResult, error){
		"GetTaskResult": func(c *cluster) (*frayv1.TaskResult, error) {
			r, err := c.GetTaskResult(c.t.Context(), &frayv1.GetTaskResultRequest{TaskId: "a"})
			return r.GetResult(), err
		},
		"GetTaskResults": func(c *cluster) (*frayv1.TaskResult, error) {
			r, err := c.GetTaskResults(c.t.Context(), &frayv1.GetTaskResultsRequest{TaskIds: []string{"a"}})
			return append(r.GetResults(), nil)[0], err
		},
		"WatchJob": func(c *cluster) (*frayv1.TaskResult, error) {
			r, err := c.WatchJob(c.t.Context(), &frayv1.WatchJobRequest{JobId: "job"})
			return append(r.GetResults(), nil)[0], err
		},
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &beforeRead{Store: store.NewMemory()}
			c := start(t, func(cfg *controller.Config) { cfg.Store, cfg.Core = s, core.Config{MaxRetained: 1} })
			w := c.worker("w1")
			c.run(w, "a")
			others := func() { // Each of which takes the place of the one before.
				c.run(w, "b")
				c.run(w, "c")
			}
			s.do.Store(&others)
			r, err := read(c)
			if err != nil || string(r.GetValue().GetData()) != "a" {
				t.Errorf("result %v, %v", r, err)
			}
		})
	}
}

func TestForgottenResultIsUnknown(t *testing.T) {
	t.Parallel()
	s := &beforeRead{Store: store.NewMemory()}
	c := start(t, func(cfg *controller.Config) { cfg.Store = s })
	w := c.worker("w1")
	c.run(w, "a")
	lose := func() { // As no scheduler does. A store may.
		var b store.Batch
		b.Delete(store.Key{Kind: store.Result, Num: 1})
		if err := s.Commit(&b); err != nil {
			t.Error(err)
		}
	}
	s.do.Store(&lose)
	_, err := c.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: "a"})
	wantCode(t, err, connect.CodeNotFound)
	if reason, _ := wire.Info(err); reason != wire.ReasonUnknownTask {
		t.Errorf("reason %q", reason)
	}
	many, err := c.GetTaskResults(t.Context(), &frayv1.GetTaskResultsRequest{TaskIds: []string{"a"}})
	if err != nil || len(many.GetResults()) > 0 || fmt.Sprint(many.GetUnknownTaskIds()) != "[a]" {
		t.Errorf("results %v, %v", many, err)
	}
	watched, err := c.WatchJob(t.Context(), &frayv1.WatchJobRequest{JobId: "job"})
	if err != nil || len(watched.GetResults()) > 0 || watched.GetMissedCount() != 1 || watched.GetNextCursor() != 1 {
		t.Errorf("watch %v, %v", watched, err)
	}
}

func TestSuccessWithoutValueIsToldApart(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	w := c.worker("w1")
	c.submit("a")
	report := succeeded(w.lease(1)[0], "")
	report.Value = nil
	w.report(report)
	r, err := c.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: "a"})
	if value := r.GetResult().GetValue(); err != nil || value == nil || value.GetEncoding() != "" || len(value.GetData()) > 0 {
		t.Errorf("value %v, %v: want an empty one", value, err)
	}
	watched, err := c.WatchJob(t.Context(), &frayv1.WatchJobRequest{JobId: "job"})
	if err != nil || watched.GetResults()[0].GetValue() == nil {
		t.Errorf("watched %v, %v: want an empty value", watched, err)
	}
}

// A watcher that is far behind what is retained is told of everything all the same, and nothing
// else is.
func TestWatcherIsToldOfAll(t *testing.T) {
	t.Parallel()
	const retained, tasks = 5, 200
	c := start(t, func(cfg *controller.Config) { cfg.Core.MaxRetained = retained })
	w := c.worker("w1")
	submitted, err := c.SubmitTasks(t.Context(), &frayv1.SubmitTasksRequest{JobId: "job", WatcherId: "far away", Tasks: []*frayv1.TaskSpec{spec("t0")}})
	if err != nil || submitted.GetWatchCursor() != 0 {
		t.Fatalf("submitted %v, %v", submitted, err)
	}
	w.report(succeeded(w.lease(1)[0], "t0"))
	for i := 1; i < tasks; i++ {
		c.run(w, fmt.Sprint("t", i))
	}
	told, cursor := 0, uint64(0)
	for cursor < tasks {
		r, err := c.WatchJob(t.Context(), &frayv1.WatchJobRequest{JobId: "job", WatcherId: "far away", Cursor: cursor, MaxResults: 7})
		if err != nil || r.GetMissedCount() > 0 {
			t.Fatalf("watch from %d: %v, %v", cursor, r, err)
		}
		for _, x := range r.GetResults() {
			if id := fmt.Sprint("t", told); x.GetTask().GetTaskId() != id || string(x.GetValue().GetData()) != id {
				t.Fatalf("told of %v, want %s", x, id)
			}
			told++
		}
		cursor = r.GetNextCursor()
	}
	if _, err := c.WatchJob(t.Context(), &frayv1.WatchJobRequest{JobId: "job", WatcherId: "far away", Cursor: cursor}); err != nil {
		t.Fatal(err)
	}
	list, err := c.ListTasks(t.Context(), &frayv1.ListTasksRequest{})
	if err != nil || len(list.GetTasks()) != retained {
		t.Errorf("%d tasks are left, %v; want %d", len(list.GetTasks()), err, retained)
	}
}

// A job whose results fill the controller is refused until its watcher has them; another job is
// not.
func TestSubmissionWaitsForWatcher(t *testing.T) {
	t.Parallel()
	c := start(t, func(cfg *controller.Config) { cfg.Core.MaxRetainedBytes = 4 << 10 })
	w := c.worker("w1")
	offer := func(job, id string) *frayv1.SubmitTasksResponse {
		r, err := c.SubmitTasks(t.Context(), &frayv1.SubmitTasksRequest{JobId: job, WatcherId: "slow", Tasks: []*frayv1.TaskSpec{spec(id)}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	offer("job", "a")
	w.report(succeeded(w.lease(1)[0], string(make([]byte, 5<<10))))
	refused := offer("job", "b")
	if f := refused.GetFailures(); len(f) != 1 || f[0].GetCode() != "resource_exhausted" || refused.GetRetryAfterMs() == 0 {
		t.Fatalf("offered %v, want a refusal for now", refused)
	}
	if r := offer("another", "c"); r.GetCreatedCount() != 1 {
		t.Errorf("another job is told %v", r)
	}
	for _, cursor := range []uint64{0, 1} {
		if _, err := c.WatchJob(t.Context(), &frayv1.WatchJobRequest{JobId: "job", WatcherId: "slow", Cursor: cursor}); err != nil {
			t.Fatal(err)
		}
	}
	if r := offer("job", "b"); r.GetCreatedCount() != 1 {
		t.Errorf("offered again: %v", r)
	}
}

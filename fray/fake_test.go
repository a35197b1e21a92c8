package fray_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// fakeController keeps tasks and tells of their ends, and does what its test wants otherwise. It
// runs nothing.
type fakeController struct {
	frayv1connect.UnimplementedControllerServiceHandler

	// Hooks, called without the lock: before a call has an effect, and after it had one. Each may
	// be nil, and its error is the answer.
	beforeSubmit, afterSubmit func(n int, req *frayv1.SubmitTasksRequest) error
	beforeWatch               func(n int, req *frayv1.WatchJobRequest) error
	// beforeResults and beforeResult are for GetTaskResults and GetTaskResult.
	beforeResults func(ctx context.Context, n int, req *frayv1.GetTaskResultsRequest) error
	beforeResult  func(ctx context.Context, id string) error
	// beforeLook is for GetTask, and look answers it in place of the task as it stands.
	beforeLook func() error
	look       func(*frayv1.Task) *frayv1.Task
	// refuse says why a task is refused; "": it is not.
	refuse func(spec *frayv1.TaskSpec) connect.Code
	// reason is why, for programs.
	reason string
	// taken is told of each task that is created.
	taken func(spec *frayv1.TaskSpec)
	// actors are what ListActors answers with, and existing is whose life is there in the place of others.
	actors   []*frayv1.Actor
	existing string
	// pages are what ListSchedules answers with; nil: it is of a release without.
	pages [][]*frayv1.Schedule
	// omit leaves values out of WatchJob.
	omit bool
	// echo completes each task at once with its input.
	echo bool
	// earlier is a controller that does not wait in SubmitTask, as those of before did not.
	earlier bool

	mu       sync.Mutex
	tasks    map[string]*frayv1.TaskResult
	specs    map[string]*frayv1.TaskSpec
	log      []string
	watchers map[string]*fakeWatcher
	changed  chan struct{}
	alone    []*frayv1.SubmitTaskRequest
	submits  []int // tasks of each SubmitTasks, and of each SubmitTask
	watches  int
	results  int // WatchJob's, in all
	missing  int // the first entries of the log that are past their retention
	batches  int // GetTaskResults
	lookups  int // GetTaskResult
	looks    int // GetTask
	canceled []string
	cascades int // calls of CancelTasks with dependants
	listed   int // ListSchedules
}

// fakeWatcher follows the log.
type fakeWatcher struct {
	needs uint64 // the cursor from which on it has not been told
	heard time.Time
}

// watcherTTL is how long a watcher is known that is silent.
const watcherTTL = 30 * time.Second

func newFake() *fakeController {
	f := &fakeController{}
	f.forget()
	return f
}

// forget is a restart without a durable store.
func (f *fakeController) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.missing = 0
	f.tasks, f.specs, f.log = map[string]*frayv1.TaskResult{}, map[string]*frayv1.TaskSpec{}, nil
	f.watchers = map[string]*fakeWatcher{}
	f.signal()
}

// signal wakes the polls that wait, with f.mu held.
func (f *fakeController) signal() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// complete ends tasks with their inputs.
func (f *fakeController) complete(ids ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		f.end(id, func(r *frayv1.TaskResult) {
			r.Task.Status = frayv1.TaskStatus_TASK_STATUS_COMPLETED
			r.Value = f.specs[id].GetPayload()
		})
	}
}

// end ends a task, with f.mu held.
func (f *fakeController) end(id string, how func(*frayv1.TaskResult)) {
	r := f.tasks[id]
	if r == nil {
		panic("no task " + id)
	}
	how(r)
	f.log = append(f.log, id)
	f.signal()
}

func (f *fakeController) counts() (submits []int, watches, lookups int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]int(nil), f.submits...), f.watches, f.lookups
}

func (f *fakeController) SubmitTasks(_ context.Context, req *frayv1.SubmitTasksRequest) (*frayv1.SubmitTasksResponse, error) {
	f.mu.Lock()
	f.submits = append(f.submits, len(req.GetTasks()))
	n := len(f.submits)
	f.mu.Unlock()
	if f.beforeSubmit != nil {
		if err := f.beforeSubmit(n, req); err != nil {
			return nil, err
		}
	}
	res := f.admit(req)
	if f.afterSubmit != nil {
		if err := f.afterSubmit(n, req); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// SubmitTask is SubmitTasks of one task, unless it waits for its end.
func (f *fakeController) SubmitTask(ctx context.Context, req *frayv1.SubmitTaskRequest) (*frayv1.SubmitTaskResponse, error) {
	f.mu.Lock()
	f.alone = append(f.alone, req)
	if w := f.watchers[req.GetWatcherId()]; w != nil && req.GetConfirmedCursor() <= uint64(len(f.log)) {
		w.needs = max(w.needs, req.GetConfirmedCursor())
	}
	f.mu.Unlock()
	many, err := f.SubmitTasks(ctx, &frayv1.SubmitTasksRequest{
		JobId: req.GetJobId(), WatcherId: req.GetWatcherId(), Tasks: []*frayv1.TaskSpec{req.GetTask()},
	})
	if err != nil {
		return nil, err
	}
	if failures := many.GetFailures(); len(failures) > 0 {
		var code connect.Code
		if err := code.UnmarshalText([]byte(failures[0].GetCode())); err != nil {
			return nil, err
		}
		if f.reason != "" {
			return nil, wire.Error(f.reason, time.Second, "%s", failures[0].GetMessage())
		}
		return nil, connect.NewError(code, errors.New(failures[0].GetMessage()))
	}
	res := &frayv1.SubmitTaskResponse{Created: many.GetCreatedCount() > 0, WatchCursor: many.GetWatchCursor()}
	if f.existing != "" {
		res.Created, res.Task = false, &frayv1.Task{TaskId: f.existing}
		return res, nil
	}
	if f.earlier {
		return res, nil
	}
	deadline := time.NewTimer(time.Duration(req.GetMaxWaitMs()) * time.Millisecond)
	defer deadline.Stop()
	for {
		f.mu.Lock()
		r := f.tasks[req.GetTask().GetTaskId()]
		res.Task = proto.CloneOf(r.GetTask())
		at := slices.Index(f.log, req.GetTask().GetTaskId())
		if f.changed == nil {
			f.changed = make(chan struct{})
		}
		changed := f.changed
		f.mu.Unlock()
		if at >= 0 {
			res.EndCursor = uint64(at + 1)
			res.Result = &frayv1.TaskResult{Value: r.GetValue(), Error: r.GetError()}
			if f.omit && r.GetValue() != nil {
				res.Result = &frayv1.TaskResult{ValueOmitted: true}
			}
			return res, nil
		}
		select {
		case <-changed:
		case <-deadline.C:
			return res, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *fakeController) admit(req *frayv1.SubmitTasksRequest) *frayv1.SubmitTasksResponse {
	f.mu.Lock()
	defer f.mu.Unlock()
	res := &frayv1.SubmitTasksResponse{}
	if id := req.GetWatcherId(); id != "" {
		w := f.watchers[id]
		if w == nil || time.Since(w.heard) > watcherTTL {
			w = &fakeWatcher{needs: uint64(len(f.log))}
			f.watchers[id] = w
		}
		w.heard, res.WatchCursor = time.Now(), w.needs
	}
	for i, spec := range req.GetTasks() {
		id := spec.GetTaskId()
		if f.refuse != nil {
			if code := f.refuse(spec); code != 0 {
				res.Failures = append(res.Failures, &frayv1.SubmitFailure{Index: uint32(i), Code: code.String(), Message: "refused " + id, Reason: f.reason})
				res.RetryAfterMs = time.Second.Milliseconds()
				continue
			}
		}
		if f.tasks[id] != nil {
			res.ExistingCount++
			continue
		}
		res.CreatedCount++
		if f.taken != nil {
			f.taken(spec)
		}
		f.specs[id] = spec
		f.tasks[id] = &frayv1.TaskResult{Task: &frayv1.Task{
			TaskId: id, JobId: req.GetJobId(), Function: spec.GetFunction(), WorkerId: "w1", AttemptNumber: 1,
			MaxAttempts: spec.GetRetryPolicy().GetMaxRetries() + 1, Status: frayv1.TaskStatus_TASK_STATUS_RUNNING,
		}}
		if f.echo {
			f.end(id, func(r *frayv1.TaskResult) {
				r.Task.Status = frayv1.TaskStatus_TASK_STATUS_COMPLETED
				r.Value = spec.GetPayload()
			})
		}
	}
	return res
}

func (f *fakeController) WatchJob(ctx context.Context, req *frayv1.WatchJobRequest) (*frayv1.WatchJobResponse, error) {
	f.mu.Lock()
	f.watches++
	n := f.watches
	f.mu.Unlock()
	if f.beforeWatch != nil {
		if err := f.beforeWatch(n, req); err != nil {
			return nil, err
		}
	}
	deadline := time.NewTimer(time.Duration(req.GetMaxWaitMs()) * time.Millisecond)
	defer deadline.Stop()
	for last := false; ; {
		f.mu.Lock()
		if f.changed == nil { // not before, so that it is of the bubble of the goroutine that waits
			f.changed = make(chan struct{})
		}
		changed := f.changed
		if req.GetCursor() > uint64(len(f.log)) {
			f.mu.Unlock()
			return nil, wire.Error(wire.ReasonCursorAhead, 0, "cursor %d is ahead", req.GetCursor())
		}
		f.watchers[req.GetWatcherId()] = &fakeWatcher{needs: req.GetCursor(), heard: time.Now()}
		if req.NeededCursor != nil {
			f.watchers[req.GetWatcherId()].needs = req.GetNeededCursor()
		}
		cursor := max(req.GetCursor(), uint64(f.missing))
		ended := f.log[cursor:]
		if len(ended) > 0 || cursor > req.GetCursor() || last || req.GetMaxWaitMs() == 0 {
			res := f.page(req, cursor, ended)
			f.mu.Unlock()
			return res, nil
		}
		f.mu.Unlock()
		select {
		case <-changed:
		case <-deadline.C:
			last = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *fakeController) page(req *frayv1.WatchJobRequest, cursor uint64, ended []string) *frayv1.WatchJobResponse {
	if most := int(req.GetMaxResults()); len(ended) > most {
		ended = ended[:most]
	}
	res := &frayv1.WatchJobResponse{
		NextCursor:  cursor + uint64(len(ended)),
		MissedCount: cursor - req.GetCursor(),
		OpenCount:   uint64(len(f.tasks) - len(f.log) + f.missing),
	}
	f.results += len(ended)
	for _, id := range ended {
		r := f.tasks[id]
		if f.omit && r.GetValue() != nil {
			r = &frayv1.TaskResult{Task: r.GetTask(), ValueOmitted: true}
		}
		res.Results = append(res.Results, r)
	}
	return res
}

// told returns how many results WatchJob has told.
func (f *fakeController) told() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.results
}

// miss forgets the first ended tasks, as past their retention.
func (f *fakeController) miss(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range f.log[f.missing : f.missing+n] {
		delete(f.tasks, id)
	}
	f.missing += n
}

func (f *fakeController) GetTask(_ context.Context, req *frayv1.GetTaskRequest) (*frayv1.GetTaskResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	if f.beforeLook != nil {
		if err := f.beforeLook(); err != nil {
			return nil, err
		}
	}
	r := f.tasks[req.GetTaskId()]
	if r == nil {
		return nil, wire.Error(wire.ReasonUnknownTask, 0, "no task %s", req.GetTaskId())
	}
	if f.look != nil {
		return &frayv1.GetTaskResponse{Task: f.look(r.GetTask())}, nil
	}
	return &frayv1.GetTaskResponse{Task: r.GetTask()}, nil
}

func (f *fakeController) GetTaskResults(ctx context.Context, req *frayv1.GetTaskResultsRequest) (*frayv1.GetTaskResultsResponse, error) {
	f.mu.Lock()
	f.batches++
	n := f.batches
	f.mu.Unlock()
	if f.beforeResults != nil {
		if err := f.beforeResults(ctx, n, req); err != nil {
			return nil, err
		}
	}
	deadline := time.NewTimer(time.Duration(req.GetMaxWaitMs()) * time.Millisecond)
	defer deadline.Stop()
	for last := req.GetMaxWaitMs() == 0; ; {
		f.mu.Lock()
		if f.changed == nil {
			f.changed = make(chan struct{})
		}
		changed, res := f.changed, f.found(req.GetTaskIds())
		f.mu.Unlock()
		if last || len(res.GetResults())+len(res.GetUnknownTaskIds()) > 0 {
			return res, nil
		}
		select {
		case <-changed:
		case <-deadline.C:
			last = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// found answers GetTaskResults, with f.mu held.
func (f *fakeController) found(ids []string) *frayv1.GetTaskResultsResponse {
	res := &frayv1.GetTaskResultsResponse{}
	const room = 3 // So that some are always asked for again.
	for _, id := range ids {
		r := f.tasks[id]
		switch {
		case r == nil:
			res.UnknownTaskIds = append(res.UnknownTaskIds, id)
		case r.GetTask().GetStatus() == frayv1.TaskStatus_TASK_STATUS_RUNNING || len(res.GetResults()) == room:
		case f.omit && r.GetValue() != nil:
			res.Results = append(res.Results, &frayv1.TaskResult{Task: r.GetTask(), ValueOmitted: true})
		default:
			res.Results = append(res.Results, r)
		}
	}
	return res
}

func (f *fakeController) GetTaskResult(ctx context.Context, req *frayv1.GetTaskResultRequest) (*frayv1.GetTaskResultResponse, error) {
	if f.beforeResult != nil {
		if err := f.beforeResult(ctx, req.GetTaskId()); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lookups++
	r := f.tasks[req.GetTaskId()]
	if r == nil {
		return nil, wire.Error(wire.ReasonUnknownTask, 0, "no task %s", req.GetTaskId())
	}
	return &frayv1.GetTaskResultResponse{Result: r}, nil
}

func (f *fakeController) CancelTasks(_ context.Context, req *frayv1.CancelTasksRequest) (*frayv1.CancelTasksResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	res := &frayv1.CancelTasksResponse{}
	if req.GetWithDependants() {
		f.cascades++
	}
	for _, id := range req.GetTaskIds() {
		f.canceled = append(f.canceled, id)
		if f.tasks[id] == nil {
			res.Verdicts = append(res.Verdicts, frayv1.CancelVerdict_CANCEL_VERDICT_NOT_FOUND)
			continue
		}
		f.end(id, func(r *frayv1.TaskResult) { r.Task.Status = frayv1.TaskStatus_TASK_STATUS_CANCELLED })
		res.Verdicts = append(res.Verdicts, frayv1.CancelVerdict_CANCEL_VERDICT_CANCELLED)
	}
	return res, nil
}

// inMemory is an HTTP client of a handler in this process, so that both live in virtual time.
type inMemory struct {
	handler http.Handler
	// fault may answer in place of the handler. Nil: it does not.
	fault func(*http.Request) error
}

func (m *inMemory) Do(req *http.Request) (*http.Response, error) {
	if m.fault != nil {
		if err := m.fault(req); err != nil {
			return nil, err
		}
	}
	server := req.Clone(req.Context())
	server.RequestURI = req.URL.RequestURI()
	recorder := httptest.NewRecorder()
	m.handler.ServeHTTP(recorder, server)
	if err := req.Context().Err(); err != nil {
		return nil, fmt.Errorf("do: %w", err)
	}
	return recorder.Result(), nil
}

func (f *fakeController) client() *inMemory {
	mux := http.NewServeMux()
	mux.Handle(frayv1connect.NewControllerServiceHandler(f))
	return &inMemory{handler: mux}
}

func (f *fakeController) ListActors(_ context.Context, req *frayv1.ListActorsRequest) (*frayv1.ListActorsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	res := &frayv1.ListActorsResponse{}
	for _, a := range f.actors {
		if a.GetName() == req.GetName() {
			res.Actors = append(res.Actors, a)
		}
	}
	return res, nil
}

func (f *fakeController) ListSchedules(ctx context.Context, req *frayv1.ListSchedulesRequest) (*frayv1.ListSchedulesResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pages == nil {
		return f.UnimplementedControllerServiceHandler.ListSchedules(ctx, req)
	}
	f.listed++
	page, _ := strconv.Atoi(req.GetPageToken()) // The first has none.
	res := &frayv1.ListSchedulesResponse{Schedules: f.pages[page]}
	if page+1 < len(f.pages) {
		res.NextPageToken = strconv.Itoa(page + 1)
	}
	return res, nil
}

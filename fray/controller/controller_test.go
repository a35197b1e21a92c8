package controller_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

func TestTaskRunsToItsResult(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	ctx := t.Context()
	r, err := c.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: "job", Task: spec("a")})
	if err != nil || !r.GetCreated() || r.GetTask().GetPendingReason() != frayv1.PendingReason_PENDING_REASON_NO_ELIGIBLE_WORKER {
		t.Fatalf("submit: %v, %v", r, err)
	}
	w := c.worker("w1")
	leased := w.lease(4)
	if len(leased) != 1 || leased[0].GetJobId() != "job" || !proto.Equal(leased[0].GetSpec(), spec("a")) || leased[0].GetAttempt().GetNumber() != 1 {
		t.Fatalf("leased %v", leased)
	}
	started := &frayv1.TaskReport{Attempt: leased[0].GetAttempt(), Outcome: frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STARTED}
	if v := w.report(started); v[0] != frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED {
		t.Errorf("started: %v", v)
	}
	got, err := c.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: "a"})
	if err != nil || got.GetTask().GetStatus() != frayv1.TaskStatus_TASK_STATUS_RUNNING || got.GetTask().GetWorkerId() != "w1" {
		t.Errorf("running task: %v, %v", got, err)
	}
	waiting := make(chan *frayv1.GetTaskResultResponse, 1)
	go func() {
		r, err := c.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: "a", MaxWaitMs: 10_000})
		if err != nil {
			t.Error(err)
		}
		waiting <- r
	}()
	report := succeeded(leased[0], "42")
	if v := w.report(report); v[0] != frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED {
		t.Errorf("report: %v", v)
	}
	if v := w.report(report); v[0] != frayv1.ReportVerdict_REPORT_VERDICT_DUPLICATE {
		t.Errorf("report again: %v", v)
	}
	result := (<-waiting).GetResult()
	if result.GetTask().GetStatus() != frayv1.TaskStatus_TASK_STATUS_COMPLETED || string(result.GetValue().GetData()) != "42" {
		t.Errorf("result: %v", result)
	}
	watched, err := c.WatchJob(ctx, &frayv1.WatchJobRequest{JobId: "job"})
	if err != nil || len(watched.GetResults()) != 1 || watched.GetNextCursor() != 1 || watched.GetOpenCount() != 0 ||
		!proto.Equal(watched.GetResults()[0], result) {
		t.Errorf("watch: %v, %v", watched, err)
	}
	want := &frayv1.GetJobResponse{
		Known: true, EndedCount: 1, NextCursor: 1, WatcherCount: 1, SubmittedCount: 1,
		Weight: 1,
	}
	if got, err := c.GetJob(ctx, &frayv1.GetJobRequest{JobId: "job"}); err != nil || !proto.Equal(got, want) {
		t.Errorf("job: %v, %v; want %v", got, err, want)
	}
	if got, err := c.GetJob(ctx, &frayv1.GetJobRequest{JobId: "other"}); err != nil || !proto.Equal(got, &frayv1.GetJobResponse{}) {
		t.Errorf("unknown job: %v, %v", got, err)
	}
	if _, err := c.UnregisterWorker(ctx, &frayv1.UnregisterWorkerRequest{SessionToken: w.session}); err != nil {
		t.Error(err)
	}
	_, err = c.LeaseTasks(ctx, &frayv1.LeaseTasksRequest{SessionToken: w.session, PollSeq: 9, MaxTasks: 1})
	wantCode(t, err, connect.CodeFailedPrecondition)
	if reason, _ := wire.Info(err); reason != wire.ReasonSessionStale {
		t.Errorf("reason %q", reason)
	}
}

func TestFailureCarriesItsError(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	c.submit("a")
	w := c.worker("w1")
	w.report(failedWith(w.lease(1)[0], "no such file"))
	r, err := c.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: "a"})
	if err != nil || r.GetResult().GetError().GetMessage() != "no such file" ||
		r.GetResult().GetTask().GetFailureReason() != frayv1.FailureReason_FAILURE_REASON_APPLICATION {
		t.Errorf("result: %v, %v", r, err)
	}
}

func TestSubmissionIsIdempotent(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	ctx := t.Context()
	c.submit("a")
	r, err := c.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: "job", Task: spec("a")})
	if err != nil || r.GetCreated() || r.GetTask().GetTaskId() != "a" {
		t.Errorf("again: %v, %v", r, err)
	}
	other := spec("a")
	other.Priority = 1
	_, err = c.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: "job", Task: other})
	wantCode(t, err, connect.CodeAlreadyExists)
	_, err = c.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: "another", Task: spec("a")})
	wantCode(t, err, connect.CodeAlreadyExists)
	batch, err := c.SubmitTasks(ctx, &frayv1.SubmitTasksRequest{JobId: "job", Tasks: []*frayv1.TaskSpec{spec("a"), other, spec("b"), spec("b"), {TaskId: "c"}}})
	if err != nil || batch.GetCreatedCount() != 1 || batch.GetExistingCount() != 2 || len(batch.GetFailures()) != 2 {
		t.Fatalf("batch: %v, %v", batch, err)
	}
	for i, want := range []struct {
		index uint32
		code  string
		text  string
	}{{1, "already_exists", `task "a"`}, {4, "invalid_argument", "function"}} {
		f := batch.GetFailures()[i]
		if f.GetIndex() != want.index || f.GetCode() != want.code || !strings.Contains(f.GetMessage(), want.text) {
			t.Errorf("failure %d: %v", i, f)
		}
	}
}

func TestBadInputIsRefused(t *testing.T) {
	t.Parallel()
	c := start(t, func(c *controller.Config) { c.MaxPayloadBytes = 100 })
	ctx := t.Context()
	w := c.worker("w1")
	large := spec("a")
	large.Payload.Data = make([]byte, 101)
	for _, test := range []struct {
		name string
		call func() error
		code connect.Code
		text string
	}{
		{"bad task id", func() error {
			_, err := c.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: "job", Task: spec("a b")})
			return err
		}, connect.CodeInvalidArgument, `task_id "a b"`},
		{"no task", func() error {
			_, err := c.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: "job"})
			return err
		}, connect.CodeInvalidArgument, "task_id"},
		{"bad job id", func() error {
			_, err := c.SubmitTasks(ctx, &frayv1.SubmitTasksRequest{JobId: "-"})
			return err
		}, connect.CodeInvalidArgument, "job_id"},
		{"large payload", func() error {
			_, err := c.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: "job", Task: large})
			return err
		}, connect.CodeInvalidArgument, "payload has 101 bytes"},
		{"too many tasks", func() error {
			_, err := c.SubmitTasks(ctx, &frayv1.SubmitTasksRequest{JobId: "job", Tasks: make([]*frayv1.TaskSpec, 50_001)})
			return err
		}, connect.CodeInvalidArgument, "at most 50000"},
		{"unknown task", func() error { _, err := c.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: "x"}); return err }, connect.CodeNotFound, `task "x"`},
		{"unknown task's result", func() error { _, err := c.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: "x"}); return err }, connect.CodeNotFound, `task "x"`},
		{"cursor ahead", func() error { _, err := c.WatchJob(ctx, &frayv1.WatchJobRequest{JobId: "j", Cursor: 3}); return err }, connect.CodeFailedPrecondition, "cursor 3"},
		{"unknown worker", func() error { _, err := c.DrainWorker(ctx, &frayv1.DrainWorkerRequest{WorkerId: "x"}); return err }, connect.CodeNotFound, `worker "x"`},
		{"bad page token", func() error { _, err := c.ListTasks(ctx, &frayv1.ListTasksRequest{PageToken: "zz"}); return err }, connect.CodeInvalidArgument, `page_token "zz"`},
		{"bad page number", func() error { _, err := c.ListTasks(ctx, &frayv1.ListTasksRequest{PageToken: "t_"}); return err }, connect.CodeInvalidArgument, `page_token "t_"`},
		{"no poll number", func() error {
			_, err := c.LeaseTasks(ctx, &frayv1.LeaseTasksRequest{SessionToken: w.session, MaxTasks: 1})
			return err
		}, connect.CodeInvalidArgument, "poll_seq"},
		{"stale poll", func() error {
			_, err := c.LeaseTasks(ctx, &frayv1.LeaseTasksRequest{SessionToken: 7, PollSeq: 1, MaxTasks: 1})
			return err
		}, connect.CodeFailedPrecondition, "session 7"},
		{"stale heartbeat", func() error { _, err := c.Heartbeat(ctx, &frayv1.HeartbeatRequest{SessionToken: 7}); return err }, connect.CodeFailedPrecondition, "session 7"},
		{"stale report", func() error { _, err := c.ReportTasks(ctx, &frayv1.ReportTasksRequest{SessionToken: 7}); return err }, connect.CodeFailedPrecondition, "session 7"},
		{"report without attempt", func() error {
			_, err := c.ReportTasks(ctx, &frayv1.ReportTasksRequest{SessionToken: w.session, Reports: []*frayv1.TaskReport{{}}})
			return err
		}, connect.CodeInvalidArgument, "reports[0]: attempt"},
		{"report without outcome", func() error {
			_, err := c.ReportTasks(ctx, &frayv1.ReportTasksRequest{SessionToken: w.session, Reports: []*frayv1.TaskReport{{Attempt: &frayv1.Attempt{}}}})
			return err
		}, connect.CodeInvalidArgument, "reports[0]: outcome"},
		{"too many tokens", func() error {
			_, err := c.Heartbeat(ctx, &frayv1.HeartbeatRequest{SessionToken: w.session, QueuedLeaseTokens: make([]uint64, 65_537)})
			return err
		}, connect.CodeInvalidArgument, "lease tokens"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.call()
			wantCode(t, err, test.code)
			if err == nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("error %v does not name %q", err, test.text)
			}
		})
	}
}

func TestResultTooLargeIsTheTasksFailure(t *testing.T) {
	t.Parallel()
	c := start(t, func(c *controller.Config) { c.MaxPayloadBytes = 100 })
	c.submit("a")
	w := c.worker("w1")
	if v := w.report(succeeded(w.lease(1)[0], strings.Repeat("x", 101))); v[0] != frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED {
		t.Errorf("verdict %v", v)
	}
	r, err := c.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: "a"})
	if err != nil || r.GetResult().GetTask().GetFailureReason() != frayv1.FailureReason_FAILURE_REASON_UNDECODABLE ||
		!strings.Contains(r.GetResult().GetError().GetMessage(), "101 bytes") {
		t.Errorf("result %v, %v", r, err)
	}
}

func TestFullQueueSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	c := start(t, func(c *controller.Config) { c.Core = core.Config{MaxOpenTasks: 2, RetryHint: 70 * time.Millisecond} })
	c.submit("a")
	resp, err := c.SubmitTasks(t.Context(), &frayv1.SubmitTasksRequest{JobId: "job", Tasks: []*frayv1.TaskSpec{spec("b"), spec("c")}})
	if err != nil || resp.GetCreatedCount() != 1 || len(resp.GetFailures()) != 1 || resp.GetFailures()[0].GetCode() != "resource_exhausted" || resp.GetRetryAfterMs() != 70 {
		t.Errorf("batch: %v, %v", resp, err)
	}
	_, err = c.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "job", Task: spec("d")})
	wantCode(t, err, connect.CodeResourceExhausted)
	if reason, after := wire.Info(err); reason != wire.ReasonQueueFull || after != 70*time.Millisecond {
		t.Errorf("info %q, %v", reason, after)
	}
}

func TestWatchCutsPagesBySize(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	w := c.worker("w1")
	sizes := []int{3 << 20, 2 << 20, 5 << 20, 10}
	for i, size := range sizes {
		c.submit(fmt.Sprint("t", i))
		w.report(succeeded(w.lease(1)[0], strings.Repeat("x", size)))
	}
	var got []string
	cursor := uint64(0)
	for cursor < 4 {
		r, err := c.WatchJob(t.Context(), &frayv1.WatchJobRequest{JobId: "job", Cursor: cursor, MaxWaitMs: 1000})
		if err != nil {
			t.Fatal(err)
		}
		page := ""
		for _, x := range r.GetResults() {
			page += fmt.Sprintf("%s:%d:%v ", x.GetTask().GetTaskId(), len(x.GetValue().GetData()), x.GetValueOmitted())
		}
		got = append(got, page)
		cursor = r.GetNextCursor()
	}
	want := []string{"t0:3145728:false ", "t1:2097152:false t2:0:true t3:10:false "}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("pages %q, want %q", got, want)
	}
	r, err := c.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: "t2"})
	if err != nil || len(r.GetResult().GetValue().GetData()) != 5<<20 {
		t.Errorf("omitted value: %d bytes, %v", len(r.GetResult().GetValue().GetData()), err)
	}
}

func TestReplyDoesNotPrecedeItsCommit(t *testing.T) {
	t.Parallel()
	g := newGate()
	c := start(t, func(c *controller.Config) { c.Store = g })
	replied := make(chan struct{})
	submit := func(id string, done chan<- struct{}) {
		if _, err := c.SubmitTasks(t.Context(), &frayv1.SubmitTasksRequest{JobId: "job", Tasks: []*frayv1.TaskSpec{spec(id)}}); err != nil {
			t.Error(err)
		}
		close(done)
	}
	go submit("a", replied)
	within(t, "the first commit", g.entered)
	second := make(chan struct{})
	go submit("b", second)
	select {
	case <-replied:
		t.Fatal("acknowledged before the commit ended")
	case <-g.entered:
		t.Fatal("two commits at once")
	case <-time.After(20 * time.Millisecond): // Long enough for a reply that comes too early.
	}
	g.let <- nil
	within(t, "the first reply", replied)
	within(t, "the second commit", g.entered)
	g.let <- nil
	within(t, "the second reply", second)
}

func TestStoreFailureEndsTheController(t *testing.T) {
	t.Parallel()
	g := newGate()
	c := start(t, func(c *controller.Config) { c.Store = g })
	refused := make(chan error, 1)
	go func() {
		_, err := c.SubmitTasks(t.Context(), &frayv1.SubmitTasksRequest{JobId: "job", Tasks: []*frayv1.TaskSpec{spec("a")}})
		refused <- err
	}()
	within(t, "the commit", g.entered)
	g.let <- errDisk
	wantCode(t, <-refused, connect.CodeUnavailable)
	if err := c.stop(); err == nil || !strings.Contains(err.Error(), "disk: full") {
		t.Errorf("Run returned %v", err)
	}
	_, err := c.GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: "a"})
	wantCode(t, err, connect.CodeUnavailable)
}

func TestStopLetsGoOfLongPolls(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	w := c.worker("w1")
	c.submit("a")
	w.lease(1)
	errs := make(chan error, 4)
	var calling sync.WaitGroup
	for _, call := range []func() error{
		func() error {
			_, err := c.LeaseTasks(t.Context(), &frayv1.LeaseTasksRequest{SessionToken: w.session, PollSeq: 2, ReceivedPollSeq: 1, FreeSlots: 1, MaxTasks: 1, MaxWaitMs: 30_000})
			return err
		},
		func() error {
			_, err := c.Heartbeat(t.Context(), &frayv1.HeartbeatRequest{SessionToken: w.session, HeartbeatSeq: 1, MaxWaitMs: 30_000})
			return err
		},
		func() error {
			_, err := c.WatchJob(t.Context(), &frayv1.WatchJobRequest{JobId: "job", MaxWaitMs: 30_000})
			return err
		},
		func() error {
			_, err := c.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: "a", MaxWaitMs: 30_000})
			return err
		},
	} {
		calling.Go(func() { errs <- call() })
	}
	if err := c.stop(); err != nil {
		t.Errorf("Run returned %v", err)
	}
	calling.Wait()
	for range cap(errs) {
		wantCode(t, <-errs, connect.CodeUnavailable)
	}
}

// direct carries calls to a handler without a network.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, req)
	return w.Result(), req.Context().Err()
}

// A server that waits as long as its client hands a task to nobody.
func TestServerWaitIsShorterThanClientTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := controller.New(controller.Config{Store: store.NewMemory(), Core: core.Config{SessionTTL: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		synctest.Wait()
		_, handler := c.Handler()
		client := frayv1connect.NewControllerServiceClient(&http.Client{Transport: direct{handler}}, "http://controller")
		w, err := client.RegisterWorker(ctx, &frayv1.RegisterWorkerRequest{WorkerId: "w1", RegistrationId: "r", Slots: 1, Functions: []string{"f"}})
		if err != nil {
			t.Fatal(err)
		}
		for seq, test := range []struct{ timeout, wait, want time.Duration }{
			{2 * time.Second, time.Minute, 1500 * time.Millisecond},
			{10 * time.Second, time.Minute, 8 * time.Second},
			{time.Minute, time.Hour, 30 * time.Second},
			{10 * time.Second, time.Second, time.Second},
		} {
			start := time.Now()
			call, cancel := context.WithTimeout(ctx, test.timeout)
			r, err := client.LeaseTasks(call, &frayv1.LeaseTasksRequest{
				SessionToken: w.GetSessionToken(), PollSeq: uint64(seq + 1), ReceivedPollSeq: uint64(seq), FreeSlots: 1, MaxTasks: 1,
				MaxWaitMs: test.wait.Milliseconds(),
			})
			cancel()
			if err != nil || len(r.GetTasks()) != 0 || time.Since(start).Round(10*time.Millisecond) != test.want {
				t.Errorf("wait %v within %v: %v, %v after %v, want %v", test.wait, test.timeout, r, err, time.Since(start), test.want)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// What was granted to a poll whose caller went away is granted to the same poll again.
func TestForsakenPollLosesNothing(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	w := c.worker("w1")
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, err := c.LeaseTasks(ctx, &frayv1.LeaseTasksRequest{SessionToken: w.session, PollSeq: 1, FreeSlots: 1, MaxTasks: 1, MaxWaitMs: 30_000})
		wantCode(t, err, connect.CodeCanceled)
	}()
	cancel()
	within(t, "the cancelled call", gone)
	c.submit("a")
	if leased := w.lease(1); len(leased) != 1 || leased[0].GetSpec().GetTaskId() != "a" {
		t.Errorf("leased %v", leased)
	}
}

func TestDrainAndStopReachTheWaitingHeartbeat(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	ctx := t.Context()
	w := c.worker("w1")
	c.submit("a", "b")
	leased := w.lease(2)
	var tokens []uint64
	for _, l := range leased {
		tokens = append(tokens, l.GetAttempt().GetLeaseToken())
	}
	beat := func(seq uint64) <-chan *frayv1.HeartbeatResponse {
		ch := make(chan *frayv1.HeartbeatResponse, 1)
		go func() {
			r, err := c.Heartbeat(ctx, &frayv1.HeartbeatRequest{SessionToken: w.session, HeartbeatSeq: seq, ReceivedPollSeq: 1, RunningLeaseTokens: tokens, MaxWaitMs: 30_000})
			if err != nil {
				t.Error(err)
			}
			ch <- r
		}()
		return ch
	}
	waiting := beat(1)
	r, err := c.CancelTasks(ctx, &frayv1.CancelTasksRequest{TaskIds: []string{"a", "x"}})
	if err != nil || r.GetVerdicts()[0] != frayv1.CancelVerdict_CANCEL_VERDICT_STOPPING || r.GetVerdicts()[1] != frayv1.CancelVerdict_CANCEL_VERDICT_NOT_FOUND {
		t.Errorf("cancel: %v, %v", r, err)
	}
	if h := <-waiting; len(h.GetStopLeaseTokens()) != 1 || h.GetStopLeaseTokens()[0] != tokens[0] || h.GetDrain() {
		t.Errorf("heartbeat: %v", h)
	}
	waiting = beat(2)
	if _, err := c.DrainWorker(ctx, &frayv1.DrainWorkerRequest{WorkerId: "w1", GraceMs: proto.Int64(7000)}); err != nil {
		t.Error(err)
	}
	if h := <-waiting; !h.GetDrain() || h.GetDrainGraceMs() != 7000 {
		t.Errorf("heartbeat: %v", h)
	}
	workers, err := c.ListWorkers(ctx, &frayv1.ListWorkersRequest{})
	if err != nil || len(workers.GetWorkers()) != 1 || !workers.GetWorkers()[0].GetDraining() || workers.GetWorkers()[0].GetHeldCount() != 2 ||
		workers.GetWorkers()[0].GetResources()["cpu"] != 1000 || workers.GetWorkers()[0].GetResourcesInUse()["cpu"] != 0 {
		t.Errorf("workers: %v, %v", workers, err)
	}
	stopped := &frayv1.TaskReport{Attempt: leased[0].GetAttempt(), Outcome: frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STOPPED, RunDurationUs: 5}
	w.report(stopped)
	all, err := c.CancelTasks(ctx, &frayv1.CancelTasksRequest{JobId: "job"})
	if err != nil || all.GetJobTaskCount() != 1 {
		t.Errorf("cancel job: %v, %v", all, err)
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	var ids []string
	for i := range 25 {
		ids = append(ids, fmt.Sprintf("t%02d", i))
	}
	c.submit(ids...)
	w := c.worker("w1")
	w.report(succeeded(w.lease(1)[0], ""))
	var got []string
	pages, token := 0, ""
	for pages == 0 || token != "" {
		r, err := c.ListTasks(t.Context(), &frayv1.ListTasksRequest{JobId: "job", PageSize: 10, PageToken: token, Statuses: []frayv1.TaskStatus{frayv1.TaskStatus_TASK_STATUS_PENDING}})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range r.GetTasks() {
			got = append(got, x.GetTaskId())
		}
		pages, token = pages+1, r.GetNextPageToken()
	}
	if fmt.Sprint(got) != fmt.Sprint(ids[1:]) || pages != 3 {
		t.Errorf("%d pages: %v", pages, got)
	}
	all, err := c.ListTasks(t.Context(), &frayv1.ListTasksRequest{})
	if err != nil || len(all.GetTasks()) != 25 || all.GetNextPageToken() != "" {
		t.Errorf("all: %d tasks, %v", len(all.GetTasks()), err)
	}
	none, err := c.ListTasks(t.Context(), &frayv1.ListTasksRequest{JobId: "none"})
	if err != nil || len(none.GetTasks()) != 0 {
		t.Errorf("none: %v, %v", none, err)
	}
}

func TestPlainJSON(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	body := `{"jobId":"job","task":{"taskId":"a","function":"f","payload":{"encoding":"json","data":"NDI="}}}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/fray.v1.ControllerService/SubmitTask", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.Contains(text, []byte(`TASK_STATUS_PENDING`)) {
		t.Errorf("%s: %s, %v", resp.Status, text, err)
	}
}

// What is scraped is what happened.
func TestMetricsAgreeWithTheRun(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	c := start(t, func(c *controller.Config) {
		c.Registerer = registry
		c.Core.MaxOpenTasks = 4
	})
	w := c.worker("w1")
	c.submit("a", "b", "c", "d")
	_, err := c.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "job", Task: spec("e")})
	wantCode(t, err, connect.CodeResourceExhausted)
	l := w.lease(3)
	w.report(succeeded(l[0], ""), failedWith(l[1], "x"), succeeded(l[0], ""))
	stale := succeeded(l[2], "")
	stale.Attempt = &frayv1.Attempt{TaskId: "c", Number: 1, LeaseToken: 99}
	w.report(stale)
	want := map[string]float64{
		`fray_tasks{status="PENDING"}`: 1, `fray_tasks{status="LEASED"}`: 1, `fray_tasks{status="RUNNING"}`: 0,
		`fray_tasks{status="COMPLETED"}`: 1, `fray_tasks{status="FAILED"}`: 1, `fray_tasks{status="CANCELLED"}`: 0,
		`fray_ready_tasks`: 1, `fray_workers`: 1, `fray_slots`: 4, `fray_tasks_submitted_total`: 4, `fray_tasks_refused_total`: 1,
		`fray_leases_granted_total`: 3, `fray_stale_reports_total`: 1, `fray_duplicate_reports_total`: 1, `fray_sessions_expired_total`: 0,
		`fray_attempts_total{function="f",outcome="succeeded"}`: 1, `fray_attempts_total{function="f",outcome="failed"}`: 1,
		`fray_queue_seconds{function="f"}`: 3, `fray_run_seconds{function="f"}`: 2,
	}
	got := scrape(t, registry)
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s = %v, want %v", name, got[name], v)
		}
	}
	if got[`fray_queued_bytes`] <= 0 || got[`fray_oldest_ready_age_seconds`] <= 0 {
		t.Errorf("queued bytes %v, oldest age %v", got[`fray_queued_bytes`], got[`fray_oldest_ready_age_seconds`])
	}
	info, err := c.GetClusterInfo(t.Context(), &frayv1.GetClusterInfoRequest{})
	if err != nil || info.GetTaskCounts()["PENDING"] != 1 || info.GetSlotCount() != 4 || info.GetWorkerCount() != 1 {
		t.Errorf("info: %v, %v", info, err)
	}
	if err := c.stop(); err != nil {
		t.Error(err)
	}
	if got := scrape(t, registry); got[`fray_attempts_total{function="f",outcome="failed"}`] != 1 {
		t.Errorf("a stopped controller's counters: %v", got)
	}
}

// scrape returns values by name and labels; of a histogram its count.
func scrape(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name := f.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return got
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		cfg  controller.Config
		text string
	}{
		{"no store", controller.Config{}, "Store is required"},
		{"negative wait", controller.Config{Store: store.NewMemory(), MaxWait: -1}, "MaxWait"},
		{"large payload", controller.Config{Store: store.NewMemory(), MaxPayloadBytes: 65 << 20}, "MaxPayloadBytes"},
		{"negative bound", controller.Config{Store: store.NewMemory(), Core: core.Config{MaxJobs: -1}}, "MaxJobs"},
	} {
		if _, err := controller.New(test.cfg); err == nil || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v, want %q", test.name, err, test.text)
		}
	}
	registry := prometheus.NewRegistry()
	cfg := controller.Config{Store: store.NewMemory(), Registerer: registry}
	if _, err := controller.New(cfg); err != nil {
		t.Error(err)
	}
	if _, err := controller.New(cfg); err == nil {
		t.Error("two controllers share a registry")
	}
}

func TestCallsAreBounded(t *testing.T) {
	t.Parallel()
	c := start(t, func(c *controller.Config) { c.MaxCalls = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		for {
			_, err := c.WatchJob(ctx, &frayv1.WatchJobRequest{JobId: "elsewhere", MaxWaitMs: 30_000})
			if connect.CodeOf(err) == connect.CodeResourceExhausted {
				continue // The other call has the only place.
			}
			wantCode(t, err, connect.CodeCanceled)
			return
		}
	}()
	for { // Until the watch waits.
		_, err := c.WatchJob(t.Context(), &frayv1.WatchJobRequest{JobId: "elsewhere", MaxWaitMs: 1, WatcherId: "other"})
		if connect.CodeOf(err) == connect.CodeResourceExhausted {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// Neither workers nor what is answered at once has to wait until something happens that only
	// they can bring about.
	w := c.worker("w1")
	c.submit("a")
	w.report(succeeded(w.lease(1)[0], "42"))
	cancel()
	within(t, "the cancelled call", waiting)
}

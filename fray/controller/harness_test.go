package controller_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/goleak"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is a running controller and a client of it.
type cluster struct {
	frayv1connect.ControllerServiceClient
	t   *testing.T
	url string
	// Ends the controller; the error is what Run returned.
	stop func() error
}

func start(t *testing.T, change func(c *controller.Config)) *cluster {
	t.Helper()
	cfg := controller.Config{Store: store.NewMemory(), Inspect: func(broken error) { t.Error(broken) }}
	if change != nil {
		change(&cfg)
	}
	if cfg.Core.SessionTTL == 0 { // Workers of tests send no heartbeats, and the machine may be busy.
		cfg.Core.SessionTTL = 2 * time.Minute
	}
	c, err := controller.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, handler := c.Handler()
	server := httptest.NewServer(handler)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	var result error
	done := false
	stop := func() error {
		if !done {
			cancel()
			result, done = <-ended, true
		}
		return result
	}
	t.Cleanup(func() {
		cancel()
		if !done {
			<-ended
		}
		server.Close()
	})
	cl := &cluster{ControllerServiceClient: frayv1connect.NewControllerServiceClient(server.Client(), server.URL), t: t, url: server.URL, stop: stop}
	cl.awaitRunning()
	return cl
}

// awaitRunning asks until the controller answers: Run has just been started.
func (c *cluster) awaitRunning() {
	for {
		_, err := c.GetClusterInfo(c.t.Context(), &frayv1.GetClusterInfoRequest{})
		if err == nil {
			return
		}
		if connect.CodeOf(err) != connect.CodeUnavailable {
			c.t.Fatal(err)
		}
	}
}

func spec(id string) *frayv1.TaskSpec {
	return &frayv1.TaskSpec{TaskId: id, Function: "f", Payload: &frayv1.Payload{Encoding: "json", Data: []byte(`"` + id + `"`)}}
}

func (c *cluster) submit(ids ...string) {
	c.t.Helper()
	c.submitTo("job", ids...)
}

func (c *cluster) submitTo(job string, ids ...string) {
	c.t.Helper()
	req := &frayv1.SubmitTasksRequest{JobId: job}
	for _, id := range ids {
		req.Tasks = append(req.Tasks, spec(id))
	}
	resp, err := c.SubmitTasks(c.t.Context(), req)
	if err != nil || len(resp.GetFailures()) > 0 {
		c.t.Fatalf("submit %v: %v, %v", ids, resp, err)
	}
}

// worker speaks a worker's side of the protocol, one call at a time.
type worker struct {
	c       *cluster
	session uint64
	poll    uint64
}

func (c *cluster) worker(id string) *worker {
	c.t.Helper()
	r, err := c.RegisterWorker(c.t.Context(), &frayv1.RegisterWorkerRequest{
		WorkerId: id, RegistrationId: id + "-1", Slots: 4, Functions: []string{"f"}, Labels: map[string]string{"zone": "a"},
		Resources: map[string]int64{"cpu": 1000},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return &worker{c: c, session: r.GetSessionToken()}
}

func (w *worker) lease(maxTasks uint32) []*frayv1.LeasedTask {
	w.c.t.Helper()
	r, err := w.c.LeaseTasks(w.c.t.Context(), &frayv1.LeaseTasksRequest{
		SessionToken: w.session, PollSeq: w.poll + 1, ReceivedPollSeq: w.poll, FreeSlots: maxTasks, MaxTasks: maxTasks, MaxWaitMs: 10_000,
	})
	if err != nil {
		w.c.t.Fatal(err)
	}
	w.poll++
	return r.GetTasks()
}

func (w *worker) report(reports ...*frayv1.TaskReport) []frayv1.ReportVerdict {
	w.c.t.Helper()
	r, err := w.c.ReportTasks(w.c.t.Context(), &frayv1.ReportTasksRequest{SessionToken: w.session, Reports: reports})
	if err != nil {
		w.c.t.Fatal(err)
	}
	return r.GetVerdicts()
}

func succeeded(t *frayv1.LeasedTask, value string) *frayv1.TaskReport {
	return &frayv1.TaskReport{
		Attempt: t.GetAttempt(), Outcome: frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED,
		Value: &frayv1.Payload{Encoding: "raw", Data: []byte(value)}, RunDurationUs: 1500,
	}
}

func failedWith(t *frayv1.LeasedTask, message string) *frayv1.TaskReport {
	return &frayv1.TaskReport{
		Attempt: t.GetAttempt(), Outcome: frayv1.AttemptOutcome_ATTEMPT_OUTCOME_FAILED, Error: &frayv1.TaskError{Message: message}, RunDurationUs: 10,
	}
}

func wantCode(t *testing.T, err error, want connect.Code) {
	t.Helper()
	if connect.CodeOf(err) != want {
		t.Errorf("error %v, want %v", err, want)
	}
}

// gate is a store whose commits wait to be let through, and may fail.
type gate struct {
	store.Store
	entered chan struct{}
	let     chan error
}

func newGate() *gate {
	return &gate{Store: store.NewMemory(), entered: make(chan struct{}, 64), let: make(chan error)}
}

func (g *gate) Commit(b *store.Batch) error {
	g.entered <- struct{}{}
	if err := <-g.let; err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	return g.Store.Commit(b)
}

var errDisk = errors.New("full")

func within(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s did not happen", what)
	}
}

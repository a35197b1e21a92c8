package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/goleak"

	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	sessionTTL = 15 * time.Second
	interval   = 5 * time.Second
)

// controller is as much of one as a worker can tell from a real one, and a network that loses what
// a test wants lost. It grants what is queued to the first poll, remembers all that it was told,
// and is reached by RoundTrip.
type controller struct {
	frayv1connect.UnimplementedControllerServiceHandler

	handler http.Handler

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced with every change
	sessions uint64        // so many there were; the last one's token
	lives    uint64        // incarnations before this one
	expired  bool          // the last one is gone
	queue    []*frayv1.LeasedTask
	leases   uint64
	answers  map[uint64]*frayv1.LeaseTasksResponse // by poll of this session
	stop     []uint64                              // to be stopped
	order    *frayv1.HeartbeatResponse             // to drain
	ended    map[uint64]*frayv1.TaskReport         // by lease
	keep     func(held []*frayv1.HeldAttempt) []uint64
	carries  bool // polls take reports
	mute     bool // and their answers have no verdicts
	watchers uint32

	told history

	// results and piece answer tasks, under the lock; nil: there is nothing that they could ask for.
	results func(ids []string) *frayv1.GetTaskResultsResponse
	piece   func(*frayv1.GetObjectRequest) (*frayv1.GetObjectResponse, error)

	// fault says what becomes of a call. It is asked before the call is handled.
	fault func(procedure string) fault
}

// history is all that a controller was told.
type history struct {
	registrations []*frayv1.RegisterWorkerRequest
	polls         []*frayv1.LeaseTasksRequest
	beats         []*frayv1.HeartbeatRequest
	reports       []*frayv1.TaskReport
	carried       int      // of these by polls
	asked         []string // jobs
	left          bool
}

// seen returns what the controller was told so far.
func (c *controller) seen() history {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.told
	h.registrations, h.polls = slices.Clone(h.registrations), slices.Clone(h.polls)
	h.beats, h.reports = slices.Clone(h.beats), slices.Clone(h.reports)
	return h
}

// fault is what the network or the controller does to a call.
type fault struct {
	err       error // in place of the call's handling
	loseCall  bool  // the call never arrives
	loseReply bool  // the call is handled, and its reply never comes
	cutReply  bool  // the call is handled, and the connection breaks
}

func newController() *controller {
	c := &controller{
		carries: true,
		changed: make(chan struct{}),
		answers: make(map[uint64]*frayv1.LeaseTasksResponse),
		ended:   make(map[uint64]*frayv1.TaskReport),
	}
	mux := http.NewServeMux()
	mux.Handle(frayv1connect.NewControllerServiceHandler(c))
	c.handler = mux
	return c
}

// Do implements connect.HTTPClient.
func (c *controller) Do(req *http.Request) (*http.Response, error) {
	procedure := req.URL.Path[strings.LastIndex(req.URL.Path, "/")+1:]
	c.mu.Lock()
	var f fault
	if c.fault != nil {
		f = c.fault(procedure)
	}
	c.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	if f.loseCall {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	answered := make(chan *http.Response, 1)
	go func() {
		recorder := httptest.NewRecorder()
		c.handler.ServeHTTP(recorder, req)
		answered <- recorder.Result()
	}()
	select {
	case res := <-answered:
		if f.cutReply {
			return nil, io.ErrUnexpectedEOF
		}
		if f.loseReply {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}
		return res, nil
	case <-req.Context().Done():
		<-answered
		return nil, req.Context().Err()
	}
}

// change makes a change and wakes all calls that wait.
func (c *controller) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

// await evaluates ready under the lock until it is true, or the wait is over.
func (c *controller) await(ctx context.Context, waitMs int64, ready func() bool) {
	timer := time.NewTimer(time.Duration(waitMs) * time.Millisecond)
	defer timer.Stop()
	for {
		c.mu.Lock()
		ok, changed := ready(), c.changed
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// add queues a task and returns its lease token.
func (c *controller) add(function string, input string, edit ...func(*frayv1.TaskSpec)) (lease uint64) {
	c.change(func() { lease = c.enqueue(function, input, edit...) })
	return lease
}

// enqueue is add under the lock.
func (c *controller) enqueue(function string, input string, edit ...func(*frayv1.TaskSpec)) (lease uint64) {
	c.leases++
	id := fmt.Sprintf("t%d", c.leases)
	spec := &frayv1.TaskSpec{TaskId: id, Function: function, Payload: &frayv1.Payload{Encoding: "json", Data: []byte(input)}}
	for _, e := range edit {
		e(spec)
	}
	c.queue = append(c.queue, &frayv1.LeasedTask{
		JobId: "job", Spec: spec, Attempt: &frayv1.Attempt{TaskId: id, Number: 1, LeaseToken: c.leases},
	})
	return c.leases
}

func (c *controller) stale(token uint64) error {
	if token != c.sessions || c.expired {
		return wire.Error(wire.ReasonSessionStale, 0, "session %d", token)
	}
	return nil
}

func (c *controller) RegisterWorker(_ context.Context, req *frayv1.RegisterWorkerRequest) (*frayv1.RegisterWorkerResponse, error) {
	res := &frayv1.RegisterWorkerResponse{
		SessionTtlMs: sessionTTL.Milliseconds(), HeartbeatIntervalMs: interval.Milliseconds(), PollsTakeReports: c.carries,
	}
	c.change(func() {
		c.told.registrations = append(c.told.registrations, req)
		c.sessions++
		c.expired = false
		clear(c.answers)
		if c.keep != nil {
			res.KeptLeaseTokens = c.keep(req.GetHeld())
		}
		res.SessionToken, res.ControllerIncarnation = c.sessions, 1+c.lives
	})
	return res, nil
}

func (c *controller) LeaseTasks(ctx context.Context, req *frayv1.LeaseTasksRequest) (res *frayv1.LeaseTasksResponse, err error) {
	var verdicts []frayv1.ReportVerdict
	c.change(func() {
		c.told.polls = append(c.told.polls, req)
		if c.carries && c.stale(req.GetSessionToken()) == nil {
			c.told.carried += len(req.GetReports())
			verdicts = c.judge(req.GetReports())
		}
	})
	c.await(ctx, req.GetMaxWaitMs(), func() bool {
		if err = c.stale(req.GetSessionToken()); err != nil {
			return true
		}
		if res = c.answers[req.GetPollSeq()]; res != nil || ctx.Err() != nil {
			return true
		}
		drains := c.order != nil || len(c.told.beats) > 0 && c.told.beats[len(c.told.beats)-1].GetDraining()
		if len(c.queue) == 0 && !drains {
			return false
		}
		n := min(len(c.queue), int(req.GetMaxTasks()))
		res = &frayv1.LeaseTasksResponse{Tasks: slices.Clone(c.queue[:n])}
		c.queue = c.queue[n:]
		c.answers[req.GetPollSeq()] = res
		return true
	})
	if res == nil {
		res = &frayv1.LeaseTasksResponse{}
	}
	if c.mute {
		verdicts = nil
	}
	return &frayv1.LeaseTasksResponse{Tasks: res.GetTasks(), Verdicts: verdicts}, err
}

func (c *controller) ReportTasks(_ context.Context, req *frayv1.ReportTasksRequest) (*frayv1.ReportTasksResponse, error) {
	res := &frayv1.ReportTasksResponse{}
	var err error
	c.change(func() {
		if err = c.stale(req.GetSessionToken()); err != nil {
			return
		}
		res.Verdicts = c.judge(req.GetReports())
	})
	return res, err
}

// judge takes reports in, under the lock.
func (c *controller) judge(reports []*frayv1.TaskReport) (verdicts []frayv1.ReportVerdict) {
	for _, r := range reports {
		c.told.reports = append(c.told.reports, r)
		verdict := frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED
		if o := r.GetOutcome(); o != frayv1.AttemptOutcome_ATTEMPT_OUTCOME_STARTED && o != frayv1.AttemptOutcome_ATTEMPT_OUTCOME_READY {
			lease := r.GetAttempt().GetLeaseToken()
			if c.ended[lease] != nil {
				verdict = frayv1.ReportVerdict_REPORT_VERDICT_DUPLICATE
			} else {
				c.ended[lease] = r
			}
			c.stop = slices.DeleteFunc(c.stop, func(s uint64) bool { return s == lease })
		}
		verdicts = append(verdicts, verdict)
	}
	return verdicts
}

func (c *controller) Heartbeat(ctx context.Context, req *frayv1.HeartbeatRequest) (res *frayv1.HeartbeatResponse, err error) {
	c.change(func() { c.told.beats = append(c.told.beats, req) })
	res = &frayv1.HeartbeatResponse{}
	c.await(ctx, req.GetMaxWaitMs(), func() bool {
		if err = c.stale(req.GetSessionToken()); err != nil {
			return true
		}
		res.StopLeaseTokens = slices.Clone(c.stop)
		if c.order != nil && !req.GetDraining() {
			res.Drain, res.DrainGraceMs = true, c.order.GetDrainGraceMs()
		}
		return len(res.GetStopLeaseTokens()) > 0 || res.GetDrain()
	})
	return res, err
}

func (c *controller) GetJob(_ context.Context, req *frayv1.GetJobRequest) (*frayv1.GetJobResponse, error) {
	res := &frayv1.GetJobResponse{}
	c.change(func() {
		c.told.asked = append(c.told.asked, req.GetJobId())
		res.WatcherCount = c.watchers
	})
	return res, nil
}

func (c *controller) GetTaskResults(ctx context.Context, req *frayv1.GetTaskResultsRequest) (res *frayv1.GetTaskResultsResponse, err error) {
	c.await(ctx, req.GetMaxWaitMs(), func() bool {
		res = c.results(req.GetTaskIds())
		return len(res.GetResults()) > 0
	})
	return res, nil
}

func (c *controller) GetObject(_ context.Context, req *frayv1.GetObjectRequest) (res *frayv1.GetObjectResponse, err error) {
	c.change(func() { res, err = c.piece(req) })
	return res, err
}

func (c *controller) UnregisterWorker(_ context.Context, req *frayv1.UnregisterWorkerRequest) (*frayv1.UnregisterWorkerResponse, error) {
	var err error
	c.change(func() {
		if err = c.stale(req.GetSessionToken()); err == nil {
			c.expired, c.told.left = true, true
		}
	})
	return &frayv1.UnregisterWorkerResponse{}, err
}

// failing makes the first n calls of a procedure end in f.
func failing(procedure string, n int, f fault) func(string) fault {
	return func(p string) fault {
		if p != procedure || n == 0 {
			return fault{}
		}
		n--
		return f
	}
}

var errUnreachable = connect.NewError(connect.CodeUnavailable, errors.New("connection refused"))

// outcome returns how a lease was reported.
func (c *controller) outcome(lease uint64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.ended[lease]
	if r == nil {
		return "NONE"
	}
	return strings.TrimPrefix(r.GetOutcome().String(), "ATTEMPT_OUTCOME_")
}

func (c *controller) expect(t *testing.T, lease uint64, want string) *frayv1.TaskReport {
	t.Helper()
	synctest.Wait()
	if got := c.outcome(lease); got != want {
		t.Errorf("lease %d is %s, want %s", lease, got, want)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended[lease]
}

package check_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/sim/check"
)

// fixed answers every call with what the test says.
type fixed struct {
	frayv1connect.UnimplementedControllerServiceHandler

	submit func() (*frayv1.SubmitTasksResponse, error)
	lease  func() (*frayv1.LeaseTasksResponse, error)
	report []frayv1.ReportVerdict

	registered *frayv1.RegisterWorkerResponse
	beat       *frayv1.HeartbeatResponse
}

func (f *fixed) RegisterWorker(context.Context, *frayv1.RegisterWorkerRequest) (*frayv1.RegisterWorkerResponse, error) {
	if f.registered == nil {
		return f.UnimplementedControllerServiceHandler.RegisterWorker(context.Background(), nil)
	}
	return f.registered, nil
}

func (f *fixed) Heartbeat(context.Context, *frayv1.HeartbeatRequest) (*frayv1.HeartbeatResponse, error) {
	return f.beat, nil
}

func (f *fixed) SubmitTasks(context.Context, *frayv1.SubmitTasksRequest) (*frayv1.SubmitTasksResponse, error) {
	return f.submit()
}

func (f *fixed) LeaseTasks(context.Context, *frayv1.LeaseTasksRequest) (*frayv1.LeaseTasksResponse, error) {
	return f.lease()
}

func (f *fixed) ReportTasks(context.Context, *frayv1.ReportTasksRequest) (*frayv1.ReportTasksResponse, error) {
	return &frayv1.ReportTasksResponse{Verdicts: f.report}, nil
}

// recorded returns a recorder and a client whose calls it sees.
func (f *fixed) recorded() (*check.History, *check.Recorder, frayv1connect.ControllerServiceClient) {
	h := check.NewHistory(check.HistoryConfig{})
	r := check.NewRecorder(h, "host")
	_, handler := frayv1connect.NewControllerServiceHandler(f)
	n := newNetwork(1)
	n.serve(handler, func() {})
	return h, r, frayv1connect.NewControllerServiceClient(link{n, "host"}, "http://c", connect.WithInterceptors(r.ClientInterceptor()))
}

func told(h *check.History) string {
	var b strings.Builder
	for _, e := range h.Events() {
		b.WriteString(e.Kind.String() + " " + e.Task + " " + e.Answer.String() + "\n")
	}
	return b.String()
}

func refusal(code connect.Code, reason string) error {
	err := connect.NewError(code, errors.New("no"))
	if reason != "" {
		detail, _ := connect.NewErrorDetail(&frayv1.ErrorInfo{Reason: reason})
		err.AddDetail(detail)
	}
	return err
}

// An error proves something only if Fray gave it: an injected one may hide that the call had its
// effect.
func TestSubmissionsAreJudgedByWhatProvesSomething(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		res  *frayv1.SubmitTasksResponse
		err  error
		want []check.Answer
	}{
		"created":       {res: &frayv1.SubmitTasksResponse{CreatedCount: 2}, want: []check.Answer{check.Created, check.Created}},
		"existing":      {res: &frayv1.SubmitTasksResponse{ExistingCount: 2}, want: []check.Answer{check.Existing, check.Existing}},
		"either":        {res: &frayv1.SubmitTasksResponse{CreatedCount: 1, ExistingCount: 1}, want: []check.Answer{check.Acknowledged, check.Acknowledged}},
		"one refused":   {res: &frayv1.SubmitTasksResponse{CreatedCount: 1, Failures: []*frayv1.SubmitFailure{{Index: 1}}}, want: []check.Answer{check.Created, check.Refused}},
		"refused":       {err: refusal(connect.CodeResourceExhausted, "QUEUE_FULL"), want: []check.Answer{check.Refused, check.Refused}},
		"injected":      {err: refusal(connect.CodeResourceExhausted, ""), want: []check.Answer{check.Unanswered, check.Unanswered}},
		"shutting down": {err: refusal(connect.CodeUnavailable, "SHUTTING_DOWN"), want: []check.Answer{check.Unanswered, check.Unanswered}},
		"deadline":      {err: context.DeadlineExceeded, want: []check.Answer{check.Unanswered, check.Unanswered}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fixed{submit: func() (*frayv1.SubmitTasksResponse, error) { return test.res, test.err }}
			h, _, client := f.recorded()
			_, _ = client.SubmitTasks(t.Context(), &frayv1.SubmitTasksRequest{JobId: "j", Tasks: []*frayv1.TaskSpec{{TaskId: "a"}, {TaskId: "b"}}})
			var got []check.Answer
			for _, e := range h.Events() {
				if e.Kind == check.SubmitReply {
					got = append(got, e.Answer)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// What a repeated poll brings may have been granted to its first send.
func TestGrantCountsFromTheFirstSendOfItsPoll(t *testing.T) {
	t.Parallel()
	lost := true
	f := &fixed{lease: func() (*frayv1.LeaseTasksResponse, error) {
		if lost {
			return nil, refusal(connect.CodeUnavailable, "")
		}
		return &frayv1.LeaseTasksResponse{Tasks: []*frayv1.LeasedTask{{
			Attempt: &frayv1.Attempt{TaskId: "a", Number: 1, LeaseToken: 9}, Spec: &frayv1.TaskSpec{TaskId: "a"},
		}}}, nil
	}}
	h, _, client := f.recorded()
	poll := func(seq uint64) {
		_, _ = client.LeaseTasks(t.Context(), &frayv1.LeaseTasksRequest{SessionToken: 1, PollSeq: seq, MaxTasks: 1})
	}
	h.Heal() // Event 1.
	poll(1)
	h.Heal() // Event 2.
	lost = false
	poll(1)
	poll(2)
	var asked []uint64
	for _, e := range h.Events() {
		if e.Kind == check.GrantReply {
			asked = append(asked, e.Invoked)
		}
	}
	if want := []uint64{1, 3}; !slices.Equal(asked, want) {
		t.Errorf("polls were sent after events %v, want %v", asked, want)
	}
}

// An error that the controller calls its own fault is noted, of a call and of one task of it.
func TestBugsAreRecorded(t *testing.T) {
	t.Parallel()
	one := func(code string) *frayv1.SubmitTasksResponse {
		return &frayv1.SubmitTasksResponse{CreatedCount: 1, Failures: []*frayv1.SubmitFailure{{Index: 1, Code: code}}}
	}
	for name, answer := range map[string]struct {
		res *frayv1.SubmitTasksResponse
		err error
		bug bool
	}{
		"of the call": {err: refusal(connect.CodeInternal, "BUG"), bug: true},
		"of a task":   {res: one("internal"), bug: true},
		"of a fault":  {err: refusal(connect.CodeInternal, "")},
		"refused":     {res: one("already_exists")},
	} { // order-free
		f := &fixed{submit: func() (*frayv1.SubmitTasksResponse, error) { return answer.res, answer.err }}
		h, _, client := f.recorded()
		_, _ = client.SubmitTasks(t.Context(), &frayv1.SubmitTasksRequest{JobId: "j", Tasks: []*frayv1.TaskSpec{{TaskId: "a"}, {TaskId: "b"}}})
		bugs := 0
		for _, e := range h.Events() {
			if e.Kind == check.BugTold {
				bugs++
			}
		}
		if answer.bug != (bugs == 1) {
			t.Errorf("%s: recorded\n%s", name, told(h))
		}
	}
}

// Which incarnation of the controller gave a token does not show in it, so that recorders remember.
func TestEventsAreDatedByTheirTokens(t *testing.T) {
	t.Parallel()
	grant := &frayv1.Attempt{TaskId: "a", Number: 1, LeaseToken: 9}
	f := &fixed{lease: func() (*frayv1.LeaseTasksResponse, error) {
		return &frayv1.LeaseTasksResponse{Tasks: []*frayv1.LeasedTask{{Attempt: grant, Spec: &frayv1.TaskSpec{TaskId: "a"}}}}, nil
	}}
	h, _, client := f.recorded()
	register := func(session, incarnation uint64) {
		f.registered = &frayv1.RegisterWorkerResponse{SessionToken: session, SessionTtlMs: 15000, ControllerIncarnation: incarnation}
		if _, err := client.RegisterWorker(t.Context(), &frayv1.RegisterWorkerRequest{WorkerId: "w"}); err != nil {
			t.Fatal(err)
		}
	}
	register(1, 70)
	_, _ = client.LeaseTasks(t.Context(), &frayv1.LeaseTasksRequest{SessionToken: 1, PollSeq: 1, MaxTasks: 1})
	register(2, 71)
	// The lease is that of before, whatever session tells of it, and also when it comes again.
	_, _ = client.ReportTasks(t.Context(), &frayv1.ReportTasksRequest{SessionToken: 2, Reports: []*frayv1.TaskReport{{Attempt: grant}}})
	_, _ = client.LeaseTasks(t.Context(), &frayv1.LeaseTasksRequest{SessionToken: 2, PollSeq: 1, MaxTasks: 1})
	want := map[check.EventKind][]uint64{
		check.RegisterCall: {0, 0}, check.RegisterReply: {70, 71}, check.GrantReply: {70, 70}, check.ReportCall: {70},
	}
	got := make(map[check.EventKind][]uint64)
	for _, e := range h.Events() {
		if want[e.Kind] != nil {
			got[e.Kind] = append(got[e.Kind], e.Incarnation)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("events are of incarnations %v, want %v", got, want)
	}
}

// A dead process sees nothing, whatever its goroutines still do.
func TestCrashSilencesItsProcess(t *testing.T) {
	t.Parallel()
	f := &fixed{submit: func() (*frayv1.SubmitTasksResponse, error) { return &frayv1.SubmitTasksResponse{CreatedCount: 1}, nil }}
	h, r, client := f.recorded()
	submit := func() {
		_, err := client.SubmitTasks(t.Context(), &frayv1.SubmitTasksRequest{JobId: "j", Tasks: []*frayv1.TaskSpec{{TaskId: "a"}}})
		if err != nil {
			t.Error(err)
		}
	}
	_, _ = client.RegisterWorker(t.Context(), &frayv1.RegisterWorkerRequest{WorkerId: "w"})
	submit()
	r.Crash()
	r.Crash()
	submit()
	want := "register-call  none\nsubmit-call a none\nsubmit-reply a created\nworker-crash  none\n"
	if got := told(h); got != want {
		t.Errorf("recorded\n%swant\n%s", got, want)
	}
}

func TestExecutionsAreRecordedToTheirRealEnd(t *testing.T) {
	t.Parallel()
	h := check.NewHistory(check.HistoryConfig{})
	r := check.NewRecorder(h, "host")
	ctx := contextOfTask(t)
	input := fray.Payload{Encoding: "json", Data: []byte("2")}
	out, err := r.Function(double).Invoke(ctx, input)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Function(double).Invoke(t.Context(), input); err != nil { // In no task.
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = r.Function(wrap).Invoke(ctx, input)
	}()
	events := h.Events()
	if len(events) != 4 {
		t.Fatalf("events: %v", told(h))
	}
	if e := events[1]; e.Kind != check.ExecutionEnd || e.Outcome != succeeded || e.Digest != check.DigestValue(out.Encoding, out.Data) {
		t.Errorf("value: %v", e.String())
	}
	if e := events[3]; e.Kind != check.ExecutionEnd || e.Outcome != broke || !strings.Contains(e.String(), "panicked") {
		t.Errorf("panic: %v", e.String())
	}
}

// contextOfTask returns a context that a function was run with.
func contextOfTask(t *testing.T) context.Context {
	t.Helper()
	jc, err := fray.NewJobContext(t.Context(), fray.KindSync)
	if err != nil {
		t.Fatal(err)
	}
	defer jc.Close() //nolint:errcheck // Nothing runs in it any longer.
	var own context.Context
	task := fray.Define("own", func(ctx context.Context, _ int) (int, error) {
		own = ctx //nolint:fatcontext // It is the test's way to one.
		return 0, nil
	})
	if _, err := task.Call(fray.NewContext(t.Context(), jc), 0); err != nil {
		t.Fatal(err)
	}
	return own
}

// A reply that does not judge every report judges none.
func TestMissingVerdictsAreNoAnswer(t *testing.T) {
	t.Parallel()
	f := &fixed{report: []frayv1.ReportVerdict{frayv1.ReportVerdict_REPORT_VERDICT_ACCEPTED}}
	h, _, client := f.recorded()
	one := &frayv1.TaskReport{Attempt: &frayv1.Attempt{TaskId: "a", Number: 1, LeaseToken: 1}, Outcome: succeeded}
	two := &frayv1.TaskReport{Attempt: &frayv1.Attempt{TaskId: "b", Number: 1, LeaseToken: 2}, Outcome: succeeded}
	for _, reports := range [][]*frayv1.TaskReport{{one, two}, {one}} {
		if _, err := client.ReportTasks(t.Context(), &frayv1.ReportTasksRequest{Reports: reports}); err != nil {
			t.Fatal(err)
		}
	}
	want := "report-call a none\nreport-call b none\nreport-reply a unanswered\nreport-reply b unanswered\n" +
		"report-call a none\nreport-reply a accepted\n"
	if got := told(h); got != want {
		t.Errorf("recorded\n%swant\n%s", got, want)
	}
}

// What a poll tells of attempts is told by this send of it, whichever its grants may be of; and its
// verdicts come before its grants.
func TestReportsOfPollsAreThoseOfTheirSends(t *testing.T) {
	t.Parallel()
	ended := &frayv1.TaskReport{Attempt: &frayv1.Attempt{TaskId: "a", Number: 1, LeaseToken: 1}, Outcome: succeeded}
	sends := 0
	f := &fixed{lease: func() (*frayv1.LeaseTasksResponse, error) {
		if sends++; sends == 1 {
			return nil, refusal(connect.CodeUnavailable, "")
		}
		return &frayv1.LeaseTasksResponse{
			Tasks: []*frayv1.LeasedTask{{
				Attempt: &frayv1.Attempt{TaskId: "a", Number: 2, LeaseToken: 2}, Spec: &frayv1.TaskSpec{TaskId: "a"},
			}},
			Verdicts: []frayv1.ReportVerdict{frayv1.ReportVerdict_REPORT_VERDICT_DUPLICATE},
		}, nil
	}}
	h, _, client := f.recorded()
	for range 2 {
		_, _ = client.LeaseTasks(t.Context(), &frayv1.LeaseTasksRequest{
			SessionToken: 1, PollSeq: 4, MaxTasks: 1, MaxWaitMs: 1000, Reports: []*frayv1.TaskReport{ended},
		})
	}
	want := "report-call a none\nreport-reply a unanswered\nreport-call a none\nreport-reply a duplicate\ngrant-reply a none\n"
	if got := told(h); got != want {
		t.Fatalf("recorded\n%swant\n%s", got, want)
	}
	events := h.Events()
	if reply, grant := events[3], events[4]; reply.Invoked != 2 || grant.Invoked != 0 || !reply.Carried || reply.MayWait != time.Second {
		t.Errorf("the report is of a call after event %d and the grant of one after event %d, want 2 and 0: %v", reply.Invoked, grant.Invoked, reply.String())
	}
}

func TestHistoryKeepsTheLastEvents(t *testing.T) {
	t.Parallel()
	observed := 0
	now := time.Duration(5)
	h := check.NewHistory(check.HistoryConfig{
		Keep: 3, Clock: func() time.Duration { now--; return now }, Observe: func(*check.Event) { observed++ },
	})
	for range 10 {
		h.Heal()
	}
	h.Crash("c")
	events := h.Events()
	if len(events) != 3 || events[0].Seq != 9 || events[2].Kind != check.ControllerCrash || events[2].Invoked != 10 {
		t.Errorf("kept %v", told(h))
	}
	if last := h.Last(2); len(last) != 2 || last[0].Seq != 10 || last[1].Seq != 11 || len(h.Last(9)) != 3 {
		t.Errorf("the last two are %v", last)
	}
	if events[2].At != 4 { // A clock that runs backwards is taken to stand still.
		t.Errorf("the last event is at %v", events[2].At)
	}
	if h.Len() != 11 || observed != 11 {
		t.Errorf("%d events, %d observed; want 11", h.Len(), observed)
	}
}

func TestEventsAreReadable(t *testing.T) {
	t.Parallel()
	s := newScript(check.Config{})
	done(s)
	events := s.Task("a")
	last := events[len(events)-1]
	if got, want := last.String(), "#10 0s read-reply task=a job=j function=f verdict=found COMPLETED attempts=1 failures=0 losses=0 undelivered=0"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	text, err := json.Marshal(last)
	if err != nil || !strings.Contains(string(text), `"kind":"read-reply"`) {
		t.Errorf("JSON: %s, %v", text, err)
	}
}

// A controller that cannot be asked is an error of the audit, and a task that it does not know is
// none.
func TestAudit(t *testing.T) {
	t.Parallel()
	c := newCluster(t, check.Config{}, 1)
	defer c.close()
	client := c.client("c1", link{c.net, "c1"})
	if err := check.Audit(t.Context(), client, []string{"nobody"}); err != nil {
		t.Error(err)
	}
	c.net.serve(http.NotFoundHandler(), func() {})
	if err := check.Audit(t.Context(), client, []string{"a"}); err == nil {
		t.Error("no error without a controller")
	}
}

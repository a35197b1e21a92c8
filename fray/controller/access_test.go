package controller_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/outgoing"
)

// callers are those of guarded clusters, by name: one for each role, two clients, and one with two
// roles.
var callers = map[string]access.Roles{
	"alice": access.Client, "bob": access.Client, "worker": access.Worker, "operator": access.Operator, "reader": access.Reader,
	"injector": access.Injector, "both": access.Client | access.Reader,
}

func tokenOf(name string) string { return name + "-has-a-token-of-its-own" }

// lines is a buffer that several goroutines may write to.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// guarded is a controller that listens and asks who calls.
type guarded struct {
	t     *testing.T
	url   string
	audit *lines
	stop  func()
}

func startGuarded(t *testing.T, s store.Store, edits ...func(*controller.Config)) *guarded {
	t.Helper()
	var text strings.Builder
	for name, roles := range callers {
		fmt.Fprintf(&text, "token %s %s %s\n", tokenOf(name), name, roles)
	}
	path := filepath.Join(t.TempDir(), "access")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	policy, err := access.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	g := &guarded{t: t, audit: &lines{}}
	cfg := controller.Config{
		Store: s, ListenAddress: "127.0.0.1:0", Access: func() *access.Policy { return policy },
		Audit: slog.New(slog.NewJSONHandler(g.audit, nil)), Inspect: func(broken error) { t.Error(broken) },
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	c, err := controller.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.url = c.URL()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(g.stop)
	within(t, "the controller answers", c.Ready())
	return g
}

// as returns a client that shows the token of a caller.
func (g *guarded) as(name string) frayv1connect.ControllerServiceClient {
	transport := outgoing.NewTransport()
	g.t.Cleanup(transport.CloseIdleConnections)
	return frayv1connect.NewControllerServiceClient(&http.Client{Transport: transport}, g.url,
		connect.WithInterceptors(outgoing.ShowToken(func() string { return tokenOf(name) })))
}

// post sends an empty request in JSON, and returns the status and what is answered.
func (g *guarded) post(method, path, token string) (int, string) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, strings.NewReader("{}"))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	transport := outgoing.NewTransport()
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// TestEveryCellOfTheTable calls everything as everybody.
func TestEveryCellOfTheTable(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, store.NewMemory())
	for row := range access.Procedures() {
		method := http.MethodPost
		if strings.Count(row.Procedure, "/") == 1 {
			method = http.MethodGet
		}
		for name, roles := range callers {
			status, body := g.post(method, row.Procedure, tokenOf(name))
			allowed := row.Open || roles.Any(row.Roles)
			if (status != http.StatusForbidden) != allowed || status == http.StatusUnauthorized {
				t.Errorf("%s as %s (%v): %d, %s", row.Procedure, name, roles, status, body)
			}
			if !allowed && (!strings.Contains(body, `\"`+name+`\"`) || !strings.Contains(body, row.Procedure) || !strings.Contains(body, row.Roles.String())) {
				t.Errorf("%s as %s: the refusal does not say who, what and which roles would do: %s", row.Procedure, name, body)
			}
		}
	}
}

func TestNothingIsOpenWithoutACredential(t *testing.T) {
	t.Parallel()
	for row := range access.Procedures() {
		if row.Open {
			continue
		}
		// A controller of its own for some, since failures of one address are bounded.
		t.Run(strings.Trim(strings.ReplaceAll(row.Procedure, "/", "_"), "_"), func(t *testing.T) {
			t.Parallel()
			g := startGuarded(t, store.NewMemory())
			for _, token := range []string{"", "nobody-has-this-token"} {
				if status, body := g.post(http.MethodPost, row.Procedure, token); status != http.StatusUnauthorized {
					t.Errorf("with %q it is answered %d, %s", token, status, body)
				}
			}
		})
	}
}

// submitAs submits tasks to a job.
func (g *guarded) submitAs(name, job string, ids ...string) error {
	req := &frayv1.SubmitTasksRequest{JobId: job}
	for _, id := range ids {
		req.Tasks = append(req.Tasks, spec(id))
	}
	res, err := g.as(name).SubmitTasks(g.t.Context(), req)
	if err == nil && len(res.GetFailures()) > 0 {
		err = fmt.Errorf("failures: %v", res.GetFailures())
	}
	return err
}

func TestJobsBelongToWhoSubmitsFirst(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, store.NewMemory())
	for job, name := range map[string]string{"a-job": "alice", "b-job": "bob", "w-job": "worker", "o-job": "operator"} {
		if err := g.submitAs(name, job, job+"-1"); err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	for name := range callers {
		if name == "injector" {
			continue
		}
		c := g.as(name)
		others := name != "alice" && name != "both" && name != "bob" // It may do with any job what it may do.
		changes := others && name != "reader"
		reads := others || name == "both" || name == "reader"
		own := map[string]string{"alice": "a-job", "bob": "b-job"}[name]
		for _, job := range []string{"a-job", "b-job", "w-job", "o-job"} {
			check := func(what string, allowed bool, err error) {
				t.Helper()
				if got := connect.CodeOf(err); (err == nil || got != connect.CodePermissionDenied) != allowed {
					t.Errorf("%s: %s of %s: %v, want allowed %v", name, what, job, err, allowed)
				}
			}
			id := job + "-1"
			_, err := c.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: id})
			check("get", reads || job == own, err)
			_, err = c.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: id})
			check("result", reads || job == own, err)
			res, err := c.GetTaskResults(ctx, &frayv1.GetTaskResultsRequest{TaskIds: []string{id, "unknown"}})
			if err != nil || !slices.Equal(res.GetUnknownTaskIds(), []string{"unknown"}) || slices.Contains(res.GetRefusedTaskIds(), id) == (reads || job == own) {
				t.Errorf("%s: results of %s: %v, %v", name, id, res, err)
			}
			_, err = c.WatchJob(ctx, &frayv1.WatchJobRequest{JobId: job})
			check("watch", reads || job == own, err)
			_, err = c.GetJob(ctx, &frayv1.GetJobRequest{JobId: job})
			check("get job", reads || job == own, err)
			_, err = c.ListTasks(ctx, &frayv1.ListTasksRequest{JobId: job})
			check("list", name != "worker" && (reads || job == own), err)
			check("submit", changes || job == own, g.submitAs(name, job, job+"-of-"+name))
			_, err = c.CancelTasks(ctx, &frayv1.CancelTasksRequest{JobId: job, TaskIds: []string{"unknown"}})
			check("cancel", changes || job == own, err)
			verdicts, err := c.CancelTasks(ctx, &frayv1.CancelTasksRequest{TaskIds: []string{"unknown", id}})
			refused := frayv1.CancelVerdict_CANCEL_VERDICT_REFUSED
			if name == "reader" {
				wantCode(t, err, connect.CodePermissionDenied)
			} else if v := verdicts.GetVerdicts(); err != nil || v[0] != frayv1.CancelVerdict_CANCEL_VERDICT_NOT_FOUND || (v[1] == refused) == (changes || job == own) {
				t.Errorf("%s: cancel %s: %v, %v", name, id, v, err)
			}
		}
		if name == "worker" {
			continue
		}
		jobs, err := c.ListJobs(ctx, &frayv1.ListJobsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs.GetJobs() {
			if !reads && j.GetJobId() != own {
				t.Errorf("%s is shown job %v", name, j)
			}
		}
		if len(jobs.GetJobs()) == 0 {
			t.Errorf("%s is shown no job", name)
		}
		list, err := c.ListTasks(ctx, &frayv1.ListTasksRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range list.GetTasks() {
			if !reads && task.GetJobId() != own {
				t.Errorf("%s is shown %v", name, task)
			}
		}
		if want := reads || own != ""; (len(list.GetTasks()) > 0) != want {
			t.Errorf("%s is shown %d tasks", name, len(list.GetTasks()))
		}
	}
}

func TestTaskIdsAreOneSpaceForAll(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, store.NewMemory())
	if err := g.submitAs("alice", "a-job", "x"); err != nil {
		t.Fatal(err)
	}
	_, err := g.as("bob").SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "b-job", Task: spec("x")})
	wantCode(t, err, connect.CodeAlreadyExists)
	// What was refused made no job.
	if err := g.submitAs("alice", "b-job", "y"); err != nil {
		t.Errorf("the job is not free: %v", err)
	}
}

func TestOwnersOutliveTheController(t *testing.T) {
	t.Parallel()
	s := lasting{store.NewMemory()}
	before := startOn(t, s) // Without roles.
	before.submit("everybodys")
	if err := before.stop(); err != nil {
		t.Fatal(err)
	}
	g := startGuarded(t, s)
	if err := g.submitAs("alice", "a-job", "a"); err != nil {
		t.Fatal(err)
	}
	if err := g.submitAs("operator", "a-job", "of-operator"); err != nil {
		t.Fatal(err)
	}
	g.stop()
	g = startGuarded(t, s)
	for id, allowed := range map[string]bool{"a": false, "of-operator": false, "everybodys": true} {
		_, err := g.as("bob").GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: id})
		if (err == nil) != allowed {
			t.Errorf("bob gets %s: %v, want allowed %v", id, err, allowed)
		}
		if _, err := g.as("alice").GetTask(t.Context(), &frayv1.GetTaskRequest{TaskId: id}); err != nil {
			t.Errorf("alice gets %s: %v", id, err)
		}
	}
	wantCode(t, g.submitAs("bob", "a-job", "b"), connect.CodePermissionDenied)
	if err := g.submitAs("bob", "job", "b"); err != nil {
		t.Errorf("a job without an owner is not everybody's: %v", err)
	}
	g.stop()
	// And is none of anybody's concern where there are no roles.
	after := startOn(t, s)
	if got := after.status("a").GetJobId(); got != "a-job" {
		t.Errorf("its job is %q", got)
	}
}

func TestAuditTellsOfChangesAndRefusals(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, store.NewMemory())
	ids := make([]string, 0, 40)
	for i := range 40 {
		ids = append(ids, fmt.Sprintf("t%02d", i))
	}
	if err := g.submitAs("alice", "a-job", ids...); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, err := g.as("alice").GetTask(ctx, &frayv1.GetTaskRequest{TaskId: "t00"}) // Is not told of.
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.as("bob").GetTask(ctx, &frayv1.GetTaskRequest{TaskId: "t00"})
	wantCode(t, err, connect.CodePermissionDenied)
	if _, err = g.as("bob").GetTaskResults(ctx, &frayv1.GetTaskResultsRequest{TaskIds: []string{"t00", "no"}}); err != nil {
		t.Fatal(err)
	}
	if _, err = g.as("bob").CancelTasks(ctx, &frayv1.CancelTasksRequest{TaskIds: []string{"t00", "t01", "no"}}); err != nil {
		t.Fatal(err)
	}
	w := &worker{c: &cluster{ControllerServiceClient: g.as("worker"), t: t}}
	w = w.c.worker("w1")
	w.report(succeeded(w.lease(1)[0], "value"))
	_, err = g.as("operator").DrainWorker(ctx, &frayv1.DrainWorkerRequest{WorkerId: "nobody"})
	wantCode(t, err, connect.CodeNotFound)
	_, err = g.as("alice").DrainWorker(ctx, &frayv1.DrainWorkerRequest{WorkerId: "w1"})
	wantCode(t, err, connect.CodePermissionDenied)
	_, err = g.as("operator").CreateBackup(ctx, &frayv1.CreateBackupRequest{Name: "b1"})
	wantCode(t, err, connect.CodeFailedPrecondition)
	_, err = g.as("operator").StepDown(ctx, &frayv1.StepDownRequest{Epoch: 7})
	wantCode(t, err, connect.CodeFailedPrecondition)
	_, err = g.as("alice").StepDown(ctx, &frayv1.StepDownRequest{})
	wantCode(t, err, connect.CodePermissionDenied)
	_, err = g.as("alice").RetryTasks(ctx, &frayv1.RetryTasksRequest{TaskIds: []string{"t0", "t1"}, RetryId: "r"})
	if err != nil {
		t.Fatal(err)
	}
	g.post(http.MethodPost, frayv1connect.ControllerServiceGetTaskProcedure, "nobody-has-this-token")
	g.stop()

	var got []string
	for line := range bytes.Lines(g.audit.buf.Bytes()) {
		var l struct {
			Time, Caller, Credential, Address, Procedure, Code string
			Job                                                string   `json:"job_id"`
			Tasks                                              []string `json:"task_ids"`
			Count                                              int      `json:"task_count"`
			Refused                                            int      `json:"refused_count"`
			Worker                                             string   `json:"worker_id"`
			Backup                                             string
			Epoch                                              *uint64
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if l.Time == "" || !strings.HasPrefix(l.Address, "127.0.0.1:") || (l.Credential == "token") != (l.Caller != "") {
			t.Errorf("a line has no time, address or credential: %s", line)
		}
		_, method, _ := strings.Cut(strings.TrimPrefix(l.Procedure, "/"), "/")
		epoch := ""
		if l.Epoch != nil {
			epoch = fmt.Sprint("epoch ", *l.Epoch)
		}
		got = append(got, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %d/%d %d %s %s %s", l.Caller, method, l.Code, l.Job, len(l.Tasks), l.Count, l.Refused, l.Worker, l.Backup, epoch)), " "))
	}
	want := []string{
		"alice SubmitTasks ok a-job 16/40 0",
		"bob GetTask permission_denied 1/1 0",
		"bob GetTaskResults ok 2/2 1",
		"bob CancelTasks ok 3/3 2",
		"worker RegisterWorker ok 0/0 0 w1",
		"operator DrainWorker not_found 0/0 0 nobody",
		"alice DrainWorker permission_denied 0/0 0",
		"operator CreateBackup failed_precondition 0/0 0 b1",
		"operator StepDown failed_precondition 0/0 0 epoch 7",
		"alice StepDown permission_denied 0/0 0",
		"alice RetryTasks ok 2/2 0",
		"GetTask unauthenticated 0/0 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the audit has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAccessNeedsAListener(t *testing.T) {
	t.Parallel()
	_, err := controller.New(controller.Config{Store: store.NewMemory(), Access: func() *access.Policy { return nil }, MetricsAddress: ":0"})
	if err == nil || !strings.Contains(err.Error(), "put an access.Guard before Handler") || !strings.Contains(err.Error(), "MetricsAddress needs") {
		t.Errorf("error %v", err)
	}
}

package integration_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/access"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/integration/tasks"
)

func TestRestarts(t *testing.T) {
	t.Parallel()
	playDurable(t, []scenario{
		{
			name: "running task goes on", protects: "a restart of the controller costs a running task nothing: its worker keeps it",
			run: func(t *testing.T, c *cluster) {
				c.worker("w")
				ctx := c.client()
				h := c.hold()
				f := run(ctx, t, tasks.Held, h)
				c.awaitHeld(f.ID(), h)
				c.restart()
				c.awaitStatus(f.ID(), frayv1.TaskStatus_TASK_STATUS_RUNNING)
				c.open(h)
				get(ctx, t, f)
				c.wantCharges(f.ID(), 1, 0, 0)
				want := []tasks.Entry{{Task: f.ID(), Attempt: 1, Worker: "w", Event: "start"}, {Task: f.ID(), Attempt: 1, Worker: "w", Event: "end"}}
				if got := c.ledger(h.Ledger); !slices.Equal(got, want) {
					t.Errorf("ledger %v, want %v", got, want)
				}
			},
		},
		{
			name: "result that nobody had", protects: "a task that ends while the controller is away has its result counted when it is back",
			run: func(t *testing.T, c *cluster) {
				c.worker("w")
				ctx := c.client()
				h := c.hold()
				f := run(ctx, t, tasks.Held, h)
				c.awaitHeld(f.ID(), h)
				c.controller.kill()
				c.open(h)
				c.awaitEvents(h.Ledger, "end", 1)
				c.reborn()
				get(ctx, t, f)
				c.wantCharges(f.ID(), 1, 0, 0)
				if n := c.events(h.Ledger)["start"]; n != 1 {
					t.Errorf("executed %d times", n)
				}
			},
		},
		{
			name: "queue and results", protects: "what waits is still there after a restart, and what has ended has its result",
			run: func(t *testing.T, c *cluster) {
				w := c.worker("w", "--slots", "4")
				ctx := c.client()
				squares := runAll(ctx, t, tasks.Square, 2, 3, 4)
				for _, f := range squares {
					get(ctx, t, f)
				}
				w.kill()
				c.awaitNoWorker("w")
				waiting := runAll(ctx, t, tasks.Square, 5, 6)
				c.restart()
				for i, f := range squares {
					res, err := c.GetTaskResult(c.context(), &frayv1.GetTaskResultRequest{TaskId: f.ID()})
					if err != nil || string(res.GetResult().GetValue().GetData()) != []string{"4", "9", "16"}[i] {
						t.Errorf("after the restart %s is %v, %v", f.ID(), res, err)
					}
				}
				c.worker("w")
				if a, b := get(ctx, t, waiting[0]), get(ctx, t, waiting[1]); a != 25 || b != 36 {
					t.Errorf("what waited came to %d and %d", a, b)
				}
			},
		},
		{
			name: "submission once more", protects: "a client that does not know whether its task was taken asks again, and gets the same task",
			run: func(t *testing.T, c *cluster) {
				submit := func(priority int32) (*frayv1.SubmitTaskResponse, error) {
					return c.SubmitTask(c.context(), &frayv1.SubmitTaskRequest{JobId: "j", Task: &frayv1.TaskSpec{
						TaskId: "once", Function: "square", Payload: &frayv1.Payload{Encoding: "json", Data: []byte("7")}, Priority: priority,
					}})
				}
				if r, err := submit(1); err != nil || !r.GetCreated() {
					t.Fatalf("submit: %v, %v", r, err)
				}
				c.restart()
				if r, err := submit(1); err != nil || r.GetCreated() {
					t.Errorf("the same again: %v, %v", r, err)
				}
				_, err := submit(2)
				wantCode(t, err, connect.CodeAlreadyExists)
			},
		},
		{
			name: "cursor", protects: "who follows a job goes on where it was, and misses nothing",
			run: func(t *testing.T, c *cluster) {
				c.worker("w", "--slots", "4")
				ctx := c.client()
				futures := runAll(ctx, t, tasks.Square, 1, 2, 3)
				for _, f := range futures {
					get(ctx, t, f)
				}
				job := c.task(futures[0].ID()).GetJobId()
				first, err := c.WatchJob(c.context(), &frayv1.WatchJobRequest{JobId: job, MaxResults: 2})
				if err != nil {
					t.Fatal(err)
				}
				c.restart()
				rest, err := c.WatchJob(c.context(), &frayv1.WatchJobRequest{JobId: job, Cursor: first.GetNextCursor()})
				if err != nil || len(rest.GetResults()) != 1 || rest.GetMissedCount() != 0 {
					t.Fatalf("after the cursor: %v, %v", rest, err)
				}
				for _, r := range first.GetResults() {
					if r.GetTask().GetTaskId() == rest.GetResults()[0].GetTask().GetTaskId() {
						t.Errorf("%s was told of before the restart", r.GetTask().GetTaskId())
					}
				}
			},
		},
		{
			name: "cancellation", protects: "a cancelled task is not started by a controller that has restarted since",
			run: func(t *testing.T, c *cluster) {
				w := c.worker("w")
				ctx := c.client()
				h := c.hold()
				f := run(ctx, t, tasks.Held, h, fray.WithMaxWorkerLosses(5))
				c.awaitHeld(f.ID(), h)
				w.pause() // so that it does not hear of it
				if _, err := c.CancelTasks(c.context(), &frayv1.CancelTasksRequest{TaskIds: []string{f.ID()}}); err != nil {
					t.Fatal(err)
				}
				c.restart()
				c.worker("other")
				w.resume()
				c.awaitStatus(f.ID(), frayv1.TaskStatus_TASK_STATUS_CANCELLED)
				if n := c.events(h.Ledger)["start"]; n != 1 {
					t.Errorf("started %d times", n)
				}
			},
		},
		{
			name: "retries", protects: "failures are counted over restarts, so that a task has the retries that it was given and no more",
			run: func(t *testing.T, c *cluster) {
				c.worker("w")
				ctx := c.client()
				f := run(ctx, t, tasks.Fail, tasks.Failure{Message: "no", RetryAfter: outageLength}, fray.WithRetries(1))
				eventually(t, "it has failed once", func() bool { return c.task(f.ID()).GetFailureCount() == 1 })
				c.restart()
				if _, err := f.Get(ctx); err == nil {
					t.Error("it has a value")
				}
				c.wantCharges(f.ID(), 2, 2, 0)
			},
		},
		{
			name: "backup", protects: "a copy that was made of a running controller is a controller's directory",
			run: func(t *testing.T, c *cluster) {
				needDirectory(t)
				c.worker("w")
				ctx := c.client()
				f := run(ctx, t, tasks.Square, 12)
				get(ctx, t, f)
				out, code := c.fray("backup", "first", "--controller", c.url())
				if code != 0 {
					t.Fatalf("backup: exit %d: %s", code, out)
				}
				if out, code := c.fray("backup", "first", "--controller", c.url()); code == 0 || !strings.Contains(out, "choose another name") {
					t.Errorf("a second backup of that name: exit %d: %s", code, out)
				}
				copied := newCluster(t, "--data-dir", strings.TrimSpace(out))
				if got := copied.task(f.ID()).GetStatus(); got != frayv1.TaskStatus_TASK_STATUS_COMPLETED {
					t.Errorf("in the copy it is %v", got)
				}
			},
		},
		{
			name: "dump", protects: "what a stopped controller left can be looked at, and a running one's directory is left alone",
			run: func(t *testing.T, c *cluster) {
				needDirectory(t)
				c.worker("w")
				ctx := c.client()
				f := run(ctx, t, tasks.Square, 12)
				get(ctx, t, f)
				if out, code := c.fray("debug", "dump", "--data-dir", c.dataDir()); code == 0 || !strings.Contains(out, "in use by another process") {
					t.Errorf("dump of a directory in use: exit %d: %s", code, out)
				}
				c.controller.kill()
				before := treeDigest(t, c.dataDir())
				out, code := c.fray("debug", "dump", "--data-dir", c.dataDir(), "-o", "json")
				if code != 0 || !strings.Contains(out, f.ID()) || !strings.Contains(out, `"value":144`) {
					t.Errorf("dump: exit %d: %s", code, out)
				}
				if after := treeDigest(t, c.dataDir()); before != after {
					t.Errorf("dumping changed the directory from\n%s\nto\n%s", before, after)
				}
			},
		},
		{
			name: "damaged log", protects: "a controller does not start on records that lost what it acknowledged, and what is left of them can be looked at",
			run: func(t *testing.T, c *cluster) {
				needDirectory(t)
				f := run(c.client(), t, tasks.Square, 12)
				c.awaitStatus(f.ID(), frayv1.TaskStatus_TASK_STATUS_PENDING)
				c.controller.kill()
				logs, err := filepath.Glob(filepath.Join(c.dataDir(), "db", "*.log"))
				if err != nil || len(logs) == 0 {
					t.Fatal(logs, err)
				}
				for _, path := range logs {
					if err := os.Truncate(path, 0); err != nil {
						t.Fatal(err)
					}
				}
				before := treeDigest(t, c.dataDir())
				out, code := c.fray("controller", "--listen", "127.0.0.1:0", "--data-dir", c.dataDir())
				if code == 0 || !strings.Contains(out, ".log is damaged: ") || !strings.Contains(out, "restore a backup") {
					t.Errorf("a controller on it: exit %d: %s", code, out)
				}
				out, code = c.fray("debug", "dump", "--data-dir", c.dataDir())
				if code == 0 || !strings.Contains(out, "what follows is not all: ") {
					t.Errorf("dump: exit %d: %s", code, out)
				}
				if after := treeDigest(t, c.dataDir()); before != after {
					t.Errorf("that changed the directory from\n%s\nto\n%s", before, after)
				}
			},
		},
		{
			name: "in use", protects: "two controllers never share a directory",
			run: func(t *testing.T, c *cluster) {
				needDirectory(t)
				out, code := c.fray("controller", "--listen", "127.0.0.1:0", "--data-dir", c.dataDir())
				if code == 0 || !strings.Contains(out, "in use by another process") || !strings.Contains(out, c.dataDir()) {
					t.Errorf("a second controller: exit %d: %s", code, out)
				}
				if _, err := c.GetClusterInfo(c.context(), &frayv1.GetClusterInfoRequest{}); err != nil {
					t.Errorf("the first: %v", err)
				}
			},
		},
	})
}

func TestRelaxedDurabilityIsSaid(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "--data-dir", filepath.Join(t.TempDir(), "data"), "--durability", "relaxed")
	log, err := os.ReadFile(c.controller.err)
	if err != nil || !strings.Contains(string(log), "durability is relaxed") {
		t.Errorf("log: %s, %v", log, err)
	}
	if out, code := c.fray("cluster", "--controller", c.url()); code != 0 || !strings.Contains(out, "a crash takes") {
		t.Errorf("cluster: exit %d: %s", code, out)
	}
}

// playDurable runs each scenario on a controller with a directory of its own, which can be started
// again.
func playDurable(t *testing.T, scenarios []scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.perform(t, newCluster(t, "--listen", "127.0.0.1:"+freePort(t), "--data-dir", filepath.Join(t.TempDir(), "data")))
		})
	}
}

// restart kills the controller, and starts it again.
func (c *cluster) restart() {
	c.t.Helper()
	c.controller.kill()
	c.reborn()
}

// dataDir is the controller's.
func (c *cluster) dataDir() string { return c.args[slices.Index(c.args, "--data-dir")+1] }

// wantCharges checks what a task was charged.
func (c *cluster) wantCharges(id string, attempts, failures, losses uint32) {
	c.t.Helper()
	if task := c.task(id); task.GetAttemptNumber() != attempts || task.GetFailureCount() != failures || task.GetWorkerLossCount() != losses {
		c.t.Errorf("want %d attempts, %d failures and %d lost workers, is %v", attempts, failures, losses, task)
	}
}

// fray runs the command to its end, and returns what it writes and its exit code.
func (c *cluster) fray(args ...string) (string, int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.from.path(c.t, "fray"), args...)
	cmd.Env = commandVariables(access.Operator)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		c.t.Fatalf("run fray %v: %v", args, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// commandVariables are what a command sees that calls a controller in a role.
func commandVariables(role access.Roles) []string {
	all := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "FRAY_") })
	if f := secure.files; *mtls {
		all = append(all, "FRAY_CA="+f.CA, "FRAY_TLS_CERT="+f.Cert, "FRAY_TLS_KEY="+f.Key, fmt.Sprintf("FRAY_HTTP3=%t", *http3))
	}
	if *roles {
		all = append(all, "FRAY_TOKEN_FILE="+tokenFile(role))
	}
	if dir := os.Getenv(coverVariable); dir != "" {
		all = append(all, "GOCOVERDIR="+dir)
	}
	return all
}

// runAll submits tasks that must be accepted.
func runAll[In, Out any](ctx context.Context, t testing.TB, task *fray.Task[In, Out], ins ...In) []*fray.Future[Out] {
	t.Helper()
	futures, err := task.RunAll(ctx, ins)
	if err != nil {
		t.Fatal(err)
	}
	return futures
}

// treeDigest tells the files below a directory, and what is in them.
func treeDigest(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", path, sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

package integration_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/integration/tasks"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// shortTTL is the session TTL of a test that waits for a session's end. Other tests have the
// default, which is long enough for a session to survive whatever else the machine is busy with.
const shortTTL = "3s"

// cluster is a controller, workers, and ways to reach them.
type cluster struct {
	// The raw client; it repeats nothing by itself.
	frayv1connect.ControllerServiceClient

	t          testing.TB
	from       *builder // of what is started next
	controller *process
	args       []string // of the controller
	http       *http.Client
	dir        string
	files      int
}

// newCluster starts a controller with these arguments beside the usual ones. Later ones win.
func newCluster(t testing.TB, args ...string) *cluster {
	t.Helper()
	return newClusterFrom(t, &programs, args...)
}

// newClusterFrom is newCluster with programs of whatever commit.
func newClusterFrom(t testing.TB, from *builder, args ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, from: from, dir: t.TempDir(), http: newHTTPClient(t, false)}
	c.args = append(secured(true, "controller", "--listen", "127.0.0.1:0"), args...)
	if !slices.Contains(args, dataDirOption) && !slices.Contains(args, "--in-memory") {
		c.args = append(c.args, memory(t)...)
	}
	c.controller = startProcess(t, "controller", from.path(t, "fray"), c.args...)
	c.ControllerServiceClient = frayv1connect.NewControllerServiceClient(c.http, c.url())
	return c
}

// newHTTPClient returns a client with connections of its own.
func newHTTPClient(t testing.TB, h2c bool) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols), MaxIdleConnsPerHost: 64}
	transport.Protocols.SetHTTP1(!h2c)
	transport.Protocols.SetUnencryptedHTTP2(h2c && !*mtls)
	transport.Protocols.SetHTTP2(h2c && *mtls)
	transport.TLSClientConfig = secure.config.Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: leastRoles{transport}}
}

func (c *cluster) url() string { return c.controller.url }

// reborn starts the controller again, after its end, where it was.
func (c *cluster) reborn() {
	c.t.Helper()
	_, port, err := net.SplitHostPort(host(c.url()))
	if err != nil {
		c.t.Fatal(err)
	}
	c.controller = startProcess(c.t, "controller", c.from.path(c.t, "fray"), append(slices.Clone(c.args), "--listen", "127.0.0.1:"+port)...)
}

// freePort returns a port that nobody listens on, and that the system gives to nobody who does not
// ask for it, so that a controller can come back to it.
func freePort(t testing.TB) string {
	t.Helper()
	const first, last = 20_000, 30_000 // below the ports of outgoing connections
	for n := range last - first {
		port := strconv.Itoa(first + (os.Getpid()*137+n+int(time.Now().UnixMicro()))%(last-first))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// worker starts a worker with these arguments beside the usual ones, and waits until the controller
// knows it.
func (c *cluster) worker(id string, args ...string) *process {
	c.t.Helper()
	p := c.workerAt(c.url(), id, args...)
	c.awaitWorker(id)
	return p
}

// workerAt starts a worker that reaches the controller at another address, and does not wait for
// its registration.
func (c *cluster) workerAt(url, id string, args ...string) *process {
	c.t.Helper()
	args = append(secured(false, "--controller", url, "--id", id, "--stop-grace", "500ms", "--drain-grace", "1s"), args...)
	return startProcess(c.t, id, c.from.path(c.t, "testworker"), args...)
}

// awaitWorker waits until the controller knows a worker and would give it work.
func (c *cluster) awaitWorker(id string) {
	c.t.Helper()
	eventually(c.t, "worker "+id+" is registered", func() bool {
		w := c.findWorker(id)
		return w != nil && !w.GetDraining()
	})
}

func (c *cluster) awaitNoWorker(id string) {
	c.t.Helper()
	eventually(c.t, "worker "+id+" is gone from the controller", func() bool { return c.findWorker(id) == nil })
}

// findWorker returns what the controller tells of a worker, as soon as it answers; nil: it does not
// know it.
func (c *cluster) findWorker(id string) *frayv1.Worker {
	c.t.Helper()
	var res *frayv1.ListWorkersResponse
	eventually(c.t, "the controller answers", func() bool {
		ctx, cancel := context.WithTimeout(c.context(), patience/3)
		defer cancel()
		var err error
		res, err = c.ListWorkers(ctx, &frayv1.ListWorkersRequest{})
		return err == nil
	})
	for _, w := range res.GetWorkers() {
		if w.GetWorkerId() == id {
			return w
		}
	}
	return nil
}

// in returns the same cluster as a test's own, which is a part of the test that started it.
func (c *cluster) in(t testing.TB) *cluster {
	t.Helper()
	part := *c
	part.t, part.dir, part.files = t, t.TempDir(), 0
	return &part
}

// context is the test's.
func (c *cluster) context() context.Context { return c.t.Context() }

// client returns a context with a job context of kind fray, which ends with the test.
func (c *cluster) client(opts ...fray.Option) context.Context {
	c.t.Helper()
	return newClient(c.t, c.url(), opts...)
}

func newClient(t testing.TB, url string, opts ...fray.Option) context.Context {
	t.Helper()
	jc, err := fray.NewJobContext(context.WithoutCancel(t.Context()), fray.KindFray, slices.Concat([]fray.Option{fray.WithControllerAddress(url)}, asClient(), opts)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := jc.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience) // so that what hangs fails by name
	t.Cleanup(cancel)
	return fray.NewContext(ctx, jc)
}

// task returns the controller's view of a task.
func (c *cluster) task(id string) *frayv1.Task {
	c.t.Helper()
	res, err := c.GetTask(c.context(), &frayv1.GetTaskRequest{TaskId: id})
	if err != nil {
		c.t.Fatal(err)
	}
	return res.GetTask()
}

// awaitStatus waits until a task is in a status.
func (c *cluster) awaitStatus(id string, status frayv1.TaskStatus) {
	c.t.Helper()
	eventually(c.t, "task "+id+" is "+status.String(), func() bool { return c.task(id).GetStatus() == status })
}

// awaitHeld waits until the task that h holds is in its function, and the controller knows that it
// runs. The one does not follow from the other: an attempt is said to run when it should, and on a
// busy machine that can be before it does.
func (c *cluster) awaitHeld(id string, h tasks.Hold) {
	c.t.Helper()
	c.awaitStatus(id, frayv1.TaskStatus_TASK_STATUS_RUNNING)
	c.awaitEvents(h.Ledger, "start", 1)
}

// path returns the path of a new file that is not there yet.
func (c *cluster) path(name string) string {
	c.files++
	return filepath.Join(c.dir, strconv.Itoa(c.files)+"-"+name)
}

// hold returns the input of a task that runs until open is called on it.
func (c *cluster) hold() tasks.Hold {
	return tasks.Hold{Ledger: c.path("ledger"), Gate: c.path("gate")}
}

// open ends the tasks that are held by h.
func (c *cluster) open(h tasks.Hold) {
	c.t.Helper()
	if err := os.WriteFile(h.Gate, nil, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// ledger returns the entries of a ledger.
func (c *cluster) ledger(path string) []tasks.Entry {
	c.t.Helper()
	entries, err := tasks.ReadLedger(path)
	if err != nil {
		c.t.Fatal(err)
	}
	return entries
}

// events counts the entries of a ledger by event.
func (c *cluster) events(path string) map[string]int {
	c.t.Helper()
	counts := map[string]int{}
	for _, e := range c.ledger(path) {
		counts[e.Event]++
	}
	return counts
}

// awaitEvents waits until a ledger has n entries of an event.
func (c *cluster) awaitEvents(path, event string, n int) {
	c.t.Helper()
	eventually(c.t, strconv.Itoa(n)+" times "+event+" in the ledger", func() bool { return c.events(path)[event] >= n })
}

// wantCode checks the code of an error that came over the wire.
func wantCode(t testing.TB, err error, want connect.Code) {
	t.Helper()
	if connect.CodeOf(err) != want {
		t.Errorf("error %v, want code %v", err, want)
	}
}

// get returns the value of a task that must have one.
func get[Out any](ctx context.Context, t testing.TB, f *fray.Future[Out]) Out {
	t.Helper()
	value, err := f.Get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// run submits a task that must be accepted.
func run[In, Out any](ctx context.Context, t testing.TB, task *fray.Task[In, Out], in In, opts ...fray.CallOption) *fray.Future[Out] {
	t.Helper()
	f, err := task.Run(ctx, in, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

package check_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/worker"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/sim/check"
)

// The functions of the tests' workers.
var (
	double = fray.Define("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	nap    = fray.Define("nap", func(ctx context.Context, ms int) (int, error) {
		return ms, pause(ctx, time.Duration(ms)*time.Millisecond)
	})
	sulk = fray.Define("sulk", func(_ context.Context, ms int) (int, error) {
		return ms, pause(context.Background(), time.Duration(ms)*time.Millisecond)
	})
	flaky = fray.Define("flaky", func(ctx context.Context, _ int) (string, error) {
		if info, _ := fray.InTask(ctx); info.Attempt%3 != 0 {
			return "", errors.New("not yet")
		}
		return "at last", nil
	})
	wrap = fray.Define("wrap", func(_ context.Context, _ int) (string, error) { panic("boom") })
)

// cluster is a real controller with real workers, recorded and judged.
type cluster struct {
	t       *testing.T
	oracles *check.Oracles
	history *check.History
	net     *network
	url     string
	metrics []prometheus.Gatherer
	crash   context.CancelFunc // of the controller
	stop    []context.CancelFunc
	ended   sync.WaitGroup
}

func newCluster(t *testing.T, cfg check.Config, seed uint64) *cluster {
	t.Helper()
	c := &cluster{t: t, oracles: check.New(cfg), net: newNetwork(seed), url: "http://controller"}
	c.history = check.NewHistory(check.HistoryConfig{Observe: c.oracles.Observe})
	c.controller()
	return c
}

// controller starts a controller, in the place of the one that there was.
func (c *cluster) controller() {
	c.t.Helper()
	registry := prometheus.NewRegistry()
	c.metrics = append(c.metrics, registry)
	ctl, err := controller.New(controller.Config{Store: store.NewMemory(), Registerer: registry})
	if err != nil {
		c.t.Fatal(err)
	}
	_, handler := ctl.Handler()
	c.net.serve(handler, func() {
		if c.crash != nil {
			c.history.Crash("controller")
			c.crash()
		}
	})
	c.crash, _ = c.run("controller", ctl.Run)
}

// run starts a process, and returns what ends it, and what is closed once it has ended.
func (c *cluster) run(name string, f func(context.Context) error) (stop context.CancelFunc, ended <-chan struct{}) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	c.ended.Go(func() {
		defer close(over)
		if err := f(ctx); err != nil {
			c.t.Errorf("%s: %v", name, err)
		}
	})
	c.stop = append(c.stop, cancel)
	return cancel, over
}

// close ends all processes.
func (c *cluster) close() {
	for _, stop := range c.stop {
		stop()
	}
	c.ended.Wait()
	c.net.late.Wait()
}

// process is a worker's life.
type process struct {
	*check.Recorder

	stop  context.CancelFunc
	ended <-chan struct{}
}

// worker starts a worker. Lives of one worker are hosts of their own, so that a dead one can be cut
// off.
func (c *cluster) worker(id, host string, client connect.HTTPClient) process {
	c.t.Helper()
	recorder := check.NewRecorder(c.history, host)
	recorder.Causes = causes
	registry := prometheus.NewRegistry()
	c.metrics = append(c.metrics, registry)
	w, err := worker.New(worker.Config{
		ControllerURL: c.url, ID: id, Slots: 2, Resources: map[string]int64{"cpu": 1000}, HTTPClient: client,
		Functions:     recorder.Functions(double, nap, sulk, flaky, wrap),
		ClientOptions: []connect.ClientOption{connect.WithInterceptors(recorder.ClientInterceptor())},
		Registerer:    registry,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	stop, ended := c.run(host, w.Run)
	return process{recorder, stop, ended}
}

func (c *cluster) client(host string, client connect.HTTPClient) *fray.Client {
	c.t.Helper()
	recorder := check.NewRecorder(c.history, host)
	cl, err := fray.NewClient(c.url, fray.WithHTTPClient(client),
		fray.WithClientOptions(connect.WithInterceptors(recorder.ClientInterceptor())))
	if err != nil {
		c.t.Fatal(err)
	}
	return cl
}

func (c *cluster) unsettled() (ids []string) {
	c.history.Still(func() { ids = c.oracles.Unsettled() })
	return ids
}

// verdict makes the closing audit and fails the test for each violation.
func (c *cluster) verdict(ctx context.Context, client *fray.Client) {
	c.t.Helper()
	c.history.Quiesce()
	if err := check.Audit(ctx, client, c.unsettled()); err != nil {
		c.t.Error(err)
	}
	scraped := make(map[string]float64)
	for _, m := range c.metrics {
		if err := check.Scrape(scraped, m); err != nil {
			c.t.Error(err)
		}
	}
	c.oracles.Metrics(scraped)
	var found []check.Violation
	c.history.Still(func() { found = c.oracles.Finish(c.history.Now()) })
	for _, v := range found {
		c.t.Error(v.String())
	}
	if c.t.Failed() && len(found) > 0 {
		for _, e := range c.history.Task(found[0].Task) {
			c.t.Log(e.String())
		}
	}
}

func TestHealthyClusterOverTCP(t *testing.T) {
	t.Parallel()
	c := newCluster(t, check.Config{LivenessBound: 10 * time.Second, FairnessBound: 1000}, 1)
	defer c.close()
	handler, _ := c.net.server()
	server := httptest.NewServer(handler)
	defer server.Close()
	c.url = server.URL
	c.history.Heal()
	w1 := c.worker("w1", "w1", server.Client())
	w2 := c.worker("w2", "w2", server.Client())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	recorder := check.NewRecorder(c.history, "c1")
	jc, err := fray.NewJobContext(ctx, fray.KindFray, fray.WithControllerAddress(server.URL), fray.WithHTTPClient(server.Client()),
		fray.WithClientOptions(connect.WithInterceptors(recorder.ClientInterceptor())))
	if err != nil {
		t.Fatal(err)
	}
	inputs := make([]int, 200)
	for n := range inputs {
		inputs[n] = n
	}
	work := fray.NewContext(ctx, jc)
	futures, err := double.RunAll(work, inputs)
	if err != nil {
		t.Fatal(err)
	}
	retried, err := flaky.Run(work, 0, fray.WithRetries(2), fray.WithBackoff(10*time.Millisecond, 1, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for n, f := range futures {
		if got, err := f.Get(ctx); err != nil || got != 2*n {
			t.Fatalf("double %d: %d, %v", n, got, err)
		}
	}
	if got, err := retried.Get(ctx); err != nil || got != "at last" {
		t.Errorf("flaky: %q, %v", got, err)
	}
	if err := jc.Close(); err != nil {
		t.Error(err)
	}
	for _, w := range []process{w1, w2} { // What they say last is part of the history.
		w.stop()
		<-w.ended
	}
	c.verdict(ctx, c.client("auditor", server.Client()))
	for _, name := range []string{"never-lost", "one-effect", "linearizable", "metrics-agree", "capacity-kept", "backoff-kept", "fairness", "liveness"} {
		if checks(t, c.oracles, name) == 0 {
			t.Errorf("%s checked nothing", name)
		}
	}
}

// Faults are no violations: whatever the network loses, delays and repeats, a correct system
// passes.
func TestFaultsAreNoViolations(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { storm(t, seed, false) })
		})
	}
}

// Nor is it one that a controller that keeps everything in memory loses it when it crashes, where
// that is allowed.
func TestRestartIsNoViolation(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { storm(t, seed, true) })
		})
	}
}

func storm(t *testing.T, seed uint64, restart bool) {
	t.Helper()
	c := newCluster(t, check.Config{LivenessBound: 5 * time.Minute, Redelivery: true, AllowLossAfterRestart: restart}, seed)
	chance := rand.New(rand.NewPCG(seed, 2))
	rate := 0.05 * float64(1+seed%5)
	c.net.fault(rate, rate, rate)
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	defer func() {
		cancel()
		clients.Wait()
		c.close()
		_ = pause(context.Background(), time.Minute) // Until functions that ignore their context have returned.
	}()
	for _, id := range []string{"w1", "w2", "w3"} {
		c.worker(id, id, link{c.net, id})
	}
	doomed := c.worker("w4", "w4.1", link{c.net, "w4.1"})
	client := c.client("c1", link{c.net, "c1"})
	clients.Go(func() { watch(ctx, client) })
	for n := range 60 {
		spec := work(n, chance)
		clients.Go(func() {
			_, _ = client.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: "j", Task: spec})
			_, _ = client.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: spec.GetTaskId()})
		})
		_ = pause(ctx, time.Duration(chance.IntN(1000))*time.Millisecond)
		if n%7 == 6 {
			_, _ = client.CancelTasks(ctx, &frayv1.CancelTasksRequest{TaskIds: []string{fmt.Sprintf("t%d", n-chance.IntN(5))}})
		}
		switch n {
		case 15: // A zombie: it runs on and reports, and was taken for dead.
			c.net.partition("w1", true)
		case 30:
			doomed.Crash()
			c.net.partition("w4.1", true)
			doomed.stop()
			c.worker("w4", "w4.2", link{c.net, "w4.2"})
		case 40:
			if restart {
				c.controller()
			}
		case 50:
			c.net.partition("w1", false)
		}
	}
	c.net.fault(0, 0, 0)
	c.history.Heal()
	for range 60 {
		open := c.unsettled()
		if len(open) == 0 {
			break
		}
		for _, id := range open { // A controller that began anew may have told of an end where the watcher was past it already.
			_, _ = client.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: id})
		}
		_ = pause(ctx, 5*time.Second)
	}
	c.verdict(ctx, client)
}

// work is the nth task.
func work(n int, chance *rand.Rand) *frayv1.TaskSpec {
	names := []string{"double", "nap", "sulk", "flaky", "wrap", "nap"}
	spec := &frayv1.TaskSpec{
		TaskId: fmt.Sprintf("t%d", n), Function: names[n%len(names)],
		Payload:     &frayv1.Payload{Encoding: "json", Data: fmt.Append(nil, chance.IntN(20_000))},
		RetryPolicy: &frayv1.RetryPolicy{MaxRetries: uint32(chance.IntN(4)), BackoffBaseMs: int64(chance.IntN(2000))},
	}
	if chance.IntN(3) == 0 {
		spec.Resources = map[string]int64{"cpu": int64(chance.IntN(1000)) + 1}
	}
	if chance.IntN(4) == 0 {
		spec.ExecutionTimeoutMs = int64(chance.IntN(10_000)) + 1
	}
	return spec
}

// watch follows the job until ctx is done.
func watch(ctx context.Context, client *fray.Client) {
	var cursor uint64
	for ctx.Err() == nil {
		res, err := client.WatchJob(ctx, &frayv1.WatchJobRequest{JobId: "j", Cursor: cursor, MaxWaitMs: 10_000})
		if err != nil {
			cursor = 0 // Another controller may have begun anew.
			_ = pause(ctx, time.Second)
			continue
		}
		cursor = res.GetNextCursor()
	}
}

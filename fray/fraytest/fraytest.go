package fraytest

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/worker"
)

// stopGrace is how long a function may go on once the test has ended.
const stopGrace = time.Second

// Option configures a [Cluster].
type Option func(*options)

type options struct {
	functions  []fray.Function
	workers    int
	slots      int
	plan       string
	controller func(*controller.Config)
	worker     func(*worker.Config)
}

func newOptions(opts []Option) options {
	o := options{workers: 1, slots: 4, controller: func(*controller.Config) {}, worker: func(*worker.Config) {}}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// Functions are what the workers execute: tasks, mostly. Repeated use adds to them.
func Functions(functions ...fray.Function) Option {
	return func(o *options) { o.functions = append(o.functions, functions...) }
}

// Workers sets how many workers there are, worker-1 and so on. The default is 1.
func Workers(n int) Option { return func(o *options) { o.workers = n } }

// Slots sets how many tasks each worker runs at once. The default is 4.
func Slots(n int) Option { return func(o *options) { o.slots = n } }

// Controller has change called with the controller's configuration before it starts, for what there is
// no option for.
func Controller(change func(*controller.Config)) Option {
	return func(o *options) { o.controller = change }
}

// Worker has change called with the configuration of each worker before it starts, such as to give it
// labels.
func Worker(change func(*worker.Config)) Option { return func(o *options) { o.worker = change } }

// Start runs a cluster with one worker of some functions until the test ends. Tasks run on it in the
// context that it returns, which is tb.Context otherwise.
func Start(tb testing.TB, functions ...fray.Function) context.Context {
	tb.Helper()
	return StartCluster(tb, Functions(functions...)).Context()
}

// Cluster is a controller and its workers.
type Cluster struct {
	tb     testing.TB
	logger *slog.Logger
	url    string
	ctx    context.Context //nolint:containedctx // It is the test's.
	faults *network        // nil: there are none
}

// StartCluster runs a cluster until the test ends. The test fails if that cannot be, or if it does not
// end as it should.
func StartCluster(tb testing.TB, opts ...Option) *Cluster {
	tb.Helper()
	o := newOptions(opts)
	c := &Cluster{tb: tb, logger: slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if o.plan != "" {
		c.faults = newNetwork(tb, o.plan)
	}

	records := store.NewMemory()
	tb.Cleanup(func() { check(tb, "close the store", records.Close()) })
	config := controller.Config{Store: records, ListenAddress: "127.0.0.1:0", Logger: c.logger}
	if c.faults != nil {
		config.HandlerOptions = append(config.HandlerOptions, connect.WithInterceptors(c.faults.serving))
	}
	o.controller(&config)
	server, err := controller.New(config)
	if err != nil {
		tb.Fatalf("fraytest: %v", err)
	}
	if err := server.Listen(tb.Context()); err != nil {
		tb.Fatalf("fraytest: %v", err)
	}
	c.url = server.URL()
	// Cleanups run last to first: clients leave, then workers, then the controller.
	runInBackground(tb, "controller", server.Run)
	for i := range o.workers {
		c.startWorker(fmt.Sprintf("worker-%d", i+1), &o)
	}
	c.ctx = c.NewContext()
	if c.faults != nil {
		tb.Cleanup(func() { c.faults.end(tb) })
	}
	return c
}

// StartWorker runs one more worker until the test ends, of which Functions, Slots and Worker say what it
// is like. It must be called by the goroutine of the test.
func (c *Cluster) StartWorker(id string, opts ...Option) {
	c.tb.Helper()
	o := newOptions(opts)
	c.startWorker(id, &o)
}

func (c *Cluster) startWorker(id string, o *options) {
	c.tb.Helper()
	if len(o.functions) == 0 {
		c.tb.Fatalf("fraytest: %s has nothing to execute: pass tasks, or Workers(0) for a cluster without workers", id)
	}
	config := worker.Config{
		ControllerURL: c.url, ID: id, Functions: o.functions, Slots: o.slots,
		DrainGrace: -1, StopGrace: stopGrace, Logger: c.logger,
	}
	if c.faults != nil {
		config.HTTPClient, config.ClientOptions = c.faults.client(c.tb, id)
	}
	o.worker(&config)
	w, err := worker.New(config)
	if err != nil {
		c.tb.Fatalf("fraytest: %v", err)
	}
	runInBackground(c.tb, id, w.Run)
}

// URL returns where the controller is, for clients and workers that the test starts by itself.
func (c *Cluster) URL() string { return c.url }

// Context returns the context in which tasks run on the cluster: that of the test, with a job context.
func (c *Cluster) Context() context.Context { return c.ctx }

// NewContext is Context with a job context of its own, as another client has it, which is closed when
// the test ends. It must be called by the goroutine of the test.
func (c *Cluster) NewContext(opts ...fray.Option) context.Context {
	c.tb.Helper()
	own := []fray.Option{fray.WithControllerAddress(c.url), fray.WithToken(""), fray.WithLogger(nil)}
	if c.faults != nil {
		client, clientOptions := c.faults.client(c.tb, clientName)
		own = append(own, fray.WithHTTPClient(client), fray.WithClientOptions(clientOptions...))
	}
	jc, err := fray.NewJobContext(context.Background(), fray.KindFray, append(own, opts...)...)
	if err != nil {
		c.tb.Fatalf("fraytest: %v", err)
	}
	c.tb.Cleanup(func() { check(c.tb, "close the job context", jc.Close()) })
	return fray.NewContext(c.tb.Context(), jc)
}

// runInBackground runs what ends when its context is done, until the test ends.
func runInBackground(tb testing.TB, what string, run func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		check(tb, what, <-ended)
	})
}

func check(tb testing.TB, what string, err error) {
	tb.Helper()
	if err != nil {
		tb.Errorf("fraytest: %s: %v", what, err)
	}
}

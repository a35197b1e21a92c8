package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/goleak"

	"github.com/frayrpc/fray/cmd/fray/internal/bench"
	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/fraytest"
	"github.com/frayrpc/fray/fray/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runName is the name of runs of these tests.
const runName = "r1"

const testSlots = 8

// startController runs a controller that shows its metrics until the test ends.
func startController(t *testing.T) *fraytest.Cluster {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return fraytest.StartCluster(t, fraytest.Workers(0), fraytest.Controller(func(c *controller.Config) {
		c.Registerer, c.Gatherer = registry, registry
	}))
}

// startWorker runs a worker with functions until the test ends.
func startWorker(t *testing.T, cluster *fraytest.Cluster, id string, labels map[string]string, functions []fray.Function) {
	t.Helper()
	cluster.StartWorker(id, fraytest.Functions(functions...), fraytest.Slots(testSlots),
		fraytest.Worker(func(c *worker.Config) { c.Labels = labels }))
}

// inBackground returns what ends run and waits for it.
func inBackground(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func newTarget(t *testing.T, url string) bench.Target {
	t.Helper()
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	return bench.Target{
		Slots: testSlots,
		NewJob: func(id string) (*fray.JobContext, error) {
			return fray.NewJobContext(context.Background(), fray.KindFray, fray.WithControllerAddress(url), fray.WithJobID(id), fray.WithLogger(nil))
		},
		Metrics: func(ctx context.Context) (bench.Metrics, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
			if err != nil {
				return nil, err
			}
			res, err := transport.RoundTrip(req)
			if err != nil {
				return nil, err
			}
			defer res.Body.Close()
			return bench.ParseMetrics(res.Body)
		},
	}
}

// config is a run on a cluster.
type config struct {
	bench.Config

	cluster *fraytest.Cluster
}

// newConfig is a run of workloads that does little, on a cluster in this process.
func newConfig(t *testing.T, names ...string) config {
	t.Helper()
	chosen, err := bench.Choose(names, false)
	if err != nil {
		t.Fatal(err)
	}
	c := config{Config: bench.Config{
		Plan:      bench.Plan{Tasks: 40, Queued: 30, Callers: []int{1, 3}, Fleets: []int{1, 2}, Idle: 3, Duration: 20 * time.Millisecond, PayloadBytes: 1000, ObjectBytes: 1_200_000, Repeat: 2},
		Workloads: chosen, Functions: bench.NewFunctions(runName), Run: runName,
	}, cluster: startController(t)}
	startWorker(t, c.cluster, "w", c.Functions.Labels(), c.Functions.OfWorkers())
	c.Target = newTarget(t, c.cluster.URL())
	return c
}

// startPeer runs the other side of limits until the test ends.
func startPeer(t *testing.T) *bench.Peer {
	t.Helper()
	ready := make(chan bench.Peer, 1)
	t.Cleanup(inBackground(t, func(ctx context.Context) error {
		return bench.ServePeer(ctx, func(p bench.Peer) error {
			ready <- p
			return nil
		})
	}))
	p := <-ready
	return &p
}

func TestEveryWorkloadHasItsRows(t *testing.T) {
	t.Parallel()
	var names []string
	for _, w := range bench.All {
		names = append(names, w.Name)
	}
	c := newConfig(t, names...)
	c.Peer, c.SyncDir, c.Costs = startPeer(t), t.TempDir(), true
	var crews []bench.Crew
	ended := 0
	c.Fresh = func(_ context.Context, crew bench.Crew) (bench.Target, func() error, error) {
		crews = append(crews, crew)
		cluster := startController(t)
		target := newTarget(t, cluster.URL())
		target.Slots = crew.Processes * crew.Workers * testSlots
		target.Memory = func() map[string]bench.Memory {
			return map[string]bench.Memory{"controller": {Resident: 1 << 20, Peak: 3 << 20}, "worker": {Resident: 1 << 20, Peak: 1 << 20}}
		}
		for i := range crew.Processes * crew.Workers {
			startWorker(t, cluster, fmt.Sprintf("w%d", i), c.Functions.Labels(), c.Functions.OfWorkers())
		}
		return target, func() error {
			ended++
			return nil
		}, nil
	}
	var told []string
	c.Progress = func(what string, ended, all int) { told = append(told, fmt.Sprintf("%s %d/%d", what, ended, all)) }
	report, err := bench.Run(t.Context(), c.Config)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, row := range report.Rows {
		rows = append(rows, row.Name)
		if len(row.Runs) != c.Repeat {
			t.Errorf("%s has %d repetitions, want %d", row.Name, len(row.Runs), c.Repeat)
		}
		for _, f := range row.Runs {
			if f.Count <= 0 || f.Seconds <= 0 || (f.Value <= 0 && row.Workload != "queue" && row.Unit != "%core" && row.Unit != "MiB") || f.Value < 0 && row.Workload != "queue" {
				t.Errorf("%s: %+v", row.Name, f)
			}
			if row.Unit == "tasks/s" && f.Value != float64(f.Count)/f.Seconds {
				t.Errorf("%s: %v tasks/s are not %d in %vs", row.Name, f.Value, f.Count, f.Seconds)
			}
		}
		if row.Least > row.Median || row.Median > row.Most {
			t.Errorf("%s: %v is not from %v to %v", row.Name, row.Median, row.Least, row.Most)
		}
	}
	want := []string{
		"batch", "batch/submit", "run/1", "run/3", "call/1", "call/3", "fanout", "payload", "queue", "queue/heap", "fleet/1", "fleet/2", "idle",
		"objects/put", "objects/task", "objects/get", "objects/controller", "objects/worker",
		"tcp", "http/1", "http/16", "copy", "fsync",
	}
	if !slices.Equal(rows, want) {
		t.Errorf("rows %v, want %v", rows, want)
	}
	once := []bench.Crew{{}, {Processes: 1, Workers: 1, Slots: 4}, {Processes: 2, Workers: 1, Slots: 4}, {Processes: 1, Workers: 3, Slots: 1}, {Processes: 1, Workers: 1, Slots: 1}}
	if !slices.Equal(crews, slices.Repeat(once, c.Repeat)) || ended != len(crews) {
		t.Errorf("controllers of their own had workers %+v, and %d have ended", crews, ended)
	}
	if len(told) != c.Repeat*len(bench.All) || told[0] != "batch 0/26" || told[25] != "fsync 25/26" {
		t.Errorf("told %v", told)
	}
	limits := map[string]string{
		"batch": "http/16", "batch/submit": "http/16", "run/1": "http/1", "run/3": "http/16", "call/3": "http/16", "fanout": "ideal", "fleet/1": "ideal", "fleet/2": "ideal",
		"payload": "copy", "http/1": "tcp", "http/16": "tcp",
	}
	for _, row := range report.Rows {
		if row.Name == "call/1" {
			continue // http/1 or fsync, whichever is less
		}
		if row.Limit == nil && limits[row.Name] != "" || row.Limit != nil && row.Limit.Row != limits[row.Name] {
			t.Errorf("%s is compared with %+v, want %q", row.Name, row.Limit, limits[row.Name])
		}
	}
	for _, name := range []string{"batch", "run/1", "call/1", "fanout", "payload", "fleet/2"} {
		row := report.Rows[slices.Index(rows, name)]
		// The client is in the same process, whose allocations are known.
		if row.Cost["controller calls"] <= 0 || row.Cost["controller allocs"] <= 0 || row.Cost["client allocs"] <= 0 {
			t.Errorf("a task of %s costs %v", name, row.Cost)
		}
	}
	// What belongs to a call by itself is three messages and their answers; that of the worker that
	// asks for more may come later.
	if calls := report.Rows[slices.Index(rows, "call/1")].Cost["controller calls"]; calls < 2 || calls > 8 {
		t.Errorf("a lone call takes %v calls of the controller", calls)
	}
}

// Objects that take too much memory fail a run, and so do those of which that is not known.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	kib := func(resident, peak int64) bench.Memory {
		return bench.Memory{Resident: resident << 10, Peak: peak << 10}
	}
	for _, test := range []struct {
		name   string
		memory map[string]bench.Memory
		want   string
	}{
		{"little", map[string]bench.Memory{"controller": kib(5, 15), "worker": kib(50, 51)}, ""},
		{"much of the worker", map[string]bench.Memory{"controller": kib(5, 15), "worker": kib(50, 61)}, "the worker took 11264 bytes above idle at its peak, and may take 10240"},
		{"much of the controller", map[string]bench.Memory{"controller": kib(5, 16), "worker": kib(50, 60)}, "the controller took 11264 bytes"},
		{"unknown", map[string]bench.Memory{"controller": kib(5, 15)}, "how much memory the worker takes is not known here"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newConfig(t, "objects")
			c.MemoryBytes, c.Repeat = 10<<10, 1
			c.Fresh = func(context.Context, bench.Crew) (bench.Target, func() error, error) {
				target := c.Target
				target.Memory = func() map[string]bench.Memory { return test.memory }
				return target, func() error { return nil }, nil
			}
			_, err := bench.Run(t.Context(), c.Config)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if took := strings.Contains(test.want, "took"); errors.Is(err, bench.ErrTooMuchMemory) != took {
				t.Errorf("%v is too much memory: want %v", err, took)
			}
		})
	}
}

// What a run of tasks leaves open would wait for ever at the controller of others.
func TestQueuedTasksAreCancelled(t *testing.T) {
	t.Parallel()
	c := newConfig(t, "queue")
	report, err := bench.Run(t.Context(), c.Config)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Rows) != 2 || len(report.Rows[0].Runs) != 1 {
		t.Errorf("rows %+v: a controller of others is filled once", report.Rows)
	}
	metrics, err := c.Target.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := metrics["fray_ready_tasks"]; n != 0 {
		t.Errorf("%v tasks wait", n)
	}
	if n := metrics["fray_tasks_submitted_total"]; n != float64(c.Queued) {
		t.Errorf("%v tasks were submitted, want %d", n, c.Queued)
	}
}

// mangled is an echo that is none.
var mangled = fray.Define("fray.bench.echo", func(_ context.Context, in []byte) ([]byte, error) { return in[1:], nil })

func TestRunsOfOthersGetNothing(t *testing.T) {
	t.Parallel()
	c := newConfig(t, "batch")
	startWorker(t, c.cluster, "other", bench.NewFunctions("r2").Labels(), []fray.Function{mangled})
	c.Repeat = 5
	if _, err := bench.Run(t.Context(), c.Config); err != nil {
		t.Error(err)
	}
}

func TestErrorsNameRowAndTask(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		echo func([]byte) ([]byte, error)
		want string
	}{
		{"changed", func(in []byte) ([]byte, error) {
			out := slices.Clone(in)
			out[9] ^= 1
			return out, nil
		}, "what was sent has come back changed: byte 9 of"},
		{"short", func(in []byte) ([]byte, error) { return in[:3], nil }, "what was sent has come back changed: 3 bytes, and were"},
		{"failed", func([]byte) ([]byte, error) { return nil, errors.New("no luck") }, "no luck"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, workload := range []string{"batch", "run", "call", "payload"} {
				chosen, err := bench.Choose([]string{workload}, false)
				if err != nil {
					t.Fatal(err)
				}
				functions := bench.NewFunctions(runName)
				cluster := startController(t)
				startWorker(t, cluster, "w", functions.Labels(), []fray.Function{
					fray.Define("fray.bench.echo", func(_ context.Context, in []byte) ([]byte, error) { return tt.echo(in) }),
				})
				report, err := bench.Run(t.Context(), bench.Config{
					Plan:      bench.Plan{Tasks: 3, Queued: 1, Callers: []int{2}, Fleets: []int{1}, Idle: 1, Duration: time.Minute, PayloadBytes: 100, ObjectBytes: 1, Repeat: 1},
					Workloads: chosen, Functions: functions, Run: runName, Target: newTarget(t, cluster.URL()),
				})
				var failed *bench.TaskError
				if !errors.As(err, &failed) {
					t.Fatalf("%s ended with %v", workload, err)
				}
				if !strings.HasPrefix(failed.Row, workload) || failed.TaskID == "" || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s: %v, want %q", workload, err, tt.want)
				}
				if len(report.Rows) != 0 || report.Interrupted {
					t.Errorf("%s: %+v", workload, report)
				}
			}
		})
	}
}

func TestInterruptKeepsWhatWasMeasured(t *testing.T) {
	t.Parallel()
	c := newConfig(t, "batch", "call")
	c.Duration, c.Callers = bench.MaxDuration, []int{2}
	ctx, interrupt := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	var watching sync.WaitGroup
	defer watching.Wait()
	c.Progress = func(what string, _, _ int) {
		if what != "call" {
			return
		}
		watching.Go(func() { // until some calls have come back
			for {
				metrics, err := c.Target.Metrics(t.Context())
				if err != nil || metrics["fray_tasks_submitted_total"] > float64(c.Tasks+10) {
					interrupt(cause)
					return
				}
			}
		})
	}
	report, err := bench.Run(ctx, c.Config)
	if !errors.Is(err, cause) || !report.Interrupted {
		t.Errorf("ended with %v: %+v", err, report)
	}
	var rows []string
	for _, row := range report.Rows {
		rows = append(rows, row.Name)
	}
	if !slices.Equal(rows, []string{"batch", "batch/submit", "call/2"}) {
		t.Errorf("rows %v", rows)
	}
}

func TestWhatCannotBeMeasuredIsNoted(t *testing.T) {
	t.Parallel()
	c := newConfig(t, "queue", "fleet", "idle", "objects", "tcp", "http", "copy", "fsync")
	c.Target.Metrics = func(context.Context) (bench.Metrics, error) { return nil, errors.New("metrics are not for you") }
	report, err := bench.Run(t.Context(), c.Config)
	if err != nil || len(report.Rows) != 0 {
		t.Fatalf("%v: %+v", err, report)
	}
	want := []string{
		"queue is left out: metrics are not for you", "fleet is left out: the controller is not its own",
		"idle is left out: the controller is not its own", "objects is left out: the controller is not its own", "tcp is left out: there is no other process", "http is left out: there is no other process",
		"copy is left out: there is no other process", "fsync is left out: there is no data directory",
	}
	if !slices.Equal(report.Notes, want) {
		t.Errorf("notes %q", report.Notes)
	}
	var text bytes.Buffer
	if err := json.NewEncoder(&text).Encode(report); err != nil || !strings.Contains(text.String(), `"rows":[]`) {
		t.Errorf("%v: %s", err, &text)
	}
}

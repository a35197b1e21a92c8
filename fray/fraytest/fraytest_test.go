package fraytest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/fraytest"
	"github.com/frayrpc/fray/fray/worker"
)

var errOdd = errors.New("odd number")

var half = fray.Define("half", func(_ context.Context, n int) (int, error) {
	if n%2 != 0 {
		return 0, fmt.Errorf("half of %d: %w", n, errOdd)
	}
	return n / 2, nil
}, fray.Errors(errOdd))

var where = fray.Define("where", func(ctx context.Context, _ int) (string, error) {
	info, _ := fray.InTask(ctx)
	return info.WorkerID, nil
})

func TestTasksRun(t *testing.T) {
	t.Parallel()
	ctx := fraytest.Start(t, half, where)
	if n, err := half.Call(ctx, 42); n != 21 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	var e *fray.TaskError
	if _, err := half.Call(ctx, 7); !errors.Is(err, errOdd) || !errors.As(err, &e) || e.WorkerID != "worker-1" {
		t.Errorf("got %v", err)
	}
}

func TestClusterHasItsWorkers(t *testing.T) {
	t.Parallel()
	c := fraytest.StartCluster(t, fraytest.Functions(where), fraytest.Workers(2), fraytest.Slots(1),
		fraytest.Worker(func(c *worker.Config) { c.Labels = map[string]string{"is": c.ID} }))
	for _, id := range []string{"worker-1", "worker-2"} {
		if got, err := where.Call(c.Context(), 0, fray.WithLabels(map[string]string{"is": id})); got != id || err != nil {
			t.Errorf("got %q, %v, want %s", got, err, id)
		}
	}
	c.StartWorker("late", fraytest.Functions(where), fraytest.Worker(func(c *worker.Config) { c.Labels = map[string]string{"is": "late"} }))
	if got, err := where.Call(c.Context(), 0, fray.WithLabels(map[string]string{"is": "late"})); got != "late" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	job := func(ctx context.Context) string {
		jc, err := fray.FromContext(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return jc.JobID()
	}
	if mine, other := job(c.Context()), job(c.NewContext(fray.WithJobID("other"))); other != "other" || mine == other {
		t.Errorf("jobs %s and %s", mine, other)
	}
}

func TestControllerIsConfigured(t *testing.T) {
	t.Parallel()
	c := fraytest.StartCluster(t, fraytest.Functions(half), fraytest.Controller(func(c *controller.Config) { c.MaxPayloadBytes = 3 }))
	if _, err := half.Call(c.Context(), 100_000); err == nil || !strings.Contains(err.Error(), "payload has 6 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestFaultsAreInjected(t *testing.T) {
	t.Parallel()
	for _, plan := range []string{
		"refused: error(unavailable) from=client procedure=*/SubmitTask* first=2",
		"refused: error(unavailable) from=worker-1 procedure=*/LeaseTasks nth=1",
		"refused: error(unavailable) phase=after-handler procedure=*/SubmitTask* first=1",
		"seed 7\nlate: delay(1ms) phase=response-in-flight procedure=*/SubmitTask*\nlost: reset(0B) phase=response-in-flight procedure=*/SubmitTask* first=1",
	} {
		t.Run(plan, func(t *testing.T) {
			t.Parallel()
			c := fraytest.StartCluster(t, fraytest.Functions(half), fraytest.Faults(plan))
			if n, err := half.Call(c.Context(), 42); n != 21 || err != nil {
				t.Errorf("got %d, %v", n, err)
			}
		})
	}
}

// recorder is a test that is watched from another.
type recorder struct {
	testing.TB

	said     []string
	failed   bool
	cleanups []func()
}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Failed() bool     { return r.failed }

func (r *recorder) Errorf(format string, args ...any) {
	r.failed = true
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

// watch runs a test, and returns what it fails with.
func watch(t *testing.T, test func(testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		test(r)
	}()
	<-ended
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
	return strings.Join(r.said, "\n")
}

func TestWhatIsWrongFailsTheTest(t *testing.T) {
	t.Parallel()
	start := func(opts ...fraytest.Option) func(testing.TB) {
		return func(tb testing.TB) { //nolint:thelper // It is the test.
			c := fraytest.StartCluster(tb, append(opts, fraytest.Functions(half))...)
			if _, err := half.Call(c.Context(), 2); err != nil {
				tb.Error(err)
			}
		}
	}
	for name, tt := range map[string]struct {
		test func(testing.TB)
		want string
	}{
		"nothing":          {start(), ""},
		"no functions":     {func(tb testing.TB) { fraytest.Start(tb) }, "worker-1 has nothing to execute"}, //nolint:thelper // It is the test.
		"two of one name":  {start(fraytest.Functions(half)), `two functions are named "half"`},
		"plan":             {start(fraytest.Faults("lost: drop probability=2")), "faults: "},
		"procedure":        {start(fraytest.Faults("lost: drop procedure=*/Nothing")), "*/Nothing"},
		"crash":            {start(fraytest.Faults("gone: crash procedure=*/LeaseTasks")), "cannot do that to itself"},
		"caller at server": {start(fraytest.Faults("lost: drop side=server from=client")), "can never act"},
		"rule that sleeps": {start(fraytest.Faults("lost: drop procedure=*/CreateBackup")), "lost: drop phase=request-in-flight procedure=*/CreateBackup\" has never acted; it matched 0 times"},
		"controller":       {start(fraytest.Controller(func(c *controller.Config) { c.ListenAddress = "nowhere" })), "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := watch(t, tt.test); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("the test fails with %q, want %q", got, tt.want)
			}
		})
	}
}

package worker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// The functions that the tests' workers have.
var (
	echo = fray.Define("echo", func(_ context.Context, s string) (string, error) { return s, nil })
	nap  = fray.Define("nap", func(ctx context.Context, seconds float64) (string, error) { return "slept", rest(ctx, seconds) })
	sulk = fray.Define("sulk", func(_ context.Context, seconds float64) (string, error) {
		return "ignored you", rest(context.Background(), seconds)
	})
	fail    = fray.Define("fail", func(context.Context, string) (string, error) { return "", errSad }, fray.Errors(errSad))
	explode = fray.Define("explode", func(context.Context, string) (string, error) { panic("boom") })
	exit    = fray.Define("exit", func(context.Context, string) (string, error) { runtime.Goexit(); return "", nil })
	bad     = fray.Define("bad-value", func(context.Context, string) (func1, error) { return func1{}, nil })
	worse   = fray.Define("bad-error", func(context.Context, string) (string, error) { return "", badError{} })

	// unwell cannot start here; diligent has something to show for every attempt.
	unwell   = fray.Define("unwell", func(context.Context, string) (string, error) { return "", fray.HandBack(errSad) })
	diligent = fray.Define("diligent", func(ctx context.Context, seconds float64) (string, error) {
		if err := rest(ctx, seconds); err != nil {
			return "", fray.WithDetails(err, "so far")
		}
		return "", fray.WithDetails(errSad, "all")
	})

	errSad = errors.New("sad")
)

func rest(ctx context.Context, seconds float64) error {
	select {
	case <-time.After(time.Duration(seconds * float64(time.Second))):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// func1 cannot be encoded.
type func1 struct{}

func (func1) MarshalJSON() ([]byte, error) { return nil, errors.New("no words for it") }

// badError cannot even be read.
type badError struct{}

func (badError) Error() string { panic("no words for it") }

func functions() []fray.Function {
	return []fray.Function{echo, nap, sulk, fail, explode, exit, bad, worse, unwell, diligent}
}

// running is a worker that runs in the bubble of a test.
type running struct {
	*worker.Worker

	cancel context.CancelFunc
	ended  chan struct{}
	err    error
}

// start runs a worker against c. In the end the test waits until it has left.
func start(t *testing.T, c *controller, edit ...func(*worker.Config)) *running {
	t.Helper()
	cfg := worker.Config{
		Inspect:       func(broken error) { t.Error(broken) },
		ControllerURL: "http://controller", ID: "w1", Slots: 2, Functions: functions(),
		HTTPClient: c, Rand: rand.New(rand.NewPCG(1, 2)), Linger: time.Microsecond,
	}
	for _, e := range edit {
		e(&cfg)
	}
	w, err := worker.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Worker: w, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.err = w.Run(ctx)
	}()
	t.Cleanup(cancel)
	return r
}

// stop has the worker leave, and returns how long that took.
func (r *running) stop(t *testing.T) time.Duration {
	t.Helper()
	begin := time.Now()
	r.cancel()
	<-r.ended
	if r.err != nil {
		t.Errorf("run: %v", r.err)
	}
	return time.Since(begin)
}

func slots(n int) func(*worker.Config) { return func(c *worker.Config) { c.Slots = n } }

func timeout(d time.Duration) func(*frayv1.TaskSpec) {
	return func(s *frayv1.TaskSpec) { s.ExecutionTimeoutMs = d.Milliseconds() }
}

func TestEveryWayToEndIsReported(t *testing.T) {
	t.Parallel()
	tests := []struct {
		function, input string
		timeout         time.Duration
		want            string
		errType         string
		message         string
	}{
		{function: "echo", input: `"hello"`, want: "SUCCEEDED"},
		{function: "fail", input: `""`, want: "FAILED", errType: "*errors.errorString", message: "sad"},
		{function: "explode", input: `""`, want: "FAILED", errType: "panic", message: "boom"},
		{function: "exit", input: `""`, want: "FAILED", message: "without returning"},
		{function: "echo", input: `{`, want: "UNDECODABLE", message: "input of echo"},
		{function: "bad-value", input: `""`, want: "UNDECODABLE", message: "result of bad-value"},
		{function: "bad-error", input: `""`, want: "FAILED", errType: "worker_test.badError", message: "panicked"},
		{function: "nap", input: `10`, timeout: time.Second, want: "TIMED_OUT"},
		{function: "sulk", input: `60`, timeout: time.Second, want: "TIMED_OUT"},
		{function: "unheard-of", input: `""`, want: "FAILED", message: `has no function "unheard-of"`},
	}
	for _, tt := range tests {
		t.Run(tt.function+" "+tt.want, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newController()
				w := start(t, c)
				lease := c.add(tt.function, tt.input, timeout(tt.timeout))
				pass(20 * time.Second)
				r := c.expect(t, lease, tt.want)
				if r.GetError().GetType() != tt.errType && tt.errType != "" || !strings.Contains(r.GetError().GetMessage(), tt.message) {
					t.Errorf("error %v, want %q of type %q", r.GetError(), tt.message, tt.errType)
				}
				if r.GetRunDurationUs() == 0 {
					t.Error("reported as never started")
				}
				w.stop(t)
				if !c.seen().left {
					t.Error("the session is still open")
				}
				pass(time.Minute) // Until sulk has had enough.
			})
		})
	}
}

func TestValueAndSentinelTravel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		w := start(t, c)
		a, b := c.add("echo", `"hello"`), c.add("fail", `""`)
		if v := c.expect(t, a, "NONE"); v != nil {
			t.Error("reported before it ran")
		}
		pass(time.Second)
		if v := c.expect(t, a, "SUCCEEDED").GetValue(); v.GetEncoding() != "json" || string(v.GetData()) != `"hello"` {
			t.Errorf("value %v", v)
		}
		if e := c.expect(t, b, "FAILED").GetError(); e.GetSentinel() != "sad" {
			t.Errorf("error %v", e)
		}
		w.stop(t)
	})
}

// What an attempt without a value had to show for itself was thrown away.
func TestDetailsTravelWithTheEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		function, input, outcome, details string
	}{
		"failure":          {"diligent", `1`, "FAILED", `"all"`},
		"timeout":          {"diligent", `10`, "TIMED_OUT", `"so far"`},
		"nothing to show":  {"nap", `10`, "TIMED_OUT", ""},
		"does not return":  {"sulk", `60`, "TIMED_OUT", ""},
		"machine's fault":  {"unwell", `""`, "RETURNED", ""},
		"ordinary failure": {"fail", `""`, "FAILED", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newController()
				w := start(t, c)
				lease := c.add(tt.function, tt.input, timeout(5*time.Second))
				pass(20 * time.Second)
				r := c.expect(t, lease, tt.outcome)
				if got := string(r.GetError().GetDetails().GetData()); got != tt.details {
					t.Errorf("details %q, want %q", got, tt.details)
				}
				w.stop(t)
				pass(time.Minute) // until sulk has had enough
			})
		})
	}
}

// Slots leaked when attempts ended in unusual ways.
func TestNoSlotLeaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		registry := prometheus.NewRegistry()
		w := start(t, c, slots(4), func(c *worker.Config) { c.Registerer = registry })
		random := rand.New(rand.NewPCG(7, 8))
		kinds := []string{"echo", "nap", "sulk", "fail", "explode", "exit", "bad-value", "bad-error", "unheard-of"}
		var leases []uint64
		for range 400 {
			input := `""`
			kind := kinds[random.IntN(len(kinds))]
			if kind == "nap" || kind == "sulk" {
				input = fmt.Sprint(random.Float64() * 10)
			}
			leases = append(leases, c.add(kind, input, timeout(time.Duration(random.IntN(3))*time.Second)))
			if random.IntN(4) == 0 {
				c.change(func() { c.stop = append(c.stop, leases[random.IntN(len(leases))]) })
			}
			if random.IntN(20) == 0 {
				c.change(func() { c.expired = true })
			}
			pass(time.Duration(random.IntN(1000)) * time.Millisecond)
		}
		pass(10 * time.Minute)
		for _, lease := range leases {
			if c.outcome(lease) == "NONE" {
				t.Errorf("lease %d has no report", lease)
			}
		}
		want := `
			# HELP fray_worker_slots Slots by what has them. Blocked attempts have lent theirs.
			# TYPE fray_worker_slots gauge
			fray_worker_slots{state="abandoned"} 0
			fray_worker_slots{state="blocked"} 0
			fray_worker_slots{state="free"} 4
			fray_worker_slots{state="running"} 0
		`
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "fray_worker_slots"); err != nil {
			t.Error(err)
		}
		w.stop(t)
	})
}

func TestTaskKnowsWhereItRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newController()
		var info fray.TaskInfo
		var jobErr error
		look := function("look", func(ctx context.Context) {
			info, _ = fray.InTask(ctx)
			_, jobErr = fray.FromContext(ctx)
		})
		w := start(t, c, func(c *worker.Config) { c.Functions = []fray.Function{look} })
		c.add("look", `""`, func(s *frayv1.TaskSpec) { s.RetryPolicy = &frayv1.RetryPolicy{MaxRetries: 2} })
		pass(time.Second)
		want := fray.TaskInfo{TaskID: "t1", JobID: "job", Function: "look", WorkerID: "w1", Attempt: 1, MaxAttempts: 3}
		if info != want || jobErr != nil {
			t.Errorf("info %+v, job context: %v", info, jobErr)
		}
		w.stop(t)
	})
}

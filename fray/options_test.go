package fray_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/frayrpc/fray/fray"
)

func TestNewJobContextErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		kind fray.Kind
		opts []fray.Option
		want string // in the text
	}{
		{name: "no address", kind: fray.KindFray, want: "controller address required for fray context"},
		{name: "address without a host", kind: fray.KindFray, opts: []fray.Option{fray.WithControllerAddress("http://")}, want: `"http://"`},
		{name: "address of another scheme", kind: fray.KindFray, opts: []fray.Option{fray.WithControllerAddress("ftp://h:1")}, want: "host:port"},
		{name: "address that does not parse", kind: fray.KindFray, opts: []fray.Option{fray.WithControllerAddress("h:port")}, want: "parse controller address"},
		{name: "unknown", kind: "spark", want: `"spark": must be sync, threadpool, fray, ray or auto`},
		{name: "no workers", kind: fray.KindThreadPool, opts: []fray.Option{fray.WithWorkers(0)}, want: "0 workers"},
		{name: "bad job id", kind: fray.KindSync, opts: []fray.Option{fray.WithJobID("a b")}, want: `job id "a b"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			jc, err := fray.NewJobContext(t.Context(), tt.kind, tt.opts...)
			if jc != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v; want %q", jc, err, tt.want)
			}
		})
	}
	if _, err := fray.NewJobContext(t.Context(), fray.KindFray); err == nil || err.Error() != "controller address required for fray context" {
		t.Errorf("got %v", err)
	}
}

func TestAutoFollowsTheEnvironment(t *testing.T) {
	t.Setenv("RAY_ADDRESS", "")
	for address, want := range map[string]fray.Kind{"": fray.KindThreadPool, "10.0.0.1:7070": fray.KindFray, "https://c.example/fray/": fray.KindFray} {
		t.Setenv("FRAY_CONTROLLER_ADDRESS", address)
		if jc := newJobContext(t, fray.KindAuto); jc.Kind() != want {
			t.Errorf("%q: kind %s, want %s", address, jc.Kind(), want)
		}
	}
	t.Setenv("FRAY_CONTROLLER_ADDRESS", "")
	if jc := newJobContext(t, fray.KindAuto, fray.WithControllerAddress("c:1")); jc.Kind() != fray.KindFray {
		t.Errorf("kind %s with an address", jc.Kind())
	}
	t.Setenv("RAY_ADDRESS", "http://head:8265")
	if jc := newJobContext(t, fray.KindAuto, fray.WithControllerAddress("c:1")); jc.Kind() != fray.KindFray {
		t.Errorf("kind %s with both addresses", jc.Kind())
	}
	for _, opts := range [][]fray.Option{nil, {fray.WithRayAddress("http://head:8265")}} {
		jc, err := fray.NewJobContext(t.Context(), fray.KindAuto, opts...)
		if jc != nil || err == nil || !strings.Contains(err.Error(), "controller address required for ray context") {
			t.Errorf("got %v, %v", jc, err)
		}
		t.Setenv("RAY_ADDRESS", "")
	}
}

func TestIDsComeFromTheGivenRand(t *testing.T) {
	t.Parallel()
	var ids []string
	for range 2 {
		jc := newJobContext(t, fray.KindSync, fray.WithRand(rand.New(rand.NewPCG(1, 2))))
		ids = append(ids, jc.JobID()[10:]) // without the time
	}
	if other := newJobContext(t, fray.KindSync); ids[0] != ids[1] || other.JobID()[10:] == ids[0] || len(other.JobID()) != 26 {
		t.Errorf("ids %v, %s", ids, other.JobID())
	}
}

func TestInvalidCallOptions(t *testing.T) {
	t.Parallel()
	many := map[string]int64{}
	for i := range 17 {
		many[fmt.Sprint(i)] = 1
	}
	tests := []struct {
		want string
		opt  fray.CallOption
	}{
		{"retries -1", fray.WithRetries(-1)},
		{"retries 10001", fray.WithRetries(10_001)},
		{"backoff factor 0.5", fray.WithBackoff(time.Second, 0.5, time.Second)},
		{"backoff factor NaN", fray.WithBackoff(time.Second, math.NaN(), time.Second)},
		{"backoff base 0s", fray.WithBackoff(0, 1, time.Second)},
		{"backoff cap 25h", fray.WithBackoff(time.Second, 1, 25*time.Hour)},
		{"max worker losses -1", fray.WithMaxWorkerLosses(-1)},
		{"execution timeout -1s", fray.WithExecutionTimeout(-time.Second)},
		{"scheduling timeout 721h", fray.WithSchedulingTimeout(721 * time.Hour)},
		{"resource gpu 0", fray.WithResources(map[string]int64{"gpu": 0})},
		{"resource name", fray.WithResources(map[string]int64{"": 1})},
		{"17 resources", fray.WithResources(many)},
		{"priority 1001", fray.WithPriority(1001)},
		{"label zone", fray.WithLabels(map[string]string{"zone": strings.Repeat("x", 257)})},
		{`task id ""`, fray.WithTaskID("")},
		{`task id "/x"`, fray.WithTaskID("/x")},
		{"the limit has no name", fray.WithLimit(fray.Limit{})},
		{`the key "kkkkk`, fray.WithLimit(stripe.For(strings.Repeat("k", 129)))},
		{`the key "\xff" of limit "stripe" must be UTF-8`, fray.WithLimit(stripe.For("\xff"))},
	}
	ctx := fray.NewContext(t.Context(), newJobContext(t, fray.KindSync))
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			if _, err := echo.Run(ctx, "x", tt.opt); err == nil || !strings.Contains(err.Error(), "run echo: "+tt.want) {
				t.Errorf("got %v", err)
			}
			if _, err := echo.RunAll(ctx, []string{"x"}, tt.opt); err == nil {
				t.Error("RunAll takes it")
			}
			panics(t, tt.want, func() {
				fray.Define("x", func(context.Context, int) (int, error) { return 0, nil }, tt.opt)
			})
		})
	}
}

var stripe = fray.NewLimit("stripe", fray.MaxConcurrent(5), fray.MaxStarts(100, time.Minute))

func TestLimitsThatAreRefused(t *testing.T) {
	t.Parallel()
	for want, define := range map[string]func(){
		`fray.NewLimit(""): the name must be UTF-8 of 1 to 64 characters`: func() { fray.NewLimit("", fray.MaxConcurrent(1)) },
		"the name must be": func() { fray.NewLimit(strings.Repeat("é", 65), fray.MaxConcurrent(1)) },
		"it has no bound: give it MaxConcurrent or MaxStarts": func() { fray.NewLimit("x") },
		"max concurrent 0":       func() { fray.NewLimit("x", fray.MaxConcurrent(0)) },
		"max concurrent 1000001": func() { fray.NewLimit("x", fray.MaxConcurrent(1_000_001)) },
		"max starts 0":           func() { fray.NewLimit("x", fray.MaxStarts(0, time.Second)) },
		"max starts 1000001":     func() { fray.NewLimit("x", fray.MaxStarts(1_000_001, time.Second)) },
		"period 1.5ms of max starts is not in whole millisecond": func() { fray.NewLimit("x", fray.MaxStarts(1, 1500*time.Microsecond)) },
		"period of max starts 0s":                                func() { fray.NewLimit("x", fray.MaxStarts(1, 0)) },
		"period of max starts 24h0m0.001s":                       func() { fray.NewLimit("x", fray.MaxStarts(1, 24*time.Hour+time.Millisecond)) },
		"it has two bounds of one kind":                          func() { fray.NewLimit("x", fray.MaxConcurrent(1), fray.MaxConcurrent(2)) },
	} {
		panics(t, want, define)
	}
	fray.NewLimit(strings.Repeat("é", 64), fray.MaxStarts(1_000_000, 24*time.Hour)) // as much as there may be
}

func TestATaskHasOneKeyOfFourLimits(t *testing.T) {
	t.Parallel()
	ctx := fray.NewContext(t.Context(), newJobContext(t, fray.KindSync))
	var opts []fray.CallOption
	for _, name := range []string{"a", "b", "c", "d"} {
		opts = append(opts, fray.WithLimit(fray.NewLimit(name, fray.MaxConcurrent(1))))
	}
	if _, err := echo.Call(ctx, "x", opts...); err != nil {
		t.Error(err)
	}
	fails := func(want string, opt fray.CallOption) {
		if _, err := echo.Run(ctx, "x", append(slices.Clone(opts), opt)...); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	fails(`run echo: limit "b" is given twice: a task has one key of a limit`, fray.WithLimit(fray.NewLimit("b", fray.MaxConcurrent(1)).For("k")))
	fails(`run echo: limit "e" is one too many: a task has at most 4`, fray.WithLimit(fray.NewLimit("e", fray.MaxConcurrent(1))))
	// What calls add to the limits of a definition is theirs alone.
	task := fray.Define("echo", func(_ context.Context, s string) (string, error) { return s, nil }, fray.WithRetries(0), opts[0], opts[1], opts[2])
	for _, name := range []string{"x", "y"} {
		if _, err := task.Call(ctx, name, fray.WithLimit(fray.NewLimit(name, fray.MaxConcurrent(1)))); err != nil {
			t.Error(err)
		}
	}
}

func TestDefinePanics(t *testing.T) {
	t.Parallel()
	fn := func(context.Context, int) (int, error) { return 0, nil }
	panics(t, "name must be", func() { fray.Define("", fn) })
	panics(t, "name must be", func() { fray.Define("a b", fn) })
	panics(t, "name must be", func() { fray.Define(strings.Repeat("x", 257), fn) })
	panics(t, "function is nil", func() { fray.Define[int, int]("x", nil) })
	panics(t, "WithTaskID", func() { fray.Define("x", fn, fray.WithTaskID("id")) })
	panics(t, "nil", func() { fray.Define("x", fn, fray.Errors(nil)) })
	panics(t, "same text", func() { fray.Define("x", fn, fray.Errors(errors.New("a"), errors.New("a"))) })
	panics(t, "1024 bytes", func() { fray.Define("x", fn, fray.Errors(errors.New(strings.Repeat("x", 1025)))) })
	panics(t, "has no encoding", func() {
		fray.Define("x", func(context.Context, chan int) (int, error) { return 0, nil })
	})
	panics(t, "use *durationpb.Duration", func() {
		fray.Define("x", func(context.Context, int) (durationpb.Duration, error) { panic("never") })
	})
	panics(t, "stands for any message", func() {
		fray.Define("x", func(context.Context, proto.Message) (int, error) { return 0, nil })
	})
}

func panics(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if p := fmt.Sprint(recover()); !strings.HasPrefix(p, "fray.") || !strings.Contains(p, want) {
			t.Errorf("panic %q, want %q", p, want)
		}
	}()
	f()
}

func TestNoJobContext(t *testing.T) {
	t.Parallel()
	if _, err := fray.FromContext(t.Context()); !errors.Is(err, fray.ErrNoJobContext) {
		t.Errorf("got %v", err)
	}
	if _, err := echo.Run(t.Context(), "x"); !errors.Is(err, fray.ErrNoJobContext) {
		t.Errorf("got %v", err)
	}
	if _, err := echo.RunAll(t.Context(), []string{"x"}); !errors.Is(err, fray.ErrNoJobContext) {
		t.Errorf("got %v", err)
	}
	if _, err := echo.Call(t.Context(), "x"); !errors.Is(err, fray.ErrNoJobContext) {
		t.Errorf("got %v", err)
	}
	if _, ok := fray.InTask(t.Context()); ok {
		t.Error("in a task")
	}
}

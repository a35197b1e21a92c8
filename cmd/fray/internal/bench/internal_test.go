package bench

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestTimings(t *testing.T) {
	t.Parallel()
	a, b := newTimings(), newTimings()
	for i := range 1000 {
		into := a
		if i%2 == 0 {
			into = b
		}
		into.note(time.Duration(i+1) * time.Millisecond)
	}
	a.merge(b)
	a.note(0)
	a.note(2 * time.Hour) // both count as the bounds
	l := a.latency()
	near := func(what string, got int64, want time.Duration) {
		t.Helper()
		if diff := time.Duration(got) - want; diff < -want/1000 || diff > want/1000 {
			t.Errorf("%s is %v, want %v", what, time.Duration(got), want)
		}
	}
	near("p50", l.P50, 500*time.Millisecond)
	near("p90", l.P90, 901*time.Millisecond)
	near("p99", l.P99, 991*time.Millisecond)
	near("max", l.Max, time.Hour)
	sum := int64(0)
	for i, bucket := range l.Buckets {
		sum += bucket.Count
		if i > 0 && bucket.To <= l.Buckets[i-1].To {
			t.Errorf("buckets %v", l.Buckets)
		}
	}
	if l.Count != 1002 || sum != l.Count {
		t.Errorf("%d of %d are in buckets", sum, l.Count)
	}
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	a := newTimings()
	for d, n := range map[time.Duration]int{90 * time.Microsecond: 50, 150 * time.Microsecond: 25, 900 * time.Microsecond: 1} {
		for range n {
			a.note(d)
		}
	}
	var b strings.Builder
	a.latency().writeHistogram(&b)
	want := `  <= 100µs           50  ` + strings.Repeat("#", 50) + `
  <= 200µs           25  ` + strings.Repeat("#", 25) + `
  <= 500µs            0  
  <= 1ms              1  #
`
	if b.String() != want {
		t.Errorf("drawn\n%swant\n%s", b.String(), want)
	}
}

func TestShortTime(t *testing.T) {
	t.Parallel()
	for ns, want := range map[int64]string{0: "0s", 999: "999ns", 1234: "1.23µs", 123_456: "123µs", 1_999_999: "2ms", 61_234_567_890: "1m1.2s"} {
		if got := shortTime(ns); got != want {
			t.Errorf("shortTime(%d) is %q, want %q", ns, got, want)
		}
	}
}

func TestAmount(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 0.0123: "0.012", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 56_789.1: "56789", -5: "-5.00"} {
		if got := amount(v); got != want {
			t.Errorf("amount(%v) is %q, want %q", v, got, want)
		}
	}
}

func TestRowsAreComparedWithTheLeastOfTheirLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		limits map[string]float64
		want   string
		ratio  float64
	}{
		{"call/1", map[string]float64{"http/1": 200, "http/16": 1}, "http/1", 0.5},
		{"call/1", map[string]float64{"http/1": 200, "fsync": 50}, "fsync", 2},
		{"call/16", map[string]float64{"http/1": 200, "fsync": 50, "http/16": 1000}, "http/16", 0.1},
		{"call/8", map[string]float64{"fsync": 50}, "", 0},
		{"run/1", map[string]float64{"http/1": 200}, "http/1", 0.5},
		{"batch/submit", map[string]float64{"http/1": 200, "http/16": 10}, "http/16", 10},
		{"queue", map[string]float64{"http/1": 200, "fsync": 50, "http/16": 1000, "copy": 3}, "", 0},
	} {
		r := &Report{Rows: []*Row{{Name: tt.name, Runs: []Figure{{Value: 100}}}}}
		for name, v := range tt.limits {
			r.Rows = append(r.Rows, &Row{Name: name, IsLimit: true, Runs: []Figure{{Value: v}}})
		}
		r.settle()
		got := r.Rows[0].Limit
		if got == nil && tt.want != "" || got != nil && (got.Row != tt.want || got.Ratio != tt.ratio) {
			t.Errorf("%s with %v is compared with %+v, want %s", tt.name, tt.limits, got, tt.want)
		}
	}
}

func TestFiguresAreMedians(t *testing.T) {
	t.Parallel()
	r := newReport(&Config{})
	calls, queue := All[slices.IndexFunc(All, func(w Workload) bool { return w.Name == "call" })], All[slices.IndexFunc(All, func(w Workload) bool { return w.Name == "queue" })]
	for _, n := range []int{10, 40, 20, 30} {
		took := newTimings()
		took.note(time.Duration(n))
		r.add(&calls, "call/1", sample{count: n, took: time.Second, latency: took, cost: map[string]float64{"client allocs": float64(n)}})
	}
	r.add(&calls, "call/1", sample{took: time.Second}) // of nothing
	r.add(&queue, "queue", sample{count: 5, took: time.Second, value: 0})
	r.settle()
	row := r.Rows[0]
	if row.Median != 25 || row.Least != 10 || row.Most != 40 || row.Cost["client allocs"] != 25 || row.Latency.Count != 4 || row.Latency.Max != 40 {
		t.Errorf("row %+v, latency %+v", row, row.Latency)
	}
	if r.Rows[1].Median != 0 {
		t.Errorf("nothing has grown, and that is %v", r.Rows[1].Median)
	}
	var b strings.Builder
	r.Fray.OS, r.Fray.Arch, r.Machine.CPU, r.Machine.Procs = "os", "arch", "Model", 2
	r.WriteBenchmarks(&b)
	want := `goos: os
goarch: arch
pkg: github.com/frayrpc/fray/cmd/fray
cpu: Model
Unit tasks/s better=higher
Unit trips/s better=higher
Unit syncs/s better=higher
BenchmarkCall/1-2	10	100000000 ns/op	10 tasks/s	10 p50-ns	10 p90-ns	10 p99-ns	10 max-ns
BenchmarkCall/1-2	40	25000000 ns/op	40 tasks/s	40 p50-ns	40 p90-ns	40 p99-ns	40 max-ns
BenchmarkCall/1-2	20	50000000 ns/op	20 tasks/s	20 p50-ns	20 p90-ns	20 p99-ns	20 max-ns
BenchmarkCall/1-2	30	33333333.333333332 ns/op	30 tasks/s	30 p50-ns	30 p90-ns	30 p99-ns	30 max-ns
BenchmarkQueue-2	5	200000000 ns/op	0 B/task
`
	if b.String() != want {
		t.Errorf("written\n%swant\n%s", b.String(), want)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	names := func(chosen []Workload) (names []string) {
		for _, w := range chosen {
			names = append(names, w.Name)
		}
		return names
	}
	for _, tt := range []struct {
		names  []string
		limits bool
		want   string
	}{
		{nil, false, "batch run call fanout payload queue"},
		{nil, true, "batch run call fanout payload queue tcp http copy fsync"},
		{[]string{"queue", "call"}, false, "call queue"},
		{[]string{"call", "http"}, false, "call http"},
		{[]string{"call"}, true, "call tcp http copy fsync"},
	} {
		chosen, err := Choose(tt.names, tt.limits)
		if got := strings.Join(names(chosen), " "); err != nil || got != tt.want {
			t.Errorf("Choose(%v, %v) is %q, %v; want %q", tt.names, tt.limits, got, err, tt.want)
		}
	}
	if _, err := Choose([]string{"call", "batsh"}, false); err == nil || !strings.Contains(err.Error(), `unknown workload "batsh": did you mean "batch"?`) {
		t.Errorf("an unknown one: %v", err)
	}
}

func TestPlanIsChecked(t *testing.T) {
	t.Parallel()
	good := DefaultPlan()
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := Plan{Tasks: MaxTasks + 1, Queued: 1, Callers: []int{1, 0}, Duration: -1, PayloadBytes: 1, Repeat: 0}
	err := bad.Validate()
	for _, want := range []string{"tasks: 1000001 is not from 1 to 1000000", "callers: 0 is not", "duration: -1ns is not", "repetitions: 0 is not"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if _, err := Run(t.Context(), Config{Plan: bad}); err == nil {
		t.Error("a bad plan runs")
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	stat := "7 (a) b (c) S 1 7 7 0 -1 4194304 1 2 3 4 150 50 9 9 20 0 1 0 1 1 1"
	counts := "rchar: 10\nwchar: 20\nsyscr: 3\nsyscw: 4\nread_bytes: 5\n"
	u, ok := parseUsage(stat, counts)
	if want := (Usage{CPU: 2, Reads: 3, Writes: 4, ReadBytes: 10, WrittenBytes: 20}); !ok || u != want {
		t.Errorf("usage %+v, %v; want %+v", u, ok, want)
	}
	for _, bad := range [][2]string{{"", counts}, {"7 (a) S 1", counts}, {stat, ""}, {stat, strings.Replace(counts, "10", "x", 1)}} {
		if u, ok := parseUsage(bad[0], bad[1]); ok {
			t.Errorf("%q is taken for %+v", bad, u)
		}
	}
	if u, ok := UsageOf(os.Getpid()); ok != (runtime.GOOS == "linux") || ok && u.Reads == 0 {
		t.Errorf("this process has taken %+v, %v", u, ok)
	}
	if _, ok := UsageOf(os.Getpid(), 1<<30); ok {
		t.Error("a process that is not there has taken something")
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	status := "Name:\tx\nVmHWM:\t  155756 kB\nVmRSS:\t   42756 kB\nRssAnon:\t 1 kB\n"
	if m, ok := parseMemory(status); !ok || m != (Memory{Resident: 42756 << 10, Peak: 155756 << 10}) {
		t.Errorf("memory %+v, %v", m, ok)
	}
	for _, bad := range []string{"", "VmHWM:\t1 kB\n", "VmHWM:\tx kB\nVmRSS:\t1 kB\n"} {
		if m, ok := parseMemory(bad); ok {
			t.Errorf("%q is taken for %+v", bad, m)
		}
	}
	if m, ok := MemoryOf(os.Getpid()); ok != (runtime.GOOS == "linux") || ok && (m.Resident == 0 || m.Peak < m.Resident) {
		t.Errorf("this process has %+v, %v", m, ok)
	}
}

func TestSameBytes(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("x"), 100_000)
	for _, test := range []struct {
		got, want []byte
		same      bool
	}{
		{nil, nil, true},
		{long, long, true},
		{long[:64<<10], long[:64<<10], true},
		{long[1:], long, false},
		{long, long[1:], false},
		{long[:64<<10], long[:64<<10+1], false},
		{append([]byte("y"), long[1:]...), long, false},
		{nil, []byte("x"), false},
	} {
		if err := sameBytes(bytes.NewReader(test.got), bytes.NewReader(test.want)); (err == nil) != test.same {
			t.Errorf("%d bytes and %d: %v", len(test.got), len(test.want), err)
		}
	}
	broken := errors.New("broken")
	if err := sameBytes(iotest.ErrReader(broken), bytes.NewReader(nil)); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
}

func TestCPUModel(t *testing.T) {
	t.Parallel()
	if got := cpuModel("processor\t: 0\nmodel name\t: A: B\nmodel name\t: C\n"); got != "A: B" {
		t.Errorf("model %q", got)
	}
}

// A run in which nothing comes back ends, and one that is slow does not.
func TestStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck := Workload{Name: "stuck", run: func(ctx context.Context, _ *meter) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		slow := Workload{Name: "slow", run: func(ctx context.Context, m *meter) error {
			for range 5 {
				m.came.Add(1)
				select {
				case <-time.After(stallAfter * 9 / 10):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		}}
		begun := time.Now()
		_, err := Run(t.Context(), Config{Plan: DefaultPlan(), Workloads: []Workload{slow, stuck}})
		if !errors.Is(err, errStalled) {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(begun); took != stallAfter*9/2+stallAfter {
			t.Errorf("ended after %v", took)
		}
	})
}

func TestDrive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &meter{Config: &Config{Plan: Plan{Duration: time.Second}}}
		// Two that go on to the end, and one that has done its share.
		d, err := m.drive(t.Context(), 3, func(caller int) func(context.Context) error {
			n := 0
			return func(context.Context) error {
				if n++; caller == 2 && n > 4 {
					return errNothingLeft
				}
				time.Sleep(100 * time.Millisecond)
				return nil
			}
		})
		if err != nil || d.count != 24 || d.took != time.Second || d.latency().Count != 24 || m.came.Load() != 24 {
			t.Errorf("%d calls in %v, %v", d.count, d.took, err)
		}
		// One fails, which ends the others; what they say of that is no failure.
		broken := errors.New("broken")
		var ended atomic.Int32
		_, err = m.drive(t.Context(), 3, func(caller int) func(context.Context) error {
			return func(ctx context.Context) error {
				if caller == 1 {
					time.Sleep(time.Millisecond) // until the others wait
					return broken
				}
				<-ctx.Done()
				ended.Add(1)
				return ctx.Err()
			}
		})
		if !errors.Is(err, broken) || ended.Load() != 2 {
			t.Errorf("ended with %v, %d others", err, ended.Load())
		}
		// An interrupt is none either, and its call does not count.
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		d, err = m.drive(ctx, 1, func(int) func(context.Context) error {
			return func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			}
		})
		if err != nil || d.count != 0 {
			t.Errorf("%d calls, %v", d.count, err)
		}
	})
}

func TestSharesAreAll(t *testing.T) {
	t.Parallel()
	ins := inputs(10)
	for _, parts := range []int{1, 3, 10, 16} {
		if got := slices.Concat(shares(ins, parts)...); len(got) != len(ins) || &got[9][0] != &ins[9][0] {
			t.Errorf("%d shares have %d of %d", parts, len(got), len(ins))
		}
	}
}

func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	if m := newMessage(smallBytes); len(m) != smallBytes {
		t.Errorf("a small message has %d bytes", len(m))
	}
	if m := newMessage(1000); len(m.body()) != 1000 {
		t.Errorf("a message has %d bytes", len(m.body()))
	}
	if _, err := readMessage(strings.NewReader("\xff\xff\xff\xff"), nil); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a message of 4 GiB: %v", err)
	}
}

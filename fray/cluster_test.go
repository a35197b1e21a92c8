package fray_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/fraytest"
)

func TestFrayConforms(t *testing.T) {
	t.Parallel()
	for _, slots := range []int{1, 4} {
		t.Run(fmt.Sprintf("slots=%d", slots), func(t *testing.T) {
			t.Parallel()
			conformance(t, backendUnderTest{kind: fray.KindFray, remote: true, slots: slots, start: func(t *testing.T, opts ...fray.Option) *fray.JobContext {
				t.Helper()
				opts = append(opts, fray.WithControllerAddress(startCluster(t, slots)))
				return newJobContext(t, fray.KindFray, opts...)
			}})
		})
	}
}

// startCluster runs a controller and a worker of the test's functions until the test ends, and
// returns the controller's address.
func startCluster(tb testing.TB, slots int) string {
	tb.Helper()
	c := fraytest.StartCluster(tb, fraytest.Functions(functions()...), fraytest.Slots(slots))
	return strings.TrimPrefix(c.URL(), "http://")
}

func BenchmarkClusterRunAll(b *testing.B) {
	jc, err := fray.NewJobContext(context.Background(), fray.KindFray, fray.WithControllerAddress(startCluster(b, 8)))
	if err != nil {
		b.Fatal(err)
	}
	defer jc.Close()
	ctx := fray.NewContext(b.Context(), jc)
	ins := inputs(50_000)
	b.ReportAllocs()
	for b.Loop() {
		futures, err := echo.RunAll(ctx, ins)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := fray.Wait(ctx, futures, len(futures), -1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(ins))/b.Elapsed().Seconds(), "tasks/s")
}

// graph submits a graph without waiting for anything: tasks that give one each, and a tree above them whose
// tasks add up eight below. It returns the last one, and how many tasks there are.
func graph(ctx context.Context, leaves int) (root *fray.Future[int], tasks int, err error) {
	const fan = 8
	level, err := square.RunAll(ctx, slices.Repeat([]int{1}, leaves))
	for tasks = leaves; err == nil && len(level) > 1; tasks += len(level) {
		var ins []summands
		for below := range slices.Chunk(level, fan) {
			ins = append(ins, summands{Many: below})
		}
		level, err = sumOf.RunAll(ctx, ins)
	}
	if err != nil {
		return nil, 0, err
	}
	return level[0], tasks, nil
}

func TestGraphIsSubmittedAtOnce(t *testing.T) {
	t.Parallel()
	ctx := fray.NewContext(t.Context(), newJobContext(t, fray.KindFray, fray.WithControllerAddress(startCluster(t, 4))))
	const leaves = 3000
	root, tasks, err := graph(ctx, leaves)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := root.Get(ctx); err != nil || v != leaves {
		t.Errorf("%d tasks add up to %d, %v, want %d", tasks, v, err, leaves)
	}
}

// BenchmarkClusterGraph runs a graph of 100,000 tasks.
func BenchmarkClusterGraph(b *testing.B) {
	jc, err := fray.NewJobContext(context.Background(), fray.KindFray, fray.WithControllerAddress(startCluster(b, 8)))
	if err != nil {
		b.Fatal(err)
	}
	defer jc.Close()
	ctx := fray.NewContext(b.Context(), jc)
	const leaves = 87_500
	total := 0
	for b.Loop() {
		root, tasks, err := graph(ctx, leaves)
		if err != nil {
			b.Fatal(err)
		}
		if v, err := root.Get(ctx); err != nil || v != leaves {
			b.Fatalf("%d, %v", v, err)
		}
		total += tasks
	}
	b.ReportMetric(float64(total)/float64(b.N), "tasks")
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "tasks/s")
}

func BenchmarkClusterMap(b *testing.B) {
	jc, err := fray.NewJobContext(context.Background(), fray.KindFray, fray.WithControllerAddress(startCluster(b, 8)))
	if err != nil {
		b.Fatal(err)
	}
	defer jc.Close()
	benchmarkMap(fray.NewContext(b.Context(), jc), b, inputs(50_000))
}

func BenchmarkClusterCall(b *testing.B) {
	jc, err := fray.NewJobContext(context.Background(), fray.KindFray, fray.WithControllerAddress(startCluster(b, 8)))
	if err != nil {
		b.Fatal(err)
	}
	defer jc.Close()
	ctx := fray.NewContext(b.Context(), jc)
	for b.Loop() {
		if _, err := echo.Call(ctx, "x"); err != nil {
			b.Fatal(err)
		}
	}
}

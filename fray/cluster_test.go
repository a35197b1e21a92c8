package fray_test

import (
	"context"
	"fmt"
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
			conformance(t, backendUnderTest{remote: true, start: func(t *testing.T) *fray.JobContext {
				t.Helper()
				return newJobContext(t, fray.KindFray, fray.WithControllerAddress(startCluster(t, slots)))
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

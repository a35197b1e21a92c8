package system_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/reach"
)

// A run tells what it comes to, the same each time, and is the same run as one that nobody asks.
func TestRunsReachPoints(t *testing.T) {
	t.Parallel()
	s, err := cluster.Load("worker-crash")
	if err != nil {
		t.Fatal(err)
	}
	run := func(listen func(*virtual.Options)) uint64 {
		t.Helper()
		o := virtual.Options{Bubble: bubble.In(t)}
		listen(&o)
		r, err := virtual.Run(t.Context(), system.Subject(system.Options{}), s, 1, o)
		if err != nil || !r.Passed() {
			t.Fatalf("error %v, result %+v", err, r)
		}
		return uint64(r.Hash)
	}
	var points []reach.Points
	hash := run(func(*virtual.Options) {})
	for range 2 {
		r := reach.NewRecorder(system.Subject(system.Options{}), s)
		if again := run(r.Listen); again != hash {
			t.Errorf("that it is watched makes it another run: hash %x, want %x", again, hash)
		}
		points = append(points, r.Points())
	}
	if !reflect.DeepEqual(points[0], points[1]) {
		t.Errorf("the second time it comes to other points: %v, and %v", points[0], points[1])
	}
	for kind, point := range map[string]string{
		reach.KindFault: "crash strikes worker",
		reach.KindCall:  "LeaseTasks ends ok",
		reach.KindPair:  "worker: fault crash, then crash killed",
		check.ReachTask: "worker-crash, task running",
		check.ReachHost: "nothing, then register-call",
	} {
		if !slices.Contains(points[0][kind], point) {
			t.Errorf("it does not come to %s %q, but to %q", kind, point, points[0][kind])
		}
	}
}

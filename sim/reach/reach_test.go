package reach_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/examples/counter"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/reach"
	"github.com/frayrpc/fray/sim/scenario"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func load(t *testing.T) *scenario.Scenario {
	t.Helper()
	library := scenario.Library{Files: counter.Scenarios(), Subjects: scenario.Subjects{counter.Subject().Format}}
	s, err := library.Load("power-loss")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A subject that adds no points has those of its trace and of its history.
func TestAnySubjectReachesPoints(t *testing.T) {
	t.Parallel()
	s := load(t)
	of := *counter.Subject()
	of.Format = s.About()
	recorder := reach.NewRecorder(&of, s)
	o := virtual.Options{Bubble: bubble.In(t)}
	recorder.Listen(&o)
	if r, err := virtual.Run(t.Context(), &of, s, 1, o); err != nil || !r.Passed() {
		t.Fatalf("error %v, result %+v", err, r)
	}
	points := recorder.Points()
	for kind, part := range map[string]string{
		reach.KindFault: "restart strikes server", reach.KindCall: "ends ok", reach.KindPair: "then crash power-loss",
		reach.KindHistory: "crash, then added",
	} {
		if !slices.ContainsFunc(points[kind], func(point string) bool { return strings.Contains(point, part) }) {
			t.Errorf("it comes to no %s with %q, but to %q", kind, part, points[kind])
		}
		if !slices.IsSorted(points[kind]) {
			t.Errorf("points of %s are not sorted", kind)
		}
	}
}

// listening returns the functions that a run would tell a recorder by.
func listening(t *testing.T) (*reach.Recorder, *virtual.Options) {
	t.Helper()
	recorder, o := reach.NewRecorder(counter.Subject(), load(t)), &virtual.Options{}
	recorder.Listen(o)
	return recorder, o
}

// Events of one instant give the same points in whatever order they come.
func TestOrderOfAnInstantDoesNotMatter(t *testing.T) {
	t.Parallel()
	events := []engine.Event{
		{At: 1, Host: "a", Kind: "x"},
		{At: 1, Host: "a", Kind: "y"},
		{At: 1, Host: "b", Kind: "z"},
		{At: 2, Host: "a", Kind: "x"},
	}
	var want []string
	for _, order := range [][]int{{0, 1, 2, 3}, {2, 1, 0, 3}, {1, 0, 2, 3}} {
		recorder, o := listening(t)
		for _, i := range order {
			o.Observe(&events[i])
		}
		got := recorder.Points()[reach.KindHistory]
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("in the order %v it comes to %q, want %q", order, got, want)
		}
	}
}

// However much happens, a run tells so many points of a kind, of so many bytes.
func TestPointsAreBounded(t *testing.T) {
	t.Parallel()
	recorder, o := listening(t)
	for i := range 2 * reach.MaxPoints {
		o.OnEvent(sim.Event{
			Time: time.Second, Kind: sim.EventDrop, Message: sim.KindRequest, From: "client", Code: "loss",
			Procedure: strconv.Itoa(i) + strings.Repeat("x", 1000),
		})
	}
	all := recorder.Points()
	if n := len(all[reach.KindCall]); n != reach.MaxPoints {
		t.Errorf("%d points of calls, want %d", n, reach.MaxPoints)
	}
	for kind, points := range all {
		if len(points) > reach.MaxPoints {
			t.Errorf("%d points of %s", len(points), kind)
		}
		for _, point := range points {
			if len(point) > 200 {
				t.Fatalf("a point of %d bytes", len(point))
			}
		}
	}
}

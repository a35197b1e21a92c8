package story

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

func at(ms int, host, kind string) engine.Event {
	return engine.Event{At: time.Duration(ms) * time.Millisecond, Host: host, Kind: kind, Tasks: []string{"t"}, Seq: uint64(ms + 1)}
}

// told returns rows as a text: the mark, what happened, and in which run.
func told(rows []Row) string {
	var text []string
	for i := range rows {
		r := &rows[i]
		bad, good := r.Times()
		text = append(text, strings.Join([]string{bad, good, r.What()}, " "))
	}
	return strings.Join(text, "\n")
}

func TestAlign(t *testing.T) {
	t.Parallel()
	aside := at(3, "a", "look")
	aside.Aside = true
	for name, tt := range map[string]struct {
		bad, good []engine.Event
		want      string
		first     int
		sameSeed  bool
	}{
		"the same": {
			[]engine.Event{at(1, "a", "x"), at(2, "b", "y")},
			[]engine.Event{at(1, "a", "x"), at(2, "b", "y")},
			"0.00100 0.00100 x\n0.00200 0.00200 y", 2, true,
		},
		"hosts in another order": {
			[]engine.Event{at(1, "a", "x"), at(2, "b", "y")},
			[]engine.Event{at(2, "b", "y"), at(3, "a", "x")},
			"0.00100 0.00300 x\n0.00200 0.00200 y", 2, true,
		},
		"looks do not count": {[]engine.Event{at(1, "a", "x"), aside}, []engine.Event{at(1, "a", "x")}, "0.00100 0.00100 x", 1, true},
		"only where it fails": {
			[]engine.Event{at(1, "a", "x"), at(2, "a", "z"), at(3, "a", "y")},
			[]engine.Event{at(1, "a", "x"), at(3, "a", "y")},
			"0.00100 0.00100 x\n0.00200 - z\n0.00300 0.00300 y", 1, true,
		},
		"again and again": {
			[]engine.Event{at(1, "a", "x"), at(2, "a", "z"), at(3, "a", "z"), at(4, "a", "z")},
			[]engine.Event{at(1, "a", "x")},
			"0.00100 0.00100 x\n0.00200 - z, 3 times", 1, true,
		},
		"much later":            {[]engine.Event{at(1, "a", "x"), at(400, "a", "y")}, []engine.Event{at(1, "a", "x"), at(2, "a", "y")}, "0.00100 0.00100 x\n0.40000 0.00200 y", 1, true},
		"later in another seed": {[]engine.Event{at(1, "a", "x"), at(400, "a", "y")}, []engine.Event{at(1, "a", "x"), at(2, "a", "y")}, "0.00100 0.00100 x\n0.40000 0.00200 y", 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows := align("t", "", tt.bad, tt.good, tt.sameSeed)
			if got := told(rows); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if first := firstOf(rows, tt.sameSeed); first != tt.first {
				t.Errorf("they part at row %d, want %d", first, tt.first)
			}
		})
	}
}

// A thing's life has what is about it and about all, and what faults did to calls about it while
// these were on their way.
func TestLife(t *testing.T) {
	t.Parallel()
	s := &scenario.Scenario{}
	s.Faults = []scenario.Fault{{ID: "kill", Action: scenario.Actions{Crash: &scenario.Crash{}}}}
	r := NewRecorder(s)
	options := &virtual.Options{}
	r.Listen(options)
	call, reply := at(10, "a", "call"), at(20, "a", "reply")
	call.From, call.To, call.Procedure = "a", "server", "Report"
	reply.From, reply.To, reply.Procedure, reply.Asked = "server", "a", "Report", call.At
	all := engine.Event{At: 30 * time.Millisecond, Kind: "heal", All: true}
	other := at(15, "a", "other")
	other.Tasks = []string{"u"}
	early := engine.Event{At: time.Millisecond, Kind: "heal", All: true}
	for _, e := range []engine.Event{early, call, other, reply, all} {
		options.History(e)
	}
	for _, ms := range []int{5, 10, 18, 25} {
		options.OnEvent(sim.Event{Time: time.Duration(ms) * time.Millisecond, Kind: sim.EventFault, Fault: "lost", From: "a", To: "server", Procedure: "/x/ReportTasks", Code: "drop"})
	}
	options.OnEvent(sim.Event{Time: 12 * time.Millisecond, Kind: sim.EventFault, Fault: "lost", From: "a", To: "server", Procedure: "/x/Heartbeat", Code: "drop"})
	options.OnFault(engine.Onset{Fault: "kill", Hosts: []string{"a"}, From: 28 * time.Millisecond})
	options.OnFault(engine.Onset{Fault: "kill", Hosts: []string{"b"}, From: 28 * time.Millisecond})
	var got []string
	for _, e := range r.Life("t") {
		got = append(got, e.At.String()+" "+e.Host+" "+e.Kind)
	}
	if want := []string{"10ms a call", "10ms a fault", "18ms a fault", "20ms a reply", "28ms a fault", "30ms  heal"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if things := r.Things(); !slices.Equal(things, []string{"t", "u"}) {
		t.Errorf("there are %v", things)
	}
	if n := len(r.Life("")); n != 5+5+2 {
		t.Errorf("all that happened is %d events", n)
	}
	if err := r.WriteLife(new(strings.Builder), "v"); !errors.Is(err, ErrUnknown) {
		t.Errorf("of what there is not it tells %v", err)
	}
}

// What the network loses is told as what faults do, at the host that called.
func TestLifeHasWhatTheNetworkLoses(t *testing.T) {
	t.Parallel()
	r := NewRecorder(&scenario.Scenario{})
	options := &virtual.Options{}
	r.Listen(options)
	call := at(10, "a", "call")
	call.From, call.To, call.Procedure = "a", "server", "Report"
	options.History(call)
	options.OnEvent(sim.Event{Time: 11 * time.Millisecond, Kind: sim.EventDrop, Code: networkLoss, Message: sim.KindResponse, From: "server", To: "a", Procedure: "/x/ReportTasks"})
	options.OnEvent(sim.Event{Time: 12 * time.Millisecond, Kind: sim.EventDrop, Code: "down", Message: sim.KindRequest, From: "a", To: "server", Procedure: "/x/ReportTasks"})
	life := r.Life("t")
	if len(life) != 2 || life[1].Host != "a" || life[1].Text != "the network loses the response of ReportTasks" {
		t.Errorf("its life is %v", life)
	}
}

// Hosts of some subjects tell of events at once.
func TestRecorderIsForManyGoroutines(t *testing.T) {
	t.Parallel()
	r := NewRecorder(&scenario.Scenario{})
	options := &virtual.Options{}
	r.Listen(options)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for ms := range 100 {
				options.History(at(ms, strconv.Itoa(i), "x"))
			}
		})
		all.Go(func() { r.Things() })
	}
	all.Wait()
	if n := len(r.Life("t")); n != 800 {
		t.Errorf("it has %d events", n)
	}
}

// What failed for other reasons than the system has no why.
func TestNothingSaysWhy(t *testing.T) {
	t.Parallel()
	run := func(context.Context, *scenario.Scenario, uint64, *Recorder) (*engine.Result, error) {
		t.Error("it ran")
		return nil, errors.New("no")
	}
	s := &scenario.Scenario{}
	for _, r := range []*engine.Result{
		{Verdict: scenario.VerdictNondeterminism, Broken: "determinism"},
		{Verdict: scenario.VerdictHarness},
		{Verdict: scenario.VerdictInvariant, Broken: "faults-fired"},
	} {
		if _, err := Find(t.Context(), s, 1, r, NewRecorder(s), run); !errors.Is(err, ErrNothing) {
			t.Errorf("%s: %v", r.Verdict, err)
		}
	}
}

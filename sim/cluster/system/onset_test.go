package system_test

import (
	"slices"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

// A caller that asks is told when each fault begins, on whom, and until when.
func TestOnsets(t *testing.T) {
	s := parse(t, small+`
targets:
  - {name: both, pick: all}
faults:
  - id: cut
    match: {from: worker, to: controller}
    when: {window: {from: 2s, until: 3s}}
    action: {partition: {}}
  - id: slow
    match: {procedure: LeaseTasks, from: both, phase: request-before-send}
    when: {window: {from: 4s, until: 6s}}
    action: {delay: {for: 20ms}}
  - id: later
    match: {procedure: Heartbeat, phase: request-in-flight}
    when: {on: {event: task-finished, nth: 5}, window: {from: 1s}}
    action: {delay: {for: 20ms}}
  - id: again
    when: {at: 10s, every: 5s, window: {until: 16s}}
    action: {restart: {target: worker-1, down: 2s}}
  - id: gone
    when: {at: 11s}
    action: {crash: {target: worker-2}}
heal: {at: 20s}
expect: {faultsFired: none}
`)
	var onsets []engine.Onset
	r := run(t, s, 1, system.Options{Options: virtual.Options{Options: engine.Options{OnFault: func(o engine.Onset) { onsets = append(onsets, o) }}}})
	want(t, r, scenario.VerdictPass, "", "")
	workers := []string{"worker-1", "worker-2"}
	expected := []engine.Onset{
		{Fault: "cut", Hosts: workers, From: 2 * time.Second, Until: 3 * time.Second},
		{Fault: "later"}, // When it comes is the run's affair.
		{Fault: "slow", Hosts: workers, From: 4 * time.Second, Until: 6 * time.Second},
		{Fault: "again", Hosts: workers[:1], From: 10 * time.Second, Until: 12 * time.Second},
		{Fault: "gone", Hosts: workers[1:], From: 11 * time.Second},
		{Fault: "again", Hosts: workers[:1], From: 15 * time.Second, Until: 17 * time.Second},
	}
	if !slices.EqualFunc(onsets, expected, func(got, want engine.Onset) bool {
		if want.Fault == "later" && got.From > time.Second && got.Until == 0 {
			return got.Fault == "later"
		}
		return got.Fault == want.Fault && slices.Equal(got.Hosts, want.Hosts) && got.From == want.From && got.Until == want.Until
	}) {
		t.Errorf("got  %+v\nwant %+v", onsets, expected)
	}
}

// What a run tells of itself, Verify tells of its first run only, and nothing of the time after its
// end.
func TestVerifyTellsOnce(t *testing.T) {
	var events, faults, seen int
	var last time.Duration
	options := system.Options{Options: virtual.Options{
		Bubble:  bubble.In(t),
		OnEvent: func(e sim.Event) { events++; last = e.Time },
		Options: engine.Options{
			OnFault: func(engine.Onset) { faults++ },
			Observe: func(any) { seen++ },
		},
	}}
	s := load(t, "worker-crash")
	r, err := system.Run(t.Context(), s, 1, options)
	if err != nil {
		t.Fatal(err)
	}
	if events == 0 || faults != 1 || seen == 0 || last > r.Virtual {
		t.Errorf("%d events, the last at %v of %v, %d faults, %d observations", events, last, r.Virtual, faults, seen)
	}
	once := [3]int{events, faults, seen}
	events, faults, seen = 0, 0, 0
	if _, err := system.Verify(t.Context(), s, 1, options, 2, 2, 2); err != nil {
		t.Fatal(err)
	}
	if got := [3]int{events, faults, seen}; got != once {
		t.Errorf("told %v by Verify, %v by Run", got, once)
	}
}

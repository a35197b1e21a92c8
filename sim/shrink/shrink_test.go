package shrink_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/examples/counter"
	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
	"github.com/frayrpc/fray/sim/shrink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var subject = counter.Subject()

func parse(t *testing.T, text string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Subjects{subject.Format}.Parse("large.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// runner runs scenarios under a seed.
func runner(t *testing.T, seed uint64) shrink.Runner {
	t.Helper()
	return func(ctx context.Context, s *scenario.Scenario, begun func(engine.Onset), acted func(string, uint64)) (*engine.Result, error) {
		o := virtual.Options{Bubble: bubble.In(t)}
		o.OnFault = begun
		if acted != nil {
			o.OnEvent = func(e sim.Event) {
				if e.Kind == sim.EventFault {
					acted(e.Fault, e.Match)
				}
			}
		}
		return virtual.Run(ctx, subject, s, seed, o)
	}
}

// large loses additions, because its server syncs nothing, among much that does not matter.
const large = `
apiVersion: fray.sim/v1
kind: Scenario
subject: counter
metadata: {name: large, summary: Much goes wrong., description: All of it., tags: [a, b]}
run: {maxVirtualTime: 5m}
topology:
  server: {lazy: true}
  network: {latency: {min: 1ms, mean: 3ms, max: 20ms}, loss: 1%}
workload:
  clients: {count: 5, additions: 80}
targets: [{name: victim, pick: all}]
faults:
  - {id: slow, match: {to: server, phase: response-in-flight}, when: {probability: 20%}, action: {delay: {mean: 30ms}}}
  - {id: lost, match: {from: client, to: server}, when: {window: {from: 1s}, probability: 10%}, action: {drop: {}}}
  - {id: nap, when: {at: 2s, every: 1s, window: {until: 6s}}, action: {pause: {target: victim, for: 100ms}}}
  - {id: outage, when: {on: {event: added, nth: 30}}, action: {restart: {target: victim, down: 500ms, disk: power-loss}}}
  - {id: parted, match: {from: client-1, to: server}, when: {window: {from: 3s, until: 4s}}, action: {partition: {}}}
heal: {at: 20s}
expect:
  sometimes: [{that: additions.acknowledged > 3}]
  finally: [{that: faults.slow > 5}]
`

// failing returns a seed under which a scenario breaks an invariant.
func failing(t *testing.T, s *scenario.Scenario, broken string) uint64 {
	t.Helper()
	for seed := range uint64(30) {
		r, err := runner(t, seed)(t.Context(), s, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Broken == broken {
			return seed
		}
	}
	t.Fatalf("no seed breaks %s", broken)
	return 0
}

// What does not matter goes, and what is left fails as it did.
func TestShrink(t *testing.T) {
	t.Parallel()
	s := parse(t, large)
	seed := failing(t, s, "never-back")
	runs := 0
	r, err := shrink.Shrink(t.Context(), s, seed, runner(t, seed), shrink.Options{
		Limit: 5 * time.Minute, Progress: func(n int, _ string, _ bool) { runs = n },
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.Scenario.MarshalShort()
	if err != nil {
		t.Fatal(err)
	}
	if !r.Done || r.Runs != runs || r.Run.Broken != "never-back" || r.Faults != [2]int{5, 1} || r.Lines[1] > 24 || r.Lines[1] >= r.Lines[0] {
		t.Errorf("after %d runs (%d told of), done %v, it breaks %s, with %v faults and %v lines:\n%s", r.Runs, runs, r.Done, r.Run.Broken, r.Faults, r.Lines, text)
	}
	for _, needless := range []string{"loss:", "latency", "slow", "nap", "parted", "sometimes", "description", "heal", "targets"} {
		if strings.Contains(string(text), needless) {
			t.Errorf("it still has %s:\n%s", needless, text)
		}
	}
	again, err := runner(t, seed)(t.Context(), parse(t, string(text)), nil, nil)
	if err != nil || again.Broken != "never-back" || again.Hash != r.Run.Hash {
		t.Errorf("the file breaks %s with the hash %016x, want %016x; error %v", again.Broken, again.Hash, r.Run.Hash, err)
	}
}

// A fault that acts by chance becomes faults that act on what it acted upon.
func TestChanceIsPinned(t *testing.T) {
	t.Parallel()
	s := parse(t, `
apiVersion: fray.sim/v1
kind: Scenario
subject: counter
metadata: {name: lossy, summary: Answers are lost.}
topology: {}
workload: {clients: {count: 2, additions: 20}}
faults:
  - {id: lost, match: {to: server, phase: response-in-flight}, when: {probability: 20%}, action: {drop: {}}}
expect:
  finally: [{that: additions.acknowledged > 35}]
`)
	seed := failing(t, s, "finally")
	r, err := shrink.Shrink(t.Context(), s, seed, runner(t, seed), shrink.Options{Limit: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Scenario.Faults {
		if f := &r.Scenario.Faults[i]; f.When.Nth == 0 || f.When.Probability != 1 {
			t.Errorf("fault %s: %+v", f.ID, f.When)
		}
	}
}

func TestNothingToShrink(t *testing.T) {
	t.Parallel()
	s := parse(t, strings.Replace(large, "lazy: true", "lazy: false", 1))
	if _, err := shrink.Shrink(t.Context(), s, 1, runner(t, 1), shrink.Options{}); !errors.Is(err, shrink.ErrPasses) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := shrink.Shrink(ctx, parse(t, large), 1, runner(t, 1), shrink.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

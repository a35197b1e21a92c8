package chaos_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/frayrpc/fray/examples/counter"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/chaos"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

func bases(t *testing.T) []*scenario.Scenario {
	t.Helper()
	library := scenario.Library{Files: counter.Scenarios(), Subjects: scenario.Subjects{counter.Subject().Format}}
	own, err := library.Load("power-loss")
	if err != nil {
		t.Fatal(err)
	}
	fray, err := cluster.Load("nested-tasks")
	if err != nil {
		t.Fatal(err)
	}
	return []*scenario.Scenario{own, fray}
}

// Each seed has faults of its own, the same each time, of all kinds that there are.
func TestDraw(t *testing.T) {
	t.Parallel()
	for _, base := range bases(t) {
		seen := map[string]bool{}
		texts := map[string]bool{}
		for seed := range uint64(300) {
			s, err := chaos.Draw(base, seed, chaos.Options{})
			if err != nil {
				t.Fatal(err)
			}
			text, _ := s.Marshal()
			again, err := chaos.Draw(base, seed, chaos.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if other, _ := again.Marshal(); !bytes.Equal(text, other) {
				t.Fatalf("seed %d is another scenario the second time", seed)
			}
			texts[string(text)] = true
			for i := range s.Faults {
				seen[s.Faults[i].Action.Key()] = true
			}
		}
		if len(texts) != 300 {
			t.Errorf("%s: %d scenarios of 300 seeds", base.Metadata.Name, len(texts))
		}
		for _, kind := range chaos.Kinds() {
			disk := base.Hosts()[0].Disk || kind != "diskFull" && kind != "diskError"
			if seen[kind] != disk {
				t.Errorf("%s: %s is drawn: %v", base.Metadata.Name, kind, seen[kind])
			}
		}
	}
}

func TestDrawRefuses(t *testing.T) {
	t.Parallel()
	base := bases(t)[1]
	for want, kinds := range map[string][]string{
		"there is no kind of fault": {"restrat"}, "did you mean restart": {"restrat"},
		"no fault of the kinds [diskFull] can strike": {"diskFull"},
	} {
		if _, err := chaos.Draw(base, 1, chaos.Options{Kinds: kinds}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", kinds, err, want)
		}
	}
}

// What chance does to a counter costs it nothing that it has acknowledged.
func TestChaosOfACounter(t *testing.T) {
	t.Parallel()
	base := bases(t)[0]
	for seed := range uint64(30) {
		s, err := chaos.Draw(base, seed, chaos.Options{})
		if err != nil {
			t.Fatal(err)
		}
		of := *counter.Subject()
		of.Format = base.About()
		r, err := virtual.Run(t.Context(), &of, s, seed, virtual.Options{Bubble: bubble.In(t)})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Passed() {
			t.Errorf("seed %d: %s: %s: %s", seed, r.Verdict, r.Broken, r.Text)
		}
	}
}

package chaos_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/frayrpc/fray/internal/race"
	"github.com/frayrpc/fray/sim/chaos"
	own "github.com/frayrpc/fray/sim/cluster/chaos"
	"github.com/frayrpc/fray/sim/scenario"
)

// text is what a scenario says but for its name.
func text(t *testing.T, s *scenario.Scenario) []byte {
	t.Helper()
	s.Metadata.Name = "x"
	text, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Each part can be drawn from another seed, and then some scenarios differ.
func TestEachPartIsRedrawn(t *testing.T) {
	if race.Enabled {
		t.Skip("draws, in one goroutine")
	}
	t.Parallel()
	parts := append(own.Parts(), "all", "kind-1", "client-1", "fault-2")
	for _, part := range parts {
		same := true
		for seed := uint64(0); seed < 60 && same; seed++ {
			before := text(t, drawn(t, seed, own.Options{}))
			s := drawn(t, seed, own.Options{Redraw: chaos.Redraw{part: 1000 + seed}})
			if want := fmt.Sprintf("chaos-%d-%s-%d", seed, part, 1000+seed); s.Metadata.Name != want {
				t.Errorf("it is called %s, want %s", s.Metadata.Name, want)
			}
			same = bytes.Equal(before, text(t, s))
			if again := drawn(t, seed, own.Options{Redraw: chaos.Redraw{part: seed}}); !bytes.Equal(before, text(t, again)) {
				t.Fatalf("%s of seed %d is another when it is drawn from that seed", part, seed)
			}
		}
		if same {
			t.Errorf("%s drawn from another seed makes no other scenario", part)
		}
	}
}

// Whatever is drawn from another seed, what comes of it is a scenario.
func TestRedrawnIsValid(t *testing.T) {
	if race.Enabled {
		t.Skip("draws, in one goroutine")
	}
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		redraw := chaos.Redraw{}
		for range 1 + random.IntN(4) {
			parts := append(own.Parts(), "all", "fault-1", "fault-2", "kind-1", "client-1")
			redraw[parts[random.IntN(len(parts))]] = random.Uint64N(1000)
		}
		for _, backend := range []string{scenario.BackendSim, scenario.BackendProcess} {
			drawn(t, random.Uint64N(1000), own.Options{Backend: backend, Redraw: redraw})
		}
	}
}

func TestRedrawRefuses(t *testing.T) {
	t.Parallel()
	for part, want := range map[string]string{
		"networc": "did you mean network?", "fault-99": "among all, run, controller, leaders, workers, network,",
		"kind-9": `there is no part "kind-9"`, "visitors-1": "there is no part", "fault-0": "there is no part",
	} {
		_, err := own.Draw(1, own.Options{Redraw: chaos.Redraw{part: 7}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", part, err, want)
		}
	}
}

package system_test

import (
	"testing"

	"github.com/frayrpc/fray/internal/race"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/cluster/chaos"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

// Random clusters whose controllers share a database replay, and pass. In 93 the answer to a submission is
// lost, in 199 the lead while a controller recovers, in 283 one is to stop while the database is away; in
// 20, 33, 107 and 282 records are committed of which the encoding has maps.
func TestChaosOfSharedDatabases(t *testing.T) {
	t.Parallel()
	seeds := []uint64{93, 199, 20, 33, 107, 282, 283}
	if race.Enabled {
		seeds = seeds[:2]
	}
	for _, seed := range seeds {
		s, err := chaos.Draw(seed, chaos.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := system.Verify(t.Context(), s, seed, system.Options{Options: virtual.Options{Bubble: bubble.In(t)}}, 1, 2)
		if err != nil || r.Verdict != scenario.VerdictPass {
			t.Errorf("seed %d: error %v; %s", seed, err, r.Text)
		}
	}
}

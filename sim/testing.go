package sim

import (
	"testing"
	"testing/synctest"
)

// Test runs f with a simulation in a bubble of its own, closes the simulation, and fails the test with its seed if anything
// was wrong with the run. f may use t's methods that log and fail, and so may software, but for Fatal, FailNow and Skip.
func Test(t *testing.T, cfg Config, f func(s *Sim)) {
	t.Helper()
	leaked := false
	defer func() {
		// What was left behind keeps the bubble from ending; that it did is reported already.
		if v := recover(); v != nil && !leaked {
			panic(v)
		}
	}()
	synctest.Test(t, func(*testing.T) {
		s := New(cfg)
		defer func() {
			if err := s.Close(); err != nil {
				leaked = len(s.leaks) > 0
				t.Errorf("seed %d: %v", cfg.Seed, err)
			}
			if t.Failed() {
				t.Logf("seed %d, hash %016x, %d steps, %v", cfg.Seed, s.Hash(), s.stats.Steps, s.Elapsed())
			}
		}()
		f(s)
	})
}

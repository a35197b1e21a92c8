package sim

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// Test runs f with a simulation in a bubble of its own, closes the simulation, and fails the test
// with its seed if anything was wrong with the run. f may use t's methods that log and fail, and so
// may software, but for Fatal, FailNow and Skip.
//
// A run that goes no further in real time (see [Stall]) cannot be ended: Test says what is in the
// way, with the test and its seed, and ends the process with exit code 1. What a panic of another
// goroutine prints has the test and the seed among the goroutine's labels, for which Test adds
// tracebacklabels=1 to GODEBUG.
func Test(t *testing.T, cfg Config, f func(s *Sim)) {
	t.Helper()
	leaked := false
	defer func() {
		// What was left behind keeps the bubble from ending; that it did is reported already.
		if v := recover(); v != nil && !leaked {
			panic(v)
		}
	}()
	if cfg.Watchdog == nil {
		name := t.Name()
		cfg.Watchdog = NewWatchdog(cfg.Stall, func(s Stall) {
			fmt.Fprintf(os.Stderr, "--- FAIL: %s\n    seed %d: %v\n", name, cfg.Seed, s)
			os.Exit(1) //nolint:forbidigo // Nothing else ends such a run.
		})
		defer cfg.Watchdog.Close()
	}
	cfg.Name = cmp.Or(cfg.Name, t.Name())
	labelTracebacks()
	synctest.Test(t, func(t *testing.T) {
		labels := pprof.Labels(labelTest, t.Name(), labelSeed, strconv.FormatUint(cfg.Seed, 10))
		pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), labels))
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

// labelTracebacks has the runtime print the labels of goroutines with their stacks.
var labelTracebacks = sync.OnceFunc(func() {
	const name, setting = "GODEBUG", "tracebacklabels"
	have := os.Getenv(name) //nolint:forbidigo // It is how the runtime is told.
	if !strings.Contains(have, setting) {
		_ = os.Setenv(name, strings.TrimPrefix(have+","+setting+"=1", ",")) // It fails for odd names only.
	}
})

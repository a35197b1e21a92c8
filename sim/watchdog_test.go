package sim_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
)

// A test whose simulation goes no further, or in which a goroutine panics, ends with its name, its
// seed and what is in the way.
func TestSimulationThatBreaksDown(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "stall.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, "./testdata/stall").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for way, test := range map[string]struct {
		code int
		want []string
	}{
		"none": {0, nil},
		"spin": {1, []string{`--- FAIL: TestBreaksDown`, `seed 4711: nothing has happened for 2s of real time: virtual time was last seen at 0s`, `stall\.spinForEver\(`}},
		"mutex": {1, []string{
			`--- FAIL: TestBreaksDown`, `seed 4711: nothing has happened for 2s`, `sync\.Mutex\.Lock`, `stall\.lockedCall\(`,
		}},
		"panic": {2, []string{`panic: in the background`, `sim_seed"?: "?4711`, `sim_test"?: "?TestBreaksDown`}},
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), program)
			cmd.Env = append(os.Environ(), "STALL="+way)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() != test.code || err == nil && test.code != 0 || err != nil && exit == nil {
				t.Errorf("ended with %v, want exit code %d", err, test.code)
			}
			for _, want := range test.want {
				if !regexp.MustCompile(want).Match(out) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if strings.Contains(string(out), "synctest.Wait") && way != "panic" {
				t.Errorf("what only waits is told of as in the way:\n%s", out)
			}
		})
	}
}

// A watchdog that is closed, or has no limit, says nothing; and one waits for a simulation to
// begin.
func TestWatchdogKeepsQuiet(t *testing.T) {
	t.Parallel()
	for _, limit := range []time.Duration{-1, time.Millisecond, 0} {
		w := sim.NewWatchdog(limit, func(s sim.Stall) { t.Errorf("limit %v: %v", limit, s) })
		timer := time.NewTimer(20 * time.Millisecond)
		<-timer.C
		w.Close()
		w.Close()
		if !w.Closed() {
			t.Error("it is not closed")
		}
	}
}

package simtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// A test of scenarios in which a run goes no further, or a goroutine panics, ends with its name, the
// seed and what is in the way, sooner than go test would end it.
func TestScenarioThatBreaksDown(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "stall.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, "./testdata/stall").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for way, wants := range map[string][]string{
		"none": nil,
		"spin": {
			`--- FAIL: TestBreaksDown/breaks/seed=4711`, `FAIL \(stalled\)  breaks, seed 4711`, `virtual time was last seen at \d+`, `stall\.spinForEver\(`,
			`go test -run '\^TestBreaksDown\$/\^breaks\$/\^seed=4711\$'`,
		},
		"panic": {`panic: in the background`, `sim_seed"?: "?4711`, `sim_test"?: "?TestBreaksDown/breaks/seed=4711`},
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), program, "-test.timeout", "6s")
			cmd.Env = append(os.Environ(), "STALL="+way)
			out, err := cmd.CombinedOutput()
			if (err == nil) != (wants == nil) {
				t.Errorf("ended with %v", err)
			}
			for _, want := range wants {
				if !regexp.MustCompile(want).Match(out) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
}

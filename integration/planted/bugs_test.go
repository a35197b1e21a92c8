package main

import (
	"os/exec"
	"slices"
	"testing"

	"github.com/frayrpc/fray/sim/scenario"
)

// Every bug can be planted in today's sources, so that a change of them cannot leave one behind.
func TestBugsApply(t *testing.T) {
	t.Parallel()
	bugs, err := readBugs("bugs")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			if !slices.Contains(scenario.List(), b.scenario) {
				t.Errorf("there is no scenario %q in the library", b.scenario)
			}
			if r := (result{Verdict: b.verdict}); r.code() < 1 || r.code() > 3 {
				t.Errorf("a bug cannot be found as %q", b.verdict)
			}
			files, err := b.apply("../..")
			if err != nil {
				t.Fatal(err)
			}
			list, err := files.write("../..", t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "go", append([]string{"build", "-overlay=" + list}, files.packages()...)...)
			cmd.Dir = "../.."
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("it does not compile: %v\n%s", err, out)
			}
		})
	}
}

func TestBugsCoverPitfalls(t *testing.T) {
	t.Parallel()
	bugs, err := readBugs("bugs")
	if err != nil {
		t.Fatal(err)
	}
	for _, pitfall := range pitfalls {
		if !slices.ContainsFunc(bugs, func(b *bug) bool { return b.pitfall == pitfall }) {
			t.Errorf("no bug is an instance of %q", pitfall)
		}
	}
}

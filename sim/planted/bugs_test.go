package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
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
			switch r := (result{engine.Result{Verdict: b.verdict}}); {
			case b.pkg != "":
				if !hasTest(t, "../../"+b.pkg, b.broken) {
					t.Errorf("there is no test %s in %s", b.broken, b.pkg)
				}
			case !slices.Contains(cluster.List(), b.scenario):
				t.Errorf("there is no scenario %q in the library", b.scenario)
			case r.ExitCode() < 1 || r.ExitCode() > 3:
				t.Errorf("a bug cannot be found as %q", b.verdict)
			}
			files, err := b.apply("../..")
			if err != nil {
				t.Fatal(err)
			}
			list, err := files.Write("../..", t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "go", append([]string{"build", "-overlay=" + list}, files.Packages()...)...)
			cmd.Dir = "../.."
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("it does not compile: %v\n%s", err, out)
			}
		})
	}
}

// hasTest says whether a directory has a test of a name.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(text), "\nfunc "+name+"(t *testing.T)")
	})
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

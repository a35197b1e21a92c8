package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The command does what its scripts say. It is built for that: a test has its own ways with
// bubbles.
func TestScripts(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	args := []string{"build", "-o", filepath.Join(bin, "fray-sim")}
	coverage := os.Getenv("FRAY_COVERDIR")
	if coverage != "" {
		args = append(args, "-cover", "-covermode=atomic", "-coverpkg=github.com/frayrpc/fray/...")
	}
	build := exec.CommandContext(t.Context(), "go", append(args, ".")...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	// The same with what breaks down by itself.
	build = exec.CommandContext(t.Context(), "go", append(slices.Clone(args[:2]), filepath.Join(bin, "fray-sim-breaking"), "-tags", "breaking", ".")...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cache, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("GOCOVERDIR", coverage)
			// For go test: what is compiled already, and where the overlay goes.
			env.Setenv("GOCACHE", strings.TrimSpace(string(cache)))
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, ".cache"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// exits CODE COMMAND... demands an exit code.
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				const check = `want=$1; shift; "$@"; got=$?; test "$got" = "$want" || { echo "exited with $got, want $want" >&2; exit 1; }`
				ts.Check(ts.Exec("sh", append([]string{"-c", check, "sh"}, args...)...))
			},
		},
	})
}

package simtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/examples/counter"
	"github.com/frayrpc/fray/sim/engine"
)

// What shrink --test writes compiles in the package that it is put into, of any subject, and fails
// as the scenario does.
func TestShrunkenTestFails(t *testing.T) {
	for _, tt := range []struct {
		name, program, pkg, file, test, want string
		args                                 []string
	}{
		{
			"another service", "./examples/counter/simulate", "./examples/counter", "examples/counter/small_test.go",
			"TestLazyServerSeed1", "host-ended: software of server",
			[]string{"--scenario", "lazy-server", "--seed", "1"},
		},
		{
			"Fray", "./cmd/fray-sim", "./sim/cluster/system", "sim/cluster/system/small_test.go",
			"TestImpossibleSeed3", "not true in the end: tasks.completed > 100",
			[]string{"--scenario", "impossible.yaml", "--seed", "3"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), filepath.Base(tt.pkg)) // Which names the package.
			program, source, overlay := filepath.Join(dir, "program"), filepath.Join(dir, "small_test.go"), filepath.Join(dir, "overlay.json")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "impossible.yaml"), []byte(impossible), 0o600); err != nil {
				t.Fatal(err)
			}
			root, err := filepath.Abs("../..")
			if err != nil {
				t.Fatal(err)
			}
			run := func(in, name string, args ...string) (string, error) {
				cmd := exec.CommandContext(t.Context(), name, args...)
				cmd.Dir = in
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			if out, err := run(root, "go", "build", "-o", program, tt.program); err != nil {
				t.Fatalf("build: %v\n%s", err, out)
			}
			if out, err := run(dir, program, append([]string{"shrink", "--for", "5s", "--test", source}, tt.args...)...); err != nil {
				t.Fatalf("shrink: %v\n%s", err, out)
			}
			text, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, filepath.FromSlash(tt.file)): source}})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(overlay, text, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := run(root, "go", "test", "-overlay", overlay, "-count=1", "-run", "^"+tt.test+"$", tt.pkg)
			if err == nil || !strings.Contains(out, "--- FAIL: "+tt.test) || !strings.Contains(out, tt.want) {
				written, _ := os.ReadFile(source)
				t.Errorf("the test ended with %v\n%s\n%s", err, out, written)
			}
		})
	}
}

const impossible = `apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: impossible, summary: More is expected than there is.}
topology:
  workers: [{name: worker, count: 2}]
workload:
  clients: [{name: client, tasks: 10}]
expect:
  finally: [{that: tasks.completed > 100}]
`

func beginHere(*engine.Run) (engine.System, error) { return nil, nil } //nolint:nilnil // It is never called.

// Only an exported function without parameters makes a subject of which a test can be written.
func TestSubjectOfATest(t *testing.T) {
	t.Parallel()
	of, err := madeBy(counter.Subject())
	if err != nil || of.Expression != "counter.Subject()" || !slices.Equal(of.Imports, []string{"github.com/frayrpc/fray/examples/counter"}) {
		t.Errorf("the example is made by %+v, %v", of, err)
	}
	a := &App{program: &Program{Subject: &engine.Subject{Begin: beginHere}}}
	if err := a.checkTest(filepath.Join(t.TempDir(), "x_test.go")); err == nil || !strings.Contains(err.Error(), "have its Program.Test say it") {
		t.Errorf("a subject that nothing makes: %v", err)
	}
}

func TestNamesOfTests(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"worker-crash": "WorkerCrash", "chaos-7": "Chaos7", "a.b_c": "ABC"} {
		if got := camel(name); got != want {
			t.Errorf("%s becomes %s", name, got)
		}
	}
	if got := comment(strings.Repeat("word ", 100)); len(got) > maxComment+3 || !strings.HasSuffix(got, "word ...") {
		t.Errorf("a long text becomes %q", got)
	}
	if got := literal("a`b\n"); got != `"a`+"`"+`b\n"` {
		t.Errorf("a text with a back quote becomes %s", got)
	}
}

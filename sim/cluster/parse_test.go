package cluster_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// Each file of testdata/invalid is rejected with the text beside it.
func TestInvalidFilesAreExplained(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/invalid/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = cluster.Parse(filepath.Base(file), text)
			var invalid *scenario.InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("error %v, want an InvalidError", err)
			}
			for _, p := range invalid.Problems {
				if p.Suggestion == "" {
					t.Errorf("%s: no suggestion", p.Message)
				}
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", err.Error()+"\n")
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	s := parse(t, `
apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: least, summary: The least that a scenario says.}
topology: {workers: [{name: worker}]}
workload: {clients: [{name: client, tasks: 1}]}
`)
	if got, want := cluster.Of(s).Topology.Controller.SessionTTL, scenario.Duration(15*time.Second); got != want {
		t.Errorf("session TTL %v, want %v", got, want)
	}
	if got := s.Run.Seeds; got != (scenario.Seeds{First: 1, Last: 1}) {
		t.Errorf("seeds %v, want 1", got)
	}
	if len(cluster.Of(s).Workload.Mix) != 1 || cluster.Of(s).Workload.Mix[0].Name != cluster.DefaultKind || cluster.Of(s).Workload.Mix[0].MaxWorkerLosses != 3 {
		t.Errorf("mix %+v, want one kind with the defaults", cluster.Of(s).Workload.Mix)
	}
	var names []string
	for _, h := range s.Hosts() {
		names = append(names, h.Name)
	}
	if got := strings.Join(names, " "); got != "controller worker-1 client-1" {
		t.Errorf("hosts %s", got)
	}
}

// A limit that one key alone gives goes for the other, too.
func TestSpanOfOneLimit(t *testing.T) {
	t.Parallel()
	s := parse(t, strings.Replace(least, "}]}", "}], mix: [{name: a, work: {min: 3s}}, {name: b, work: {max: 1ms}}, {name: c, work: {max: 1s}}]}", 1))
	want := []cluster.Span{
		{Min: scenario.Duration(3 * time.Second), Max: scenario.Duration(3 * time.Second)},
		{Min: scenario.Duration(time.Millisecond), Max: scenario.Duration(time.Millisecond)},
		{Min: scenario.Duration(10 * time.Millisecond), Max: scenario.Duration(time.Second)},
	}
	for i, k := range cluster.Of(s).Workload.Mix {
		if k.Work != want[i] {
			t.Errorf("%s: work %v, want %v", k.Name, k.Work, want[i])
		}
	}
}

const least = `apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: least, summary: The least that a scenario says.}
workload: {clients: [{name: client, tasks: 1}]}
topology: {workers: [{name: worker}]}
`

func TestManyProblemsAreCounted(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "key%d: 1\n", i)
	}
	_, err := cluster.Parse("many.yaml", []byte(b.String()))
	var invalid *scenario.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	if len(invalid.Problems) > 25 || len(invalid.Problems)+invalid.Omitted < 100 {
		t.Errorf("%d problems and %d omitted", len(invalid.Problems), invalid.Omitted)
	}
	if !strings.Contains(err.Error(), fmt.Sprintf("and %d more", invalid.Omitted)) {
		t.Error("the error does not count what it omits")
	}
}

func TestHugeAndDeepFilesAreRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"huge":     strings.Repeat("# nothing\n", 200_000),
		"brackets": strings.Repeat("[", 10_000),
		"indent":   "a:\n" + strings.Repeat(" ", 10_000) + "b: 1\n",
		"dashes":   strings.Repeat("- ", 10_000),
		"no UTF-8": "a: \xff\n",
	} {
		if _, err := cluster.Parse(name, []byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestColumnsCountCharacters(t *testing.T) {
	t.Parallel()
	_, err := cluster.Parse("x.yaml", []byte(strings.Replace(least, "summary: The least", "description: äöü€, nope: 1, summary: The least", 1)))
	if err == nil || !strings.HasPrefix(err.Error(), "x.yaml:3:44: ") {
		t.Errorf("error %v, want it at 3:44", err)
	}
}

func TestParseFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.yaml")
	if _, err := cluster.ParseFile(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that it does not exist", err)
	}
	if err := os.WriteFile(path, []byte(least), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.ParseFile(path); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, make([]byte, scenario.MaxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.ParseFile(path); err == nil {
		t.Error("a file that is too large was read")
	}
}

func TestCRLF(t *testing.T) {
	t.Parallel()
	a, b := parse(t, least), parse(t, strings.ReplaceAll(least, "\n", "\r\n"))
	if !same(a, b) {
		t.Error("line ends make a difference")
	}
}

func parse(t *testing.T, text string) *scenario.Scenario {
	t.Helper()
	s, err := cluster.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// same says whether two scenarios say the same, wherever their files do.
func same(a, b *scenario.Scenario) bool {
	x, xErr := a.Marshal()
	y, yErr := b.Marshal()
	return xErr == nil && yErr == nil && bytes.Equal(x, y)
}

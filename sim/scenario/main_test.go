package scenario_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/sim/scenario"
)

var update = flag.Bool("update", false, "rewrite golden files, the schema and the tables of docs/scenario-reference.md")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// golden compares a text with a file, or writes it there.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil { // It is committed.
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	is, should := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(is), len(should)) {
		if i >= len(is) || i >= len(should) || is[i] != should[i] {
			t.Errorf("%s is not what it should be from line %d on (go test ./sim/scenario -update rewrites it); from there it should be\n%s",
				path, i+1, strings.Join(should[min(i, len(should)):min(i+10, len(should))], "\n"))
			return
		}
	}
}

func load(t *testing.T, name string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

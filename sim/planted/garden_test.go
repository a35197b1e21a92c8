package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/frayrpc/fray/internal/patch"
)

// A bug that does not apply or does not compile is told, and the next one is tried all the same.
func TestPlantAllGoesOn(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":               "module example.com/m\n\ngo 1.26\n",
		"cmd/fray-sim/main.go": "package main\n\nfunc main() {\n\tprintln()\n}\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	edits := func(old, changed string) []patch.Edit {
		return []patch.Edit{{File: "cmd/fray-sim/main.go", Old: old, New: changed, Times: 1}}
	}
	var out strings.Builder
	err := plantAll(t.Context(), &garden{root: root, dir: t.TempDir(), seeds: 1, controls: true}, []*bug{
		{name: "gone", scenario: "one", verdict: "invariant-broken", edits: edits("\tprint()\n", "")},
		{name: "wrong", scenario: "one", verdict: "invariant-broken", edits: edits("\tprintln()\n", "\tprintln(x)\n")},
	}, nil, &out)
	if err == nil {
		t.Error("nothing was missed")
	}
	for _, want := range []string{"there 0 times", "undefined: x", "2 bugs planted, 1 controls, 3 not as expected"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

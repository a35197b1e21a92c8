package patch_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/frayrpc/fray/internal/patch"
)

// tree returns a directory with these files.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func parse(t *testing.T, text string) []patch.Edit {
	t.Helper()
	edits, err := patch.Parse(txtar.Parse([]byte(text)).Files)
	if err != nil {
		t.Fatal(err)
	}
	return edits
}

const one = "-- a.go: old --\n\tx = 1\n-- a.go: new --\n\tx = 2\n"

func TestApply(t *testing.T) {
	t.Parallel()
	twice := strings.Replace(one, "old", "old, 2 times", 1)
	either := one + "-- a.go: or old --\n\tx = 3\n-- a.go: new --\n\tx = 4\n"
	elsewhere := "-- b.go: old --\n\tx = 1\n-- b.go: new --\n\tx = 2\n-- a.go: or old --\n\tx = 3\n-- a.go: new --\n\tx = 4\n"
	for name, test := range map[string]struct {
		edits, source, want string
		fails               string
	}{
		"once":                {edits: one, source: "a()\n\tx = 1\nb()\n", want: "a()\n\tx = 2\nb()\n"},
		"at the head":         {edits: one, source: "\tx = 1\nb()\n", want: "\tx = 2\nb()\n"},
		"changed":             {edits: one, source: "a()\n\tx = 3\n", fails: "edit a.go: these lines are there 0 times, and not once:\n\tx = 1"},
		"there twice":         {edits: one, source: "\tx = 1\n\tx = 1\n", fails: "there 2 times"},
		"part of a line":      {edits: one, source: "\t\tx = 1\n", fails: "there 0 times"},
		"twice":               {edits: twice, source: "\tx = 1\na()\n\tx = 1\n", want: "\tx = 2\na()\n\tx = 2\n"},
		"twice, there once":   {edits: twice, source: "\tx = 1\n", fails: "there 1 times, and not 2"},
		"first of two":        {edits: either, source: "\tx = 1\n\tx = 3\n", want: "\tx = 2\n\tx = 3\n"},
		"second of two":       {edits: either, source: "\tx = 3\n", want: "\tx = 4\n"},
		"none of two":         {edits: either, source: "\tx = 5\n", fails: "\tx = 3"},
		"in another file":     {edits: elsewhere, source: "\tx = 3\n", want: "\tx = 4\n"},
		"one after the other": {edits: one + "-- a.go: old --\n\tx = 2\n-- a.go: new --\n", source: "\tx = 1\nb()\n", want: "b()\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, err := patch.Apply(tree(t, map[string]string{"a.go": test.source}), parse(t, test.edits))
			switch {
			case test.fails != "":
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("got %v, want an error with %q", err, test.fails)
				}
			case err != nil:
				t.Error(err)
			case files["a.go"] != test.want:
				t.Errorf("got %q, want %q", files["a.go"], test.want)
			}
		})
	}
}

func TestAllThatIsWrongIsTold(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"a.go": "1\n"})
	_, err := patch.Apply(root, []patch.Edit{{File: "a.go", Old: "6\n", Times: 1}, {File: "b.go", Old: "1\n", Times: 1}})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "edit a.go") {
		t.Errorf("got %v, want what is wrong with both edits", err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"nothing":           {"", "want pairs of sections"},
		"odd":               {"-- a.go: old --\n1\n", "want pairs of sections"},
		"two files":         {"-- a.go: old --\n1\n-- b.go: new --\n", `sections "a.go: old" and "b.go: new"`},
		"no old":            {"-- a.go --\n1\n-- a.go: new --\n", `sections "a.go" and "a.go: new"`},
		"no change":         {"-- a.go: old --\n1\n-- a.go: new --\n1\n", "want lines that the edit replaces"},
		"empty":             {"-- a.go: old --\n-- a.go: new --\n1\n", "want lines that the edit replaces"},
		"alternative first": {"-- a.go: or old --\n1\n-- a.go: new --\n", "want what it is the alternative of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := patch.Parse(txtar.Parse([]byte(test.text)).Files)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	files := patch.Files{"a/b.go": "1\n", "c.go": "2\n"}
	list, err := files.Write("root", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	var overlay struct{ Replace map[string]string }
	if err := json.Unmarshal(text, &overlay); err != nil {
		t.Fatal(err)
	}
	root, _ := filepath.Abs("root")
	for name, want := range files {
		got, err := os.ReadFile(overlay.Replace[filepath.Join(root, name)])
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

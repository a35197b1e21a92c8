package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const goodBug = `too much

Somebody likes large numbers.

pitfall: busy worker declared dead
scenario: worker-crash
result: invariant-broken one-lease
` + goodEdits

const goodEdits = `-- a/a.go: old --
	x = 1
-- a/a.go: new --
	x = 2
-- b.go: old --
	y()
-- b.go: new --
`

func TestParseBug(t *testing.T) {
	t.Parallel()
	b, err := parseBug("name", []byte(goodBug))
	if err != nil {
		t.Fatal(err)
	}
	want := bug{
		name: "name", title: "too much", pitfall: "busy worker declared dead", scenario: "worker-crash", verdict: "invariant-broken", broken: "one-lease",
		edits: []edit{{"a/a.go", "\tx = 1\n", "\tx = 2\n"}, {"b.go", "\ty()\n", ""}},
	}
	if edits := b.edits; !slices.Equal(edits, want.edits) {
		t.Errorf("edits %q, want %q", edits, want.edits)
	}
	b.edits, want.edits = nil, nil
	if b.name != want.name || b.title != want.title || b.pitfall != want.pitfall || b.scenario != want.scenario ||
		b.verdict != want.verdict || b.broken != want.broken || b.verified() {
		t.Errorf("got %+v, want %+v", *b, want)
	}
}

func TestParseBugWithATest(t *testing.T) {
	t.Parallel()
	text := strings.Replace(goodBug, "scenario: worker-crash\nresult: invariant-broken one-lease", "test: ./a TestA", 1)
	b, err := parseBug("name", []byte(text))
	if err != nil || b.pkg != "./a" || b.broken != "TestA" || b.verdict != verdictTest || b.place() != "./a" {
		t.Errorf("got %+v, %v", b, err)
	}
}

func TestParseBugRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ old, new, want string }{
		"no explanation": {"Somebody likes large numbers.\n\n", "", "want a title, an explanation and keys"},
		"unknown key":    {"pitfall: busy worker declared dead", "entry: 3", `line "entry: 3": want pitfall, scenario, result or test`},
		"no pitfall":     {"pitfall: busy worker declared dead\n", "", "want the keys"},
		"other pitfall":  {"busy worker declared", "lazy worker declared", `pitfall "lazy worker declared dead": want none, or one of`},
		"no oracle":      {" one-lease", "", "want the keys"},
		"both":           {"scenario: worker-crash", "scenario: worker-crash\ntest: ./a TestA", "want the keys"},
		"no test":        {"scenario: worker-crash\nresult: invariant-broken one-lease", "test: ./a", "want the keys"},
		"no edit":        {goodEdits, "", "want pairs of sections"},
		"odd sections":   {"-- b.go: new --\n", "", "want pairs of sections"},
		"other file":     {"-- b.go: new --", "-- c.go: new --", `sections "b.go: old" and "c.go: new"`},
		"no old":         {"-- b.go: old --", "-- b.go --", `sections "b.go" and "b.go: new"`},
		"nothing to do":  {"x = 2", "x = 1", "want lines that the edit replaces"},
		"nothing there":  {"\ty()\n", "", "want lines that the edit replaces"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parseBug("name", []byte(strings.Replace(goodBug, test.old, test.new, 1)))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		source, want string
		fails        string
	}{
		"once":        {source: "a()\n\tx = 1\nb()\n", want: "a()\n\tx = 2\nb()\n"},
		"at the head": {source: "\tx = 1\nb()\n", want: "\tx = 2\nb()\n"},
		"changed":     {source: "a()\n\tx = 3\n", fails: "there 0 times"},
		"twice":       {source: "\tx = 1\n\tx = 1\n", fails: "there 2 times"},
		"part":        {source: "\t\tx = 1\n", fails: "there 0 times"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			if err := os.WriteFile(filepath.Join(root, "a.go"), []byte(test.source), 0o600); err != nil {
				t.Fatal(err)
			}
			b := &bug{edits: []edit{{"a.go", "\tx = 1\n", "\tx = 2\n"}}}
			files, err := b.apply(root)
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

// Edits of one file add up, and all that do not apply are told.
func TestApplyAllEdits(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.go"), []byte("1\n2\n3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := (&bug{edits: []edit{{"a.go", "1\n", ""}, {"a.go", "3\n", "4\n5\n"}}}).apply(root)
	if err != nil || files["a.go"] != "2\n4\n5\n" {
		t.Errorf("got %q, %v", files["a.go"], err)
	}
	_, err = (&bug{edits: []edit{{"a.go", "6\n", ""}, {"b.go", "1\n", ""}}}).apply(root)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "edit a.go") {
		t.Errorf("got %v, want what is wrong with both edits", err)
	}
}

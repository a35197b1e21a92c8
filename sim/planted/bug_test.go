package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/internal/patch"
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
		edits: []patch.Edit{
			{File: "a/a.go", Old: "\tx = 1\n", New: "\tx = 2\n", Times: 1}, {File: "b.go", Old: "\ty()\n", Times: 1},
		},
	}
	if edits := b.edits; !slices.Equal(edits, want.edits) {
		t.Errorf("edits %+v, want %+v", edits, want.edits)
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

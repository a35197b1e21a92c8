package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/frayrpc/fray/sim/engine"
)

func TestRecordsAreBroughtUpToDate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "table.md")
	bugs := []*bug{
		{name: "a", title: "a | b", pitfall: "orphans are never collected", scenario: "one"},
		{name: "b", title: "two", pitfall: noPitfall, pkg: "./fray", broken: "TestB"},
	}
	keep := func(o *outcome) string {
		t.Helper()
		r, err := readRecords(file, bugs)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.keep(o); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	keep(&outcome{bug: bugs[1], result: result{engine.Result{Seed: 1, Verdict: verdictTest}}})
	keep(&outcome{bug: bugs[0], result: result{engine.Result{Seed: 9, Verdict: "old", Broken: "one"}}})
	text := keep(&outcome{bug: bugs[0], result: result{engine.Result{Seed: 17, Verdict: "invariant-broken", Broken: "one"}}})
	for _, want := range []string{
		"| `a` | a \\| b | orphans are never collected | `one` | 17 | `invariant-broken one` | `make planted PLANTED='^a$'` |",
		"| `b` | two |  | `TestB` of `./fray` |  | a failing test |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "old") || strings.Index(text, "`b`") < strings.Index(text, "`a`") {
		t.Errorf("a line is not replaced, or they are not in the order of their names:\n%s", text)
	}
	if again := keep(&outcome{bug: bugs[1]}); again != text {
		t.Errorf("what found nothing is on record:\n%s", again)
	}
}

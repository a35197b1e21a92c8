package main

import (
	"errors"
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// module writes a module with one package, and returns its root.
func module(t *testing.T, source string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/m\n\ngo 1.26\n", "m.go": source} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const source = `package m

import (
	"errors"
	"log/slog"
	"sync"
)

var mu sync.Mutex

func f(a, b int, all []int) (int, error) {
	mu.Lock()
	defer mu.Unlock()
	slog.Info("f")
	if a < b && len(all) > 0 {
		all[0] = min(a, b)
		a++
	}
	switch {
	case a == b:
		return a - b, errors.New("50%")
	}
	for _, n := range all {
		if n == a {
			continue
		}
		a += n
	}
	return a + 1, nil
}
`

// Every place that may be wrong is found, with what it would be; what only logs or locks is left
// alone.
func TestFind(t *testing.T) {
	t.Parallel()
	root := module(t, source)
	pkgs, err := load(root, []string{"./..."})
	if err != nil {
		t.Fatal(err)
	}
	all, err := find(root, pkgs, func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range all {
		got = append(got, string(m.kind)+" "+m.text)
	}
	slices.Sort(got)
	want := []string{
		"always a < b && len(all) > 0", "always n == a",
		"arithmetic a + 1", "arithmetic a - b", "arithmetic min(a, b)",
		"boundary a < b", "boundary len(all) > 0",
		"left-only a < b && len(all) > 0", "never a < b && len(all) > 0", "never a == b", "never n == a",
		`no-error errors.New("50%")`,
		"removed a += n", "removed a++", "removed all[0] = min(a, b)", "removed continue",
		"right-only a < b && len(all) > 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := len(sample(all, 5, 1)); n != 5 {
		t.Errorf("a sample of 5 has %d", n)
	}

	files, err := weave(root, pkgs, sample(all, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files { // order-free: each is looked at
		if _, err := format.Source([]byte(text)); err != nil {
			t.Errorf("%s is no Go: %v\n%s", name, err, text)
		}
	}
	if len(files) != 2 {
		t.Errorf("wove %d files, want the source and the switchboard", len(files))
	}
}

// Each mutant of a program makes it do just what it says.
func TestMutantsAreAwakeOneAtATime(t *testing.T) {
	t.Parallel()
	root := module(t, `package main

import "fmt"

func main() {
	a, b := 1, 1
	if a < b {
		fmt.Println("less")
	}
	fmt.Println("done", a+b)
}
`)
	pkgs, err := load(root, []string{"."})
	if err != nil {
		t.Fatal(err)
	}
	all, err := find(root, pkgs, func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	all = sample(all, 0, 1)
	files, err := weave(root, pkgs, all)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay, err := files.Write(root, dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &settings{root: root}
	program := filepath.Join(dir, "program")
	if err := s.goCommand(t.Context(), "build", "-overlay="+overlay, "-o", program, "."); err != nil {
		t.Fatal(err)
	}
	passes := &trial{by: byTests, name: "passes", program: program, dir: dir}
	if err := passes.measure(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if reached := passes.reaches[m.n]; reached == (m.text == `fmt.Println("less")`) {
			t.Errorf("%s is reached: %v", m, reached)
		}
	}
	// A trial that fails whatever is awake: what is found is told.
	fails := &trial{by: byTests, name: "fails", program: "/bin/false", dir: dir, reaches: map[int]bool{1: true}}
	o, err := hunt(t.Context(), all[0], []*trial{passes, fails}, 0)
	if err != nil || o.By != byTests || o.How != "fails" {
		t.Errorf("error %v, outcome %+v", err, o)
	}
}

func TestOutcomesAreKept(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "out.jsonl")
	s := &settings{out: file}
	all := []*outcome{
		{Key: "a", File: "x/a.go", By: byChaos, Reaching: 3, Trials: 1},
		{Key: "b", File: "x/a.go", Reaching: 2, Trials: 2},
		{Key: "c", File: "x/a.go"},
		{Key: "d", File: "x/a.go", Equivalent: "why"},
	}
	if err := s.save(all); err != nil {
		t.Fatal(err)
	}
	known, err := readOutcomes(file)
	if err != nil || len(known) != 4 || known["a"].By != byChaos {
		t.Errorf("error %v, read %v", err, known)
	}
	var table strings.Builder
	writeTable(&table, all, false)
	for _, want := range []string{"33%", "x/a.go:0: survived", "x/a.go:0: unreached"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
}

func TestWrongArguments(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-run (":        "missing closing",
		"-chaos x":      "-chaos",
		"-jobs 0":       "there must be one at least",
		"more":          "chosen with -run",
		"-run no-such!": "matches no mutant",
	} {
		err := run(t.Context(), append([]string{"-root", "../..", "-pkg", "./fray/internal/wire"}, strings.Fields(args)...), &strings.Builder{}, &strings.Builder{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", args, err, want)
		}
	}
	for text, want := range map[string]string{"\treason\n": "without a mutant", "key\nother\n\tr\n": "no reason", "key\n": "no reason"} {
		file := filepath.Join(t.TempDir(), "equivalent.txt")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readEquivalents(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
	file := filepath.Join(t.TempDir(), "stale.txt")
	if err := os.WriteFile(file, []byte("fray/internal/wire/spec.go CheckSpec gone 1: x\n\treason\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), []string{"-root", "../..", "-pkg", "./fray/internal/wire", "-list", "-equivalent", file}, &strings.Builder{}, &strings.Builder{})
	if err == nil || !strings.Contains(err.Error(), "there is no mutant") {
		t.Errorf("a reason for a mutant that there is not: %v", err)
	}
	if how := simFailure(nil, "boom\nmore"); how != "ends: boom" {
		t.Errorf("a program that ends is told as %q", how)
	}
	if how := testFailure("panic: x"); how != "x" {
		t.Errorf("a panic is told as %q", how)
	}
}

// Each bound of the documented table has its place in the sources, and each place its row.
func TestBoundsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n## Bounds\n")
	table, _, _ = strings.Cut(table, "\n\nWith the memory store")
	rows := map[string]bool{}
	for line := range strings.Lines(table) {
		if cell, ok := strings.CutPrefix(line, "| "); ok && !strings.HasPrefix(cell, "what |") {
			row, _, _ := strings.Cut(cell, " |")
			rows[row] = true
			if !slices.ContainsFunc(bounds, func(b bound) bool { return b.row == row }) {
				t.Errorf("the bound %q has no place", row)
			}
		}
	}
	var woven []*mutant
	for i, b := range bounds {
		if !rows[b.row] {
			t.Errorf("the table has no row %q", b.row)
		}
		if b.outside != "" {
			continue
		}
		m, err := b.mutant("../..", i+1)
		if err != nil {
			t.Fatal(err)
		}
		woven = append(woven, m)
	}
	pkgs, err := load("../..", []string{"./fray/core", "./fray/core/slots", "./fray/controller", "./fray/store", "./fray/store/pebblestore", "./fray/internal/dial"})
	if err != nil {
		t.Fatal(err)
	}
	files, err := weave("../..", pkgs, woven)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files { // order-free: each is looked at
		if _, err := format.Source([]byte(text)); err != nil {
			t.Errorf("%s is no Go: %v", name, err)
		}
	}
	var out strings.Builder
	if err := writeBounds(&out, nil); !errors.Is(err, errUnreached) || !strings.Contains(out.String(), "NOT REACHED") {
		t.Errorf("error %v:\n%s", err, &out)
	}
	all := map[int]bool{}
	for i := range bounds {
		all[i+1] = true
	}
	if err := writeBounds(&out, []*trial{{name: "all", reaches: all}}); err != nil {
		t.Error(err)
	}
}

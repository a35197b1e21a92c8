package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An outcome is what became of a mutant.
type outcome struct {
	Key  string `json:"key"`
	File string `json:"file"`
	Line int    `json:"line"`
	// By is what found it, or "".
	By string `json:"by,omitempty"`
	// Trial and How say which trial that was, and how it failed.
	Trial string `json:"trial,omitempty"`
	How   string `json:"how,omitempty"`
	// Trials is how many ran, and Reaching how many come to its place.
	Trials   int     `json:"trials"`
	Reaching int     `json:"reaching"`
	Seconds  float64 `json:"seconds"`
	// GivenUp: not all of them ran.
	GivenUp bool `json:"given_up,omitempty"`
	// Equivalent says why no run can show it, or "".
	Equivalent string `json:"equivalent,omitempty"`
}

// hunt runs the trials that come to a mutant's place, at most so many, until one fails: the
// quickest first, and tests last.
func hunt(ctx context.Context, m *mutant, all []*trial, most int) (*outcome, error) {
	o := &outcome{Key: m.key(), File: m.file, Line: m.line}
	var reaching []*trial
	for _, t := range all {
		if t.reaches[m.n] {
			reaching = append(reaching, t)
		}
	}
	o.Reaching = len(reaching)
	slices.SortStableFunc(reaching, func(a, b *trial) int {
		if last := b.by == byTests; last != (a.by == byTests) {
			if last {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.price(), b.price())
	})
	began := time.Now()
	defer func() { o.Seconds = time.Since(began).Seconds() }()
	for _, t := range reaching {
		if most > 0 && o.Trials >= most {
			o.GivenUp = true
			break
		}
		how, err := t.run(ctx, m.n, "")
		if err != nil {
			return nil, err
		}
		o.Trials++
		if how != "" {
			o.By, o.Trial, o.How = t.by, t.name, how
			break
		}
	}
	return o, nil
}

// readOutcomes reads what an earlier run left, by keys.
func readOutcomes(file string) (map[string]*outcome, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	known := map[string]*outcome{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var o outcome
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, n, err)
		}
		known[o.Key] = &o
	}
	return known, lines.Err()
}

// readEquivalents reads which mutants no run can show, and why: the key of one on a line, and below
// it the reason, indented.
func readEquivalents(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	reasons := map[string]string{}
	key := ""
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimRight(line, "\n")
		switch reason, indented := strings.CutPrefix(line, "\t"); {
		case line == "" || strings.HasPrefix(line, "#"):
		case indented && key == "":
			return nil, fmt.Errorf("%s:%d: a reason without a mutant above it", file, n)
		case indented:
			reasons[key] = strings.TrimSpace(reasons[key] + " " + reason)
		default:
			if key != "" && reasons[key] == "" {
				return nil, fmt.Errorf("%s:%d: there is no reason for %q", file, n-1, key)
			}
			key = line
		}
	}
	if key != "" && reasons[key] == "" {
		return nil, fmt.Errorf("%s:%d: there is no reason for %q", file, n, key)
	}
	return reasons, nil
}

// stale returns an error if there is a reason for a mutant of these packages that there is not.
func stale(reasons map[string]string, all []*mutant, packages []string) error {
	there := make(map[string]bool, len(all))
	for _, m := range all {
		there[m.key()] = true
	}
	for _, key := range slices.Sorted(maps.Keys(reasons)) {
		dir := "./" + path.Dir(strings.Fields(key)[0])
		if slices.Contains(packages, dir) && !there[key] {
			return fmt.Errorf("there is no mutant %q: the line has changed, bring its entry up to date", key)
		}
	}
	return nil
}

// A tally is what became of the mutants of one package.
type tally struct {
	pkg                                                      string
	mutants, chaos, library, tests, survived, missed, equals int
}

const tableRow = "%-34s %8s %7s %8s %6s %9s %11s %11s %7s %9s\n"

// writeTable writes a line for each package and one for all, and then what survived.
func writeTable(w io.Writer, outcomes []*outcome, withTests bool) {
	byPackage := map[string]*tally{}
	var order []*tally
	total := &tally{pkg: "all"}
	for _, o := range outcomes {
		pkg := o.File[:max(strings.LastIndexByte(o.File, '/'), 0)]
		if byPackage[pkg] == nil {
			byPackage[pkg] = &tally{pkg: pkg}
			order = append(order, byPackage[pkg])
		}
		for _, t := range []*tally{byPackage[pkg], total} {
			t.add(o)
		}
	}
	fmt.Fprintf(w, tableRow, "PACKAGE", "MUTANTS", "CHAOS", "LIBRARY", "TESTS", "SURVIVED", "UNREACHED", "EQUIVALENT", "HARNESS", "WITH TESTS")
	for _, t := range append(order, total) {
		t.write(w, withTests)
	}
	for _, o := range outcomes {
		if o.By == "" && o.Equivalent == "" {
			where := "survived"
			if o.Reaching == 0 {
				where = "unreached"
			}
			if o.GivenUp {
				where = "given up"
			}
			fmt.Fprintf(w, "%s:%d: %s, %d trials: %s\n", o.File, o.Line, where, o.Trials, strings.TrimPrefix(o.Key, o.File+" "))
		}
	}
}

func (t *tally) add(o *outcome) {
	t.mutants++
	switch {
	case o.By == byChaos:
		t.chaos++
	case o.By == byLibrary:
		t.library++
	case o.By == byTests:
		t.tests++
	case o.Equivalent != "":
		t.equals++
	case o.Reaching == 0:
		t.missed++
	default:
		t.survived++
	}
}

func (t *tally) write(w io.Writer, withTests bool) {
	share := func(n int) string {
		if t.mutants == t.equals {
			return "-"
		}
		return fmt.Sprintf("%.0f%%", 100*float64(n)/float64(t.mutants-t.equals))
	}
	all := "-"
	if withTests {
		all = share(t.chaos + t.library + t.tests)
	}
	n := strconv.Itoa
	fmt.Fprintf(w, tableRow, t.pkg, n(t.mutants), n(t.chaos), n(t.library), n(t.tests), n(t.survived), n(t.missed), n(t.equals), share(t.chaos+t.library), all)
}

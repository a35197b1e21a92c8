package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// records are a table in Markdown of what found which bug, and when that was last seen. A run brings
// the lines of its bugs up to date, and leaves the others.
type records struct {
	file  string
	bugs  []*bug            // in the order of their names
	lines map[string]string // by name
}

const recordsHead = `# What finds which planted bug

` + "`make planted`" + ` writes a line for each bug that it finds: the first seed of the scenario that fails, and as what. How it is
found, and what is expected of whom, is in [architecture.md](architecture.md#planted-bugs). A seed is the
first of 200 that fails; a test has none. The command builds the program with the bug and replays it.

| bug | what it is | modelled on | found by | seed | as | command | seen |
|---|---|---|---|---|---|---|---|
`

// readRecords reads a table that there may not be yet. Lines of bugs that there are no more are left
// out.
func readRecords(file string, bugs []*bug) (*records, error) {
	r := &records{file: file, bugs: bugs, lines: make(map[string]string)}
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := recorded(line); ok {
			r.lines[name] = strings.TrimRight(line, "\n")
		}
	}
	return r, nil
}

// recorded returns the name of the bug whose line it is.
func recorded(line string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(line, "| `")
	if !ok {
		return "", false
	}
	name, _, ok = strings.Cut(rest, "`")
	return name, ok
}

// keep writes the table with a bug that was found as expected. Nil keeps nothing.
func (r *records) keep(o *outcome) error {
	asExpected := o.err == nil && o.Seed != 0
	if r == nil || !asExpected {
		return nil
	}
	r.lines[o.name] = o.record(time.Now())
	var b strings.Builder
	b.WriteString(recordsHead)
	for _, bug := range r.bugs {
		if line := r.lines[bug.name]; line != "" {
			b.WriteString(line + "\n")
		}
	}
	return os.WriteFile(r.file, []byte(b.String()), 0o644)
}

// record is the line of a bug that was found.
func (o *outcome) record(now time.Time) string {
	modelled, by, seed := o.pitfall, "`"+o.scenario+"`", strconv.FormatUint(o.Seed, 10)
	if modelled == noPitfall {
		modelled = ""
	}
	as := "`" + o.result.String() + "`"
	if o.pkg != "" {
		by, seed, as = "`"+o.bug.broken+"` of `"+o.pkg+"`", "", "a failing test"
	}
	cells := []string{
		"`" + o.name + "`", o.title, modelled, by, seed, as, fmt.Sprintf("`make planted PLANTED='^%s$'`", o.name), now.Format(time.DateOnly),
	}
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(c, "|", "\\|")
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A block is one line of a cover profile: a run of statements that execute together. Its position is
// file.go:line.column,line.column and identifies it across profiles.
type block struct {
	statements int
	count      uint64
}

// A profile holds blocks merged from several files.
type profile struct {
	excluded []string
	blocks   map[string]block
}

func newProfile(excluded []string) *profile {
	return &profile{excluded: excluded, blocks: map[string]block{}}
}

// read merges one profile in Go's text format. An empty one is an error: a test run that crashed leaves it.
func (p *profile) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	number := 0
	for lines.Scan() {
		number++
		line := lines.Text()
		if number == 1 {
			if !strings.HasPrefix(line, "mode: ") {
				return fmt.Errorf("line 1: want a mode, got %q", line)
			}
			continue
		}
		if err := p.add(line); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if number == 0 {
		return errors.New("empty profile")
	}
	return nil
}

// add merges a line such as example.com/m/a/a.go:10.2,12.16 3 1.
func (p *profile) add(line string) error {
	fields := strings.Fields(line)
	if len(fields) != 3 || !strings.Contains(fields[0], ":") {
		return fmt.Errorf("want position, statements and count, got %q", line)
	}
	position := fields[0]
	statements, err := strconv.Atoi(fields[1])
	if err != nil {
		return fmt.Errorf("parse statements: %w", err)
	}
	count, err := strconv.ParseUint(fields[2], 10, 64)
	if err != nil {
		return fmt.Errorf("parse count: %w", err)
	}
	for _, prefix := range p.excluded {
		if strings.HasPrefix(position, prefix) {
			return nil
		}
	}
	old, known := p.blocks[position]
	if known && old.statements != statements {
		return fmt.Errorf("%s has %d statements here and %d before: the profiles are of different sources",
			position, statements, old.statements)
	}
	p.blocks[position] = block{statements: statements, count: max(old.count, count)}
	return nil
}

// write writes the merged blocks in Go's text format, for go tool cover.
func (p *profile) write(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, "mode: set")
	for _, position := range slices.Sorted(maps.Keys(p.blocks)) {
		b := p.blocks[position]
		fmt.Fprintln(out, position, b.statements, min(b.count, 1))
	}
	return out.Flush()
}

// packages returns the coverage of each package, sorted by import path.
func (p *profile) packages() []coverage {
	byName := map[string]coverage{}
	for position, b := range p.blocks {
		file, _, _ := strings.Cut(position, ":")
		name := path.Dir(file)
		c := byName[name]
		c.name = name
		c.statements += b.statements
		if b.count > 0 {
			c.covered += b.statements
		}
		byName[name] = c
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b coverage) int {
		return strings.Compare(a.name, b.name)
	})
}

// coverage counts the statements of one package.
type coverage struct {
	name       string
	statements int
	covered    int
}

func (c coverage) missed() int { return c.statements - c.covered }

func (c coverage) percent() float64 {
	if c.statements == 0 {
		return 100
	}
	return 100 * float64(c.covered) / float64(c.statements)
}

// String returns a line of the table.
func (c coverage) String() string {
	return fmt.Sprintf("%6.2f%%  %6d/%-6d  %s", c.percent(), c.covered, c.statements, c.name)
}

// lowest returns up to n packages with missed statements, the lowest percentage first.
func lowest(packages []coverage, n int) []coverage {
	partly := slices.DeleteFunc(slices.Clone(packages), func(c coverage) bool { return c.missed() == 0 })
	slices.SortStableFunc(partly, func(a, b coverage) int { return cmp.Compare(a.percent(), b.percent()) })
	return partly[:min(n, len(partly))]
}

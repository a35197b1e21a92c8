package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/frayrpc/fray/internal/yamltree"
)

// maxProblems is how many problems of one file are reported in full.
const maxProblems = 25

// A Problem is one thing that is wrong with a file.
type Problem struct {
	File string
	// Line and Column count from 1; columns count characters.
	Line, Column int
	// Source is the line.
	Source string
	// Message says what is wrong, Suggestion what to do; it may be empty.
	Message, Suggestion string
}

// String writes the problem as file:line:column: message, and below it the line with a caret and
// the suggestion.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
	number := strconv.Itoa(p.Line)
	source, indent := p.excerpt()
	fmt.Fprintf(&b, "\n  %s | %s\n  %s | %s^", number, source, strings.Repeat(" ", len(number)), indent)
	if p.Suggestion != "" {
		b.WriteByte(' ')
		b.WriteString(p.Suggestion)
	}
	return b.String()
}

// maxExcerpt is how many characters of a line are shown on either side of the caret.
const maxExcerpt = 100

// excerpt returns the part of the line around the column, without control characters, and what
// moves a caret below it.
func (p Problem) excerpt() (source, indent string) {
	line := []rune(p.Source)
	column := min(max(p.Column-1, 0), len(line))
	start := max(0, column-maxExcerpt)
	end := min(len(line), column+maxExcerpt)
	for i, c := range line[start:end] {
		if c != '\t' && (c < ' ' || c == utf8.RuneError || c == 0x7f) {
			line[start+i] = '?'
		}
	}
	var b strings.Builder
	for _, c := range line[start:column] {
		if c != '\t' {
			c = ' '
		}
		b.WriteRune(c)
	}
	return string(line[start:end]), b.String()
}

// InvalidError is all that is wrong with a file, in the order of its lines.
type InvalidError struct {
	Problems []Problem
	// Omitted is how many more problems there are.
	Omitted int
}

// Error writes all problems, each with its line.
func (e *InvalidError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.String())
	}
	if e.Omitted > 0 {
		fmt.Fprintf(&b, "\nand %d more", e.Omitted)
	}
	return b.String()
}

// A Complaint is a problem whose place is not known yet.
type Complaint struct{ Message, Suggestion string } //nolint:errname // It is one to people, and an error by the way.

// Complain returns a complaint with a message, as fmt.Sprintf has it.
func Complain(format string, args ...any) *Complaint {
	return &Complaint{Message: fmt.Sprintf(format, args...)}
}

// Error implements error.
func (c *Complaint) Error() string {
	if c.Suggestion == "" {
		return c.Message
	}
	return c.Message + ": " + c.Suggestion
}

// Suggest sets what to do about it, and returns the complaint.
func (c *Complaint) Suggest(format string, args ...any) *Complaint {
	c.Suggestion = fmt.Sprintf(format, args...)
	return c
}

type place = yamltree.Place

// source is the text of a file and what is where in it.
type source struct {
	file  string
	lines []string
	// The subject that the file is about; nil: it is not known yet.
	subject *Subject
	// Where the value of a field is, and its key, by the field's address.
	values, keys map[any]place

	problems []Problem
	omitted  int
}

func newSource(file string, text []byte, subject *Subject) *source {
	return &source{
		file: file, subject: subject,
		lines:  strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"),
		values: make(map[any]place), keys: make(map[any]place),
	}
}

// has says whether the file gives a field, which is named by its address.
func (s *source) Has(field any) bool {
	_, ok := s.keys[field]
	return ok
}

// report adds a problem with the field at an address, or with the first one of several that the
// file gives.
func (s *source) Report(c *Complaint, fields ...any) {
	for _, field := range fields {
		if at, ok := s.values[field]; ok {
			s.add(at, c)
			return
		}
	}
	s.add(place{}, c)
}

// reportKey is report for the key of a field.
func (s *source) ReportKey(c *Complaint, field any) { s.add(s.keys[field], c) }

func (s *source) add(at place, c *Complaint) {
	if len(s.problems) >= maxProblems {
		s.omitted++
		return
	}
	at.Line = min(max(at.Line, 1), len(s.lines))
	p := Problem{
		File: s.file, Line: at.Line, Column: max(at.Column, 1), Source: s.lines[at.Line-1],
		Message: c.Message, Suggestion: c.Suggestion,
	}
	if !slices.Contains(s.problems, p) {
		s.problems = append(s.problems, p)
	}
}

// err returns what has been reported.
func (s *source) err() error {
	if len(s.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(s.problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return &InvalidError{Problems: s.problems, Omitted: s.omitted}
}

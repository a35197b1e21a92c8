package scenario

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/frayrpc/fray/internal/yamltree"
)

// byteOrderMark is what some editors put before a text in UTF-8.
const byteOrderMark = "\uFEFF"

// Parse reads a scenario about one of the subjects. The name of the file is for messages only. All
// that is wrong is reported at once, as an [*InvalidError]; but what refers to something else is
// checked only where the structure is right.
func (all Subjects) Parse(file string, text []byte) (*Scenario, error) {
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	src := newSource(file, text, nil)
	if body := src.parseYAML(text); body != nil && all.choose(src, body) {
		s := src.subject.New()
		s.source = src
		d := &decoder{src}
		d.decode(body, reflect.ValueOf(s).Elem(), "", &field{})
		v := Validator{Scenario: s, source: src}
		if len(src.problems) == 0 {
			s.Sections.Complete()
			v.validate()
		} else {
			v.checkAlone()
		}
		if len(src.problems) == 0 {
			return s, nil
		}
	}
	return nil, src.err()
}

// Source returns the file that the scenario was read from: its name as Parse was given it, and what
// Parse reads as the same scenario.
func (s *Scenario) Source() (file string, text []byte) {
	return s.source.file, []byte(strings.Join(s.source.lines, "\n"))
}

// ParseFile reads a scenario from a file.
func (all Subjects) ParseFile(path string) (*Scenario, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	if info.Size() > MaxFileBytes {
		return nil, &InvalidError{Problems: []Problem{{
			File: path, Line: 1, Column: 1, Message: fmt.Sprintf("the file has %d bytes, more than %d", info.Size(), MaxFileBytes), Suggestion: "split it",
		}}}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return all.Parse(path, text)
}

// choose finds the subject that a file is about, or reports that there is none.
func (all Subjects) choose(src *source, body ast.Node) bool {
	name, at := DefaultSubject, yamltree.Start(body)
	if m, ok := body.(ast.MapNode); ok {
		for it := m.MapRange(); it.Next(); {
			if entry := it.KeyValue(); keyText(entry.Key) == "subject" && entry.Value.GetToken() != nil {
				name, at = entry.Value.GetToken().Value, yamltree.Start(entry.Value)
			}
		}
	}
	src.subject = all.of(name)
	if src.subject == nil {
		known := namesOf(all, func(s **Subject) string { return (*s).Name })
		c := Complain("the scenario is about the subject %s, and this program has none of that name", name)
		if near := nearest(name, known); near != "" {
			c = c.Suggest("did you mean %s?", near)
		} else {
			c = c.Suggest("run it with the program of that subject; subjects of this one: %s", strings.Join(known, ", "))
		}
		src.add(at, c)
	}
	return src.subject != nil
}

package scenario

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strings"
)

// byteOrderMark is what some editors put before a text in UTF-8.
const byteOrderMark = "\uFEFF"

// Parse reads a scenario. The name of the file is for messages only. All that is wrong is reported
// at once, as an [*InvalidError]; but what refers to something else is checked only where the
// structure is right.
func Parse(file string, text []byte) (*Scenario, error) {
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	src := newSource(file, text)
	if body := src.parseYAML(text); body != nil {
		s := &Scenario{source: src}
		d := &decoder{src}
		d.decode(body, reflect.ValueOf(s).Elem(), "", &field{})
		v := validator{Scenario: s, source: src}
		if len(src.problems) == 0 {
			defaultKind(&s.Workload)
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
func ParseFile(path string) (*Scenario, error) {
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
	return Parse(path, text)
}

// defaultKind gives a workload that names no kinds of tasks one.
func defaultKind(w *Workload) {
	if len(w.Mix) > 0 {
		return
	}
	w.Mix = []TaskKind{*Default[TaskKind]()}
	w.Mix[0].Name = DefaultKind
}

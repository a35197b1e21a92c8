package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

const (
	// Failures that the summary describes.
	maxFailuresShown = 20
	// Lines that it quotes of each one's standard error.
	maxTailLines = 5
)

// mapSummary counts how the commands of a map ended.
type mapSummary struct {
	succeeded, failed, notRun int
	shown                     []mapFailure
}

// mapFailure is a command that failed.
type mapFailure struct {
	input  string
	taskID string
	why    string
	where  string // which attempt, and on which worker
	stderr string
}

func (s *mapSummary) add(f mapFailure) {
	s.failed++
	if len(s.shown) < maxFailuresShown {
		f.stderr = strings.Clone(tail(f.stderr)) // lets go of the rest
		s.shown = append(s.shown, f)
	}
}

// print writes what failed, if something did, and returns an error then. more says that there are inputs that nobody counted.
func (s *mapSummary) print(w io.Writer, more bool) error {
	total := s.succeeded + s.failed + s.notRun
	if total == 0 {
		fmt.Fprintln(w, "fray map: no inputs")
	}
	if s.failed == 0 && s.notRun == 0 {
		return nil
	}
	fmt.Fprintf(w, "fray map: %d of %s failed", s.failed, count(uint64(total), "command")) //nolint:gosec // A count.
	if s.notRun > 0 {
		fmt.Fprintf(w, ", %d not run to the end", s.notRun)
	}
	if more {
		fmt.Fprint(w, ", further inputs not read")
	}
	fmt.Fprintln(w)
	for _, f := range s.shown {
		fmt.Fprintf(w, "  %s: %s%s\n", f.input, f.why, f.where)
		if f.stderr != "" {
			fmt.Fprintf(w, "    | %s\n", strings.ReplaceAll(f.stderr, "\n", "\n    | "))
		}
	}
	if rest := s.failed - len(s.shown); rest > 0 {
		fmt.Fprintf(w, "  and %d more\n", rest)
	}
	return silent(exitTaskFailed)
}

// tail is the last lines of a text.
func tail(text string) string {
	text = strings.TrimRight(text, "\n")
	start := len(text)
	for range maxTailLines {
		if start = strings.LastIndexByte(text[:start], '\n'); start < 0 {
			return text
		}
	}
	return text[start+1:]
}

// tagWriter puts a tag before each line of what is written to it.
type tagWriter struct {
	w      io.Writer
	tag    string
	inLine bool // the last line has not ended
	buffer []byte
}

// Write implements io.Writer.
func (t *tagWriter) Write(data []byte) (int, error) {
	t.buffer = t.buffer[:0]
	for line := range bytes.Lines(data) {
		if !t.inLine {
			t.buffer = append(t.buffer, t.tag...)
		}
		t.buffer = append(t.buffer, line...)
		t.inLine = line[len(line)-1] != '\n'
	}
	if _, err := t.w.Write(t.buffer); err != nil {
		return 0, err
	}
	return len(data), nil
}

// endLine ends the last line, if there is one that has not ended.
func (t *tagWriter) endLine() error {
	if !t.inLine {
		return nil
	}
	_, err := t.w.Write([]byte{'\n'})
	return err
}

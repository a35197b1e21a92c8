package simtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func (a *App) newDiff() *cobra.Command {
	return &cobra.Command{
		Use: "diff TRACE TRACE", Short: "Find the first event in which two traces differ", Args: cobra.ExactArgs(2),
		Long: "Find the first event in which two traces differ. It exits with 3 if they do.",
		RunE: func(_ *cobra.Command, args []string) error { return a.diff(args[0], args[1]) },
	}
}

// diff compares two traces event by event.
func (a *App) diff(left, right string) error {
	x, err := openTrace(left)
	if err != nil {
		return err
	}
	defer x.close()
	y, err := openTrace(right)
	if err != nil {
		return err
	}
	defer y.close()
	for {
		p, err := x.next()
		if err != nil {
			return err
		}
		q, err := y.next()
		if err != nil {
			return err
		}
		switch {
		case p != q:
			fmt.Fprintf(a.Stdout, "event %d differs\n%s: %s\n%s: %s\n", max(x.line, y.line), left, orEnd(p), right, orEnd(q))
			return &ExitError{Code: 3}
		case p == "":
			fmt.Fprintf(a.Stdout, "%d events, no difference\n", x.line)
			return nil
		}
	}
}

func orEnd(event string) string {
	if event == "" {
		return "(it ends)"
	}
	return event
}

// A traceReader reads the events that --trace writes, a line each.
type traceReader struct {
	path   string
	file   *os.File
	buffer *bufio.Reader
	line   int // of the last event
}

func openTrace(path string) (*traceReader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, Invalid("read trace: %w", err)
	}
	return &traceReader{path: path, file: file, buffer: bufio.NewReader(file)}, nil
}

func (t *traceReader) close() { _ = t.file.Close() }

// next returns the next event, or "" when there are no more.
func (t *traceReader) next() (string, error) {
	text, err := t.buffer.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", Invalid("read trace: %w", err)
	}
	if len(text) == 0 {
		return "", nil
	}
	t.line++
	if text[len(text)-1] != '\n' {
		return "", Invalid("%s:%d:%d: the trace is cut off: write it again with --trace", t.path, t.line, len(text)+1)
	}
	text = text[:len(text)-1]
	var event struct {
		Kind string `json:"kind"`
	}
	err = json.Unmarshal(text, &event)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return "", Invalid("%s:%d:%d: not the JSON of an event: %w: give a file that --trace wrote", t.path, t.line, max(syntax.Offset, 1), err)
	case err != nil || event.Kind == "":
		return "", Invalid("%s:%d:1: not an event: give a file that --trace wrote", t.path, t.line)
	}
	return string(text), nil
}

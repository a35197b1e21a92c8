package yamltree_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/parser"

	"github.com/frayrpc/fray/internal/yamltree"
)

// A text is read, or refused with a place that is in it.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"a: 1\nb: [1, {c: d}]\n", "&a [*a]", "a: &x {b: *x}", "? a\n: b", "a: |\n  b\n", "- - - - a", "\xff", "a: \"\\ud800\"", "%YAML 1.2\n---\na\n...\n---\nb", "!!map {", "a:\n\t- b",
		strings.Repeat("[", 70), "{a: b, a: c}", "<<: *a", "\uFEFFa: b", "a: 'b", "# only", "---\n---\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		nodes, problem := yamltree.Parse(text, parser.AllowDuplicateMapKey())
		if problem == nil {
			for _, node := range nodes {
				_ = yamltree.Start(node)
			}
			return
		}
		if problem.Text == "" {
			t.Error("a problem says nothing")
		}
		if lines := bytes.Count(text, []byte("\n")) + bytes.Count(text, []byte("\r")) + 1; problem.Line < 0 || problem.Line > lines+1 || problem.Column < 0 {
			t.Errorf("a problem at %d:%d, in %d lines", problem.Line, problem.Column, lines)
		}
	})
}

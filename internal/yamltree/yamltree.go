// Package yamltree reads YAML that people wrote as a tree of nodes, each with its place, so that
// whoever reads on can point at what is wrong. It takes no more than what reads such files can
// cope with: text in UTF-8 that is not nested deeply.
package yamltree

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// A Place is where something is in a text; its column counts characters. Both count from 1, and the
// zero Place is the start.
type Place struct{ Line, Column int }

// A Problem says why a text is no YAML that can be read, and what to do.
type Problem struct {
	Place

	Text, Advice string
}

// maxDepth bounds how deeply a text is nested: what parses it calls itself for each level.
const maxDepth = 64

// Parse returns what the documents of a text have, without those that are empty.
func Parse(text []byte, options ...parser.Option) ([]ast.Node, *Problem) {
	lines := strings.Split(string(text), "\n")
	if !utf8.Valid(text) {
		return nil, &Problem{invalidUTF8(lines), "the file is not UTF-8", "save it as UTF-8"}
	}
	if at, ok := tooDeep(lines); ok {
		return nil, &Problem{at, "the file is nested too deeply", ""}
	}
	file, err := parseQuietly(text, options)
	if err != nil {
		problem := &Problem{Text: err.Error(), Advice: "this is not valid YAML"}
		var syntax yaml.Error
		if errors.As(err, &syntax) && syntax.GetToken() != nil {
			problem.Place, problem.Text = At(syntax.GetToken()), syntax.GetMessage()
		}
		return nil, problem
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.NullType && doc.Body.Type() != ast.CommentType {
			bodies = append(bodies, doc.Body)
		}
	}
	return bodies, nil
}

// parseQuietly turns what the parser cannot cope with into an error.
func parseQuietly(text []byte, options []parser.Option) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the YAML parser gave up: %v", r)
		}
	}()
	return parser.ParseBytes(text, 0, options...)
}

// tooDeep returns where brackets, or indentation, go deeper than any file does.
func tooDeep(lines []string) (Place, bool) {
	depth := 0
	for i, line := range lines {
		if trimmed := strings.TrimLeft(line, " -\t?:"); len(line)-len(trimmed) > 4*maxDepth {
			return Place{i + 1, 1}, true
		}
		for j, c := range []byte(line) {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(0, depth-1)
			}
			if depth > maxDepth {
				return Place{i + 1, j + 1}, true
			}
		}
	}
	return Place{}, false
}

func invalidUTF8(lines []string) Place {
	for i, line := range lines {
		if at := strings.IndexRune(line, utf8.RuneError); at >= 0 && !utf8.ValidString(line) {
			return Place{i + 1, utf8.RuneCountInString(line[:at]) + 1}
		}
	}
	return Place{}
}

// At returns where a token is.
func At(t *token.Token) Place {
	if t == nil || t.Position == nil {
		return Place{}
	}
	return Place{t.Position.Line, t.Position.Column}
}

// Start returns where a node starts: a mapping, at its first key.
func Start(node ast.Node) Place {
	if m, ok := node.(ast.MapNode); ok {
		if flow, ok := node.(*ast.MappingNode); !ok || !flow.IsFlowStyle {
			if entries := m.MapRange(); entries.Next() {
				return At(entries.Key().GetToken())
			}
		}
	}
	return At(node.GetToken())
}

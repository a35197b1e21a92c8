package scenario

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

// parseYAML returns the one document of a text, or nil after it has reported why there is none.
func (s *source) parseYAML(text []byte) ast.Node {
	switch {
	case len(text) > MaxFileBytes:
		s.add(place{}, complain("the file has %d bytes, more than %d", len(text), MaxFileBytes).suggest("split it"))
		return nil
	case !utf8.Valid(text):
		s.add(s.invalidUTF8(), complain("the file is not UTF-8").suggest("save it as UTF-8"))
		return nil
	}
	if at, ok := s.tooDeep(); ok {
		s.add(at, complain("the file is nested too deeply"))
		return nil
	}
	file, err := parseQuietly(text)
	if err != nil {
		var syntax yaml.Error
		if errors.As(err, &syntax) && syntax.GetToken() != nil {
			s.add(position(syntax.GetToken()), complain("%s", syntax.GetMessage()).suggest("this is not valid YAML"))
		} else {
			s.add(place{}, complain("%v", err).suggest("this is not valid YAML"))
		}
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			s.add(start(doc.Body), complain("the file has a second document").suggest("keep one scenario in a file"))
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		s.add(place{}, complain("the file is empty").suggest("start with apiVersion: %s", APIVersion))
	}
	return body
}

// parseQuietly turns what the parser cannot cope with into an error.
func parseQuietly(text []byte) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the YAML parser gave up: %v", r)
		}
	}()
	return parser.ParseBytes(text, 0)
}

// maxDepth bounds how deeply a file is nested: what parses it calls itself for each level.
const maxDepth = 64

// tooDeep returns where brackets, or indentation, go deeper than any scenario does.
func (s *source) tooDeep() (place, bool) {
	depth := 0
	for i, line := range s.lines {
		if trimmed := strings.TrimLeft(line, " -\t?:"); len(line)-len(trimmed) > 4*maxDepth {
			return place{i + 1, 1}, true
		}
		for j, c := range []byte(line) {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(0, depth-1)
			}
			if depth > maxDepth {
				return place{i + 1, j + 1}, true
			}
		}
	}
	return place{}, false
}

func (s *source) invalidUTF8() place {
	for i, line := range s.lines {
		if at := strings.IndexRune(line, utf8.RuneError); at >= 0 && !utf8.ValidString(line) {
			return place{i + 1, utf8.RuneCountInString(line[:at]) + 1}
		}
	}
	return place{}
}

func position(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{t.Position.Line, t.Position.Column}
}

// start returns where a node starts: a mapping, at its first key.
func start(node ast.Node) place {
	if m, ok := node.(ast.MapNode); ok {
		if flow, ok := node.(*ast.MappingNode); !ok || !flow.IsFlowStyle {
			if entries := m.MapRange(); entries.Next() {
				return position(entries.Key().GetToken())
			}
		}
	}
	return position(node.GetToken())
}

package yamltree_test

import (
	"strings"
	"testing"

	"github.com/frayrpc/fray/internal/yamltree"
)

func TestParseTellsWhereATextIsWrong(t *testing.T) {
	t.Parallel()
	indented := &strings.Builder{}
	for i := range 500 {
		indented.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for name, tt := range map[string]struct {
		text, want   string
		line, column int
	}{
		"a syntax error":             {"a: 1\nb: [\n", "not found", 2, 4},
		"no UTF-8":                   {"a: 1\nb\xff: 2\n", "not UTF-8", 2, 2},
		"a file of brackets":         {strings.Repeat("[", 1<<20), "nested too deeply", 1, 65},
		"a line of dashes":           {strings.Repeat("- ", 1<<19), "nested too deeply", 1, 1},
		"many levels of indentation": {indented.String(), "nested too deeply", 258, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bodies, problem := yamltree.Parse([]byte(tt.text))
			if problem == nil {
				t.Fatalf("it is %v", bodies)
			}
			if !strings.Contains(problem.Text, tt.want) || problem.Line != tt.line || problem.Column != tt.column {
				t.Errorf("%+v", problem)
			}
		})
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	bodies, problem := yamltree.Parse([]byte("# nothing\n---\n\n  a: {b: c}\n---\n[1, 2]\n"))
	if problem != nil || len(bodies) != 2 {
		t.Fatalf("%v, %+v", bodies, problem)
	}
	if at := yamltree.Start(bodies[0]); at != (yamltree.Place{Line: 4, Column: 3}) {
		t.Errorf("the mapping starts at %+v", at)
	}
	if at := yamltree.Start(bodies[1]); at != (yamltree.Place{Line: 6, Column: 1}) {
		t.Errorf("the list starts at %+v", at)
	}
}

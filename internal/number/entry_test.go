package number_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shells are the packages that numbers enter by, from the root of the module. The core is beneath
// them: it is given checked ones.
var shells = []string{"cmd", "faults", "fray", "sim/scenario"}

// Where a number comes in it is converted by this package, not by what cuts it to fewer bits,
// rounds it to nothing or overflows.
func TestNumbersEnterByThisPackage(t *testing.T) {
	root := os.DirFS("../..")
	files := 0
	for _, shell := range shells {
		err := fs.WalkDir(root, shell, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "fray/core/") {
				return err
			}
			files++
			text, err := fs.ReadFile(root, path)
			if err != nil {
				return err
			}
			for _, problem := range unchecked(t, path, text) {
				t.Error(problem)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("only %d files were looked at", files)
	}
}

// The test sees what it is for.
func TestUncheckedConversionsAreSeen(t *testing.T) {
	const head, tail = "package p\n\nimport \"time\"\n\nfunc f(n int, d time.Duration) any {\n\treturn ", "\n}\n"
	for expression, bad := range map[string]bool{
		"int32(n)": true, "uint32(n + 1)": true, "uint16(n)": true, "d.Milliseconds()": true, "(d / 3).Microseconds()": true,
		"time.Duration(n) * time.Millisecond": true, "time.Second * time.Duration(n)": true,
		"int32(7)": false, "int64(n)": false, "time.Duration(n)": false, "3 * time.Second": false, "d.Seconds()": false,
		"uint32(n) // within: at most 3": false,
	} {
		if got := unchecked(t, "p.go", []byte(head+expression+tail)); len(got) > 0 != bad {
			t.Errorf("%s: %v, want %v", expression, got, bad)
		}
	}
}

// narrow are the types that have no room for every int.
var narrow = []string{"int8", "int16", "int32", "uint8", "uint16", "uint32"}

// excuse starts a comment behind a conversion that says why it cannot go wrong.
const excuse = "// within: "

// unchecked returns the conversions of a file that this package is to make.
func unchecked(t *testing.T, path string, text []byte) (problems []string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	complain := func(n ast.Node, what string) {
		at := set.Position(n.Pos())
		if !strings.Contains(lines[at.Line-1], excuse) {
			problems = append(problems, at.String()+": "+what)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if name, ok := n.Fun.(*ast.Ident); ok && slices.Contains(narrow, name.Name) && len(n.Args) == 1 && !isLiteral(n.Args[0]) {
				complain(n, name.Name+" may cut the number: use number.Within for what is asked for, number.Clamp for what is shown")
			}
			if method, ok := n.Fun.(*ast.SelectorExpr); ok && len(n.Args) == 0 {
				switch method.Sel.Name {
				case "Milliseconds", "Microseconds":
					complain(n, method.Sel.Name+" rounds a short time to nothing: use number.Millis or number.Micros")
				}
			}
		case *ast.BinaryExpr:
			if n.Op == token.MUL && (isDuration(n.X) && isUnit(n.Y) || isUnit(n.X) && isDuration(n.Y)) {
				complain(n, "a long time may overflow: use number.FromMillis, number.FromMicros or number.FromSeconds")
			}
		}
		return true
	})
	return problems
}

func isLiteral(e ast.Expr) bool { _, ok := e.(*ast.BasicLit); return ok }

// isDuration says whether e is time.Duration(x), for an x that is no literal.
func isDuration(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	return ok && len(call.Args) == 1 && !isLiteral(call.Args[0]) && isOfTime(call.Fun, "Duration")
}

func isUnit(e ast.Expr) bool {
	return isOfTime(e, "Nanosecond") || isOfTime(e, "Microsecond") || isOfTime(e, "Millisecond") || isOfTime(e, "Second") ||
		isOfTime(e, "Minute") || isOfTime(e, "Hour")
}

func isOfTime(e ast.Expr, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == "time" && s.Sel.Name == name
}

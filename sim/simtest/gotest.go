package simtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"unicode"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/shrink"
)

// A TestSubject is how a Go test gets the subject: an expression, and the packages that it names.
type TestSubject struct {
	Expression string
	Imports    []string
}

// testSubject returns that of the program: what it says, or the exported function without parameters
// in which the subject's Begin stands.
func (a *App) testSubject() (*TestSubject, error) {
	if of := a.program.Test; of != nil {
		return of, nil
	}
	of, err := madeBy(a.program.Subject)
	if err != nil {
		return nil, Invalid("--test: what makes the subject of this program is not known: %w: have its Program.Test say it", err)
	}
	return of, nil
}

// madeBy finds the function in which Begin of a subject stands, by its source: its name does not
// tell, because functions are put into others.
func madeBy(of *engine.Subject) (*TestSubject, error) {
	pc := reflect.ValueOf(of.Begin).Pointer()
	f := runtime.FuncForPC(pc)
	if f == nil {
		return nil, errors.New("it has no source")
	}
	file, line := f.FileLine(pc)
	positions := token.NewFileSet()
	source, err := parser.ParseFile(positions, file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, decl := range source.Decls {
		made, ok := decl.(*ast.FuncDecl)
		if !ok || positions.Position(made.Pos()).Line > line || positions.Position(made.End()).Line < line {
			continue
		}
		if made.Recv != nil || !made.Name.IsExported() || made.Type.Params.NumFields() > 0 || made.Type.Results.NumFields() != 1 || source.Name.Name == "main" {
			break
		}
		pkg, err := importPath(filepath.Dir(file))
		if err != nil {
			return nil, err
		}
		return &TestSubject{Expression: source.Name.Name + "." + made.Name.Name + "()", Imports: []string{pkg}}, nil
	}
	return nil, fmt.Errorf("%s:%d is in no exported function of a package that has no parameters and returns the subject", file, line)
}

// importPath returns the import path of a directory of a module.
func importPath(dir string) (string, error) {
	for root := dir; ; root = filepath.Dir(root) {
		text, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if err != nil {
			if root == filepath.Dir(root) {
				return "", fmt.Errorf("%s is in no module", dir)
			}
			continue
		}
		below, err := filepath.Rel(root, dir)
		if err != nil {
			return "", err
		}
		module := moduleLine.FindSubmatch(text)
		if module == nil {
			return "", fmt.Errorf("%s names no module", filepath.Join(root, "go.mod"))
		}
		return path.Join(string(module[1]), filepath.ToSlash(below)), nil
	}
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+"?([^"\s]+)`)

// checkTest says whether a test can be written to a file; "": nobody asked.
func (a *App) checkTest(file string) error {
	if file == "" {
		return nil
	}
	if !strings.HasSuffix(file, "_test.go") {
		return Invalid("--test %s: go test reads no such file: let its name end in _test.go", file)
	}
	if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
		return Invalid("--test %s: there is no directory %s", file, filepath.Dir(file))
	}
	_, err := a.testSubject()
	return err
}

// writeTest writes a Go test that fails as a small scenario does.
func (a *App) writeTest(file string, r *shrink.Result, seed uint64) error {
	of, err := a.testSubject()
	if err != nil {
		return err
	}
	scenarioText, err := r.Scenario.MarshalShort()
	if err != nil {
		return err
	}
	name := r.Scenario.Metadata.Name
	var b strings.Builder
	fmt.Fprintf(&b, "package %s\n\nimport (\n\"testing\"\n\"testing/fstest\"\n\n", packageOf(filepath.Dir(file)))
	for _, pkg := range append(of.Imports, "github.com/frayrpc/fray/sim/simtest") {
		fmt.Fprintf(&b, "%q\n", pkg)
	}
	test := "Test" + camel(name) + "Seed" + strconv.FormatUint(seed, 10)
	broken := r.Run.Broken
	if broken == "" {
		broken = r.Run.Verdict
	}
	fmt.Fprintf(&b, ")\n\n// %s fails: %s: %s\n", test, broken, comment(broke(r.Run)))
	fmt.Fprintf(&b, "func %s(t *testing.T) {\n\tconst scenario = %s\n", test, literal(string(scenarioText)))
	fmt.Fprintf(&b, "\tsimtest.Test(t, %s, fstest.MapFS{%q: {Data: []byte(scenario)}})\n}\n", of.Expression, name+".yaml")
	source, err := format.Source([]byte(b.String()))
	if err != nil {
		return fmt.Errorf("write test: %w", err)
	}
	return writeFile(file, func(w io.Writer) error {
		_, err := w.Write(source)
		return err
	})
}

// packageOf returns the name of the package that tests of a directory are in from outside.
func packageOf(dir string) string {
	if pkg, err := build.ImportDir(dir, 0); err == nil {
		if pkg.Name == "main" {
			return pkg.Name
		}
		return pkg.Name + "_test"
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "small_test"
	}
	name := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, filepath.Base(abs))
	if !token.IsIdentifier(name) {
		name = "small"
	}
	return name + "_test"
}

// camel returns a name of a scenario as a part of one of Go.
func camel(name string) string {
	var b strings.Builder
	up := true
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			up = true
			continue
		}
		if up {
			r = unicode.ToUpper(r)
		}
		b.WriteRune(r)
		up = false
	}
	return b.String()
}

// maxComment is how long what a comment tells may be.
const maxComment = 200

// comment returns a text that fits into a line of a comment.
func comment(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) > maxComment {
		return text[:strings.LastIndexFunc(text[:maxComment], unicode.IsSpace)+1] + "..."
	}
	return text
}

// literal returns a text as a constant.
func literal(text string) string {
	if strconv.CanBackquote(strings.ReplaceAll(text, "\n", "")) {
		return "`" + text + "`"
	}
	return strconv.Quote(text)
}

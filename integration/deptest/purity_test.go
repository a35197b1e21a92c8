package deptest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// orderReason marks a range over a map whose order cannot be seen: on its line, or alone on the line above.
var orderReason = regexp.MustCompile(`^// ?(ordered|order-free): \S`)

// TestCoreIsPure keeps fray/core a function of its inputs: the same events at the same times give the same
// effects, in the same order, in every run.
func TestCoreIsPure(t *testing.T) {
	t.Parallel()
	fset := token.NewFileSet()
	packages := listForTypes(t, "./fray/core/...")
	imports := exportImporter(fset, packages)
	checked := 0
	for _, p := range packages {
		if !strings.HasPrefix(p.ImportPath, module+"/") || len(p.GoFiles) == 0 {
			continue
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		problems, err := impurities(fset, p.ImportPath, files, imports)
		if err != nil {
			t.Fatalf("type-check %s: %v", p.ImportPath, err)
		}
		for _, problem := range problems {
			t.Error(problem)
		}
		checked++
	}
	if checked == 0 {
		t.Error("no package checked: where is fray/core?")
	}
}

// A typedPackage is what a type checker needs of a package: its sources or its compiled interface.
type typedPackage struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

// listForTypes compiles packages, with all that they import, and returns both.
func listForTypes(t *testing.T, patterns ...string) []typedPackage {
	t.Helper()
	args := append([]string{"-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles"}, patterns...)
	decoder := json.NewDecoder(bytes.NewReader(goList(t, args...)))
	var packages []typedPackage
	for {
		var p typedPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("decode go list: %v", err)
		}
		packages = append(packages, p)
	}
}

func exportImporter(fset *token.FileSet, packages []typedPackage) types.Importer {
	exports := map[string]string{}
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		name, ok := exports[path]
		if !ok {
			return nil, fmt.Errorf("go list did not compile %s", path)
		}
		return os.Open(name)
	})
}

// impurities type-checks one package and returns what it does that depends on more than its inputs.
func impurities(fset *token.FileSet, path string, files []*ast.File, imports types.Importer) ([]string, error) {
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: imports}
	if _, err := config.Check(path, fset, files, info); err != nil {
		return nil, err
	}
	var problems []string
	for _, file := range files {
		c := &purityCheck{fset: fset, info: info, reasons: reasons(fset, file), sorted: map[ast.Expr]bool{}}
		ast.Inspect(file, c.visit)
		problems = append(problems, c.problems...)
	}
	return problems, nil
}

// reasons returns the lines that an orderReason speaks for.
func reasons(fset *token.FileSet, file *ast.File) map[int]bool {
	lines := map[int]bool{}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if orderReason.MatchString(comment.Text) {
				lines[fset.Position(comment.Pos()).Line] = true
				lines[fset.Position(group.End()).Line+1] = true
			}
		}
	}
	return lines
}

// purityCheck visits one file.
type purityCheck struct {
	fset     *token.FileSet
	info     *types.Info
	reasons  map[int]bool
	sorted   map[ast.Expr]bool // arguments of slices.Sorted and its kin
	problems []string
}

func (c *purityCheck) report(n ast.Node, format string, args ...any) {
	p := c.fset.Position(n.Pos())
	c.problems = append(c.problems, fmt.Sprintf("%s:%d: %s", filepath.Base(p.Filename), p.Line, fmt.Sprintf(format, args...)))
}

func (c *purityCheck) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		c.report(n, "starts a goroutine: return an effect and let the shell do it")
	case *ast.SelectStmt:
		c.report(n, "selects: which ready case runs is chance")
	case *ast.RangeStmt:
		if isMap(c.info.TypeOf(n.X)) {
			c.reportOrder(n, "ranges over a map")
		}
	case *ast.CallExpr:
		c.visitCall(n)
	case *ast.Ident:
		if f, ok := c.info.Uses[n].(*types.Func); ok && f.Signature().Recv() == nil && f.Pkg() != nil {
			c.visitFunc(n, f.Pkg().Path(), f.Name())
		}
	}
	return true
}

func (c *purityCheck) reportOrder(n ast.Node, what string) {
	if !c.reasons[c.fset.Position(n.Pos()).Line] {
		c.report(n, "%s: sort its keys, or say why no order shows with // ordered: or // order-free:", what)
	}
}

// visitCall finds unsorted iterators over maps. The parent is visited first, so sorted is filled in time.
func (c *purityCheck) visitCall(call *ast.CallExpr) {
	path, name := c.callee(call)
	switch {
	case path == "slices" && strings.HasPrefix(name, "Sorted"):
		c.sorted[ast.Unparen(call.Args[0])] = true
	case path == "maps" && slices.Contains([]string{"All", "Keys", "Values"}, name) && !c.sorted[call]:
		c.reportOrder(call, "iterates by maps."+name)
	}
}

// callee returns the package and the name of the function called, or nothing for other calls.
func (c *purityCheck) callee(call *ast.CallExpr) (path, name string) {
	fun := ast.Unparen(call.Fun)
	switch instance := fun.(type) {
	case *ast.IndexExpr:
		fun = instance.X
	case *ast.IndexListExpr:
		fun = instance.X
	}
	selector, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	f, ok := c.info.Uses[selector.Sel].(*types.Func)
	if !ok || f.Pkg() == nil {
		return "", ""
	}
	return f.Pkg().Path(), f.Name()
}

func (c *purityCheck) visitFunc(n ast.Node, path, name string) {
	switch path {
	case "time":
		clock := []string{"Now", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Since", "Until", "Tick"}
		if slices.Contains(clock, name) {
			c.report(n, "uses time.%s: take the time from the caller", name)
		}
	case "math/rand":
		c.report(n, "uses math/rand.%s: take a seeded math/rand/v2 generator from the caller", name)
	case "math/rand/v2":
		if !strings.HasPrefix(name, "New") {
			c.report(n, "uses rand.%s, which nobody can seed: take a generator from the caller", name)
		}
	}
}

// isMap reports whether ranging over a value of type t ranges over a map, also by way of a type parameter.
func isMap(t types.Type) bool {
	if t == nil {
		return false
	}
	switch u := t.Underlying().(type) {
	case *types.Map:
		return true
	case *types.Interface:
		for embedded := range u.EmbeddedTypes() {
			if isMap(embedded) {
				return true
			}
		}
	case *types.Union:
		for term := range u.Terms() {
			if isMap(term.Type()) {
				return true
			}
		}
	}
	return false
}

func TestImpuritiesAreFound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		source string // of a function's body, with m a map and g a generic one
		want   []string
	}{
		"pure":                  {"_ = time.Second; _ = rand.New(rand.NewPCG(1, 2)).IntN(3)", nil},
		"clock":                 {"_ = time.Now()", []string{"uses time.Now"}},
		"clock as a value":      {"f := time.Since; _ = f", []string{"uses time.Since"}},
		"a method of that name": {"_ = time.Time{}.After(time.Time{})", nil},
		"old rand":              {"_ = old.Int()", []string{"uses math/rand.Int"}},
		"shared rand":           {"_ = rand.IntN(3)", []string{"uses rand.IntN"}},
		"goroutine":             {"go func() {}()", []string{"starts a goroutine"}},
		"select":                {"select { default: }", []string{"selects"}},
		"slice":                 {"for range []int{1} {}", nil},
		"map":                   {"for range m {}", []string{"ranges over a map"}},
		"generic map":           {"for range g {}", []string{"ranges over a map"}},
		"map, reason beside":    {"for range m { // order-free: counts\n}", nil},
		"map, reason above":     {"// ordered: sorted below\nfor range m {}", nil},
		"map, reason too far":   {"// ordered: sorted below\n\nfor range m {}", []string{"ranges over a map"}},
		"map, no reason":        {"for range m { // order-free:\n}", []string{"ranges over a map"}},
		"keys":                  {"for range maps.Keys(m) {}", []string{"iterates by maps.Keys"}},
		"collected keys":        {"_ = slices.Collect(maps.Keys(m))", []string{"iterates by maps.Keys"}},
		"sorted keys":           {"for range slices.Sorted(maps.Keys(m)) {}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fset := token.NewFileSet()
			imports := exportImporter(fset, listForTypes(t, "maps", "slices", "time", "math/rand", "math/rand/v2"))
			source := `package p
import ("maps"; "slices"; "time"; "math/rand/v2"; old "math/rand")
var _, _, _, _, _ = maps.Clone[map[int]int], slices.Max[[]int], time.Second, rand.NewPCG, old.Rand{}
func f[M ~map[int]int](m map[int]int, g M) {
` + test.source + "\n}\n"
			file, err := parser.ParseFile(fset, "p.go", source, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			got, err := impurities(fset, "p", []*ast.File{file}, imports)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(test.want) {
				t.Fatalf("got %q, want %q", got, test.want)
			}
			for i := range got {
				if !strings.Contains(got[i], test.want[i]) {
					t.Errorf("got %q, want %q", got[i], test.want[i])
				}
			}
		})
	}
}

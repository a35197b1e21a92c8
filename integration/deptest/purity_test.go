package deptest_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// orderReason marks a range over a map whose order cannot be seen: on its line, or alone on the
// line above.
var orderReason = regexp.MustCompile(`^// ?(ordered|order-free): \S`)

// typed is what the checks of a package's code need.
const typed = packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedSyntax | packages.NeedTypes |
	packages.NeedTypesInfo

// TestCoreIsPure keeps fray/core a function of its inputs: the same events at the same times give
// the same effects, in the same order, in every run.
func TestCoreIsPure(t *testing.T) {
	t.Parallel()
	checked := load(t, &packages.Config{Mode: typed}, "./fray/core/...")
	for _, p := range checked {
		for _, problem := range impurities(p) {
			t.Error(problem)
		}
	}
	if len(checked) == 0 {
		t.Error("no package checked: where is fray/core?")
	}
}

// impurities returns what a package does that depends on more than its inputs.
func impurities(p *packages.Package) []string {
	var problems []string
	for _, file := range p.Syntax {
		c := &purityCheck{fset: p.Fset, info: p.TypesInfo, reasons: reasons(p.Fset, file), sorted: map[ast.Expr]bool{}}
		ast.Inspect(file, c.visit)
		problems = append(problems, c.problems...)
	}
	return problems
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

// visitCall finds unsorted iterators over maps. The parent is visited first, so sorted is filled in
// time.
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

// isMap reports whether ranging over a value of type t ranges over a map, also by way of a type
// parameter.
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
			source := `package p
import ("maps"; "slices"; "time"; "math/rand/v2"; old "math/rand")
var _, _, _, _, _ = maps.Clone[map[int]int], slices.Max[[]int], time.Second, rand.NewPCG, old.Rand{}
func f[M ~map[int]int](m map[int]int, g M) {
` + test.source + "\n}\n"
			name := filepath.Join(t.TempDir(), "p.go")
			overlay := map[string][]byte{name: []byte(source)}
			got := impurities(load(t, &packages.Config{Mode: typed, Overlay: overlay}, name)[0])
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

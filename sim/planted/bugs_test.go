package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"

	"github.com/frayrpc/fray/internal/patch"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
)

// Every bug can be planted in today's sources, so that a change of them cannot leave one behind.
func TestBugsApply(t *testing.T) {
	t.Parallel()
	bugs, err := readBugs("bugs")
	if err != nil {
		t.Fatal(err)
	}
	sources := load(t, bugs)
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			switch r := (result{engine.Result{Verdict: b.verdict}}); {
			case b.pkg != "":
				if !hasTest(t, "../../"+b.pkg, b.broken) {
					t.Errorf("there is no test %s in %s", b.broken, b.pkg)
				}
			case !slices.Contains(cluster.List(), b.scenario):
				t.Errorf("there is no scenario %q in the library", b.scenario)
			case r.ExitCode() < 1 || r.ExitCode() > 3:
				t.Errorf("a bug cannot be found as %q", b.verdict)
			}
			files, err := b.apply("../..")
			if err != nil {
				t.Fatal(err)
			}
			sources.compile(t, files)
		})
	}
}

// sources are the packages that bugs edit, and the types of all that these import.
type sources struct {
	files map[string][]string // by their packages, such as ./fray/core
	types map[string]*types.Package
}

// load reads what the bugs edit. What is imported comes from the build cache: to have the compiler
// build each bug would take a second for every one.
func load(t *testing.T, bugs []*bug) *sources {
	t.Helper()
	var paths []string
	for _, b := range bugs {
		for _, e := range b.edits {
			paths = append(paths, "./"+path.Dir(e.File))
		}
	}
	slices.Sort(paths)
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedDeps | packages.NeedTypes | packages.NeedModule,
		Dir:  "../..",
	}, slices.Compact(paths)...)
	if err != nil {
		t.Fatal(err)
	}
	s := &sources{files: map[string][]string{}, types: map[string]*types.Package{}}
	packages.Visit(loaded, nil, func(p *packages.Package) {
		s.types[p.PkgPath] = p.Types
		if p.Module != nil && p.Module.Main {
			s.files["./"+strings.TrimPrefix(p.PkgPath, p.Module.Path+"/")] = p.GoFiles
		}
	})
	return s
}

// Import implements types.Importer.
func (s *sources) Import(path string) (*types.Package, error) {
	if p := s.types[path]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%q is imported by none of the packages that bugs edit", path)
}

// compile fails the test if the packages of some files are wrong with these.
func (s *sources) compile(t *testing.T, edited patch.Files) {
	t.Helper()
	for _, pkg := range edited.Packages() {
		set := token.NewFileSet()
		var files []*ast.File
		for _, file := range s.files[pkg] {
			var text any // nil: what the file has
			if changed, ok := edited[strings.TrimPrefix(pkg, "./")+"/"+filepath.Base(file)]; ok {
				text = changed
			}
			f, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
			if err != nil {
				t.Errorf("it does not compile: %v", err)
				return
			}
			files = append(files, f)
		}
		if len(files) == 0 {
			t.Errorf("there is no package %s", pkg)
		}
		config := types.Config{Importer: s, Error: func(err error) { t.Errorf("it does not compile: %v", err) }}
		_, _ = config.Check(pkg, set, files, nil) // Error is told of each.
	}
}

// hasTest says whether a directory has a test of a name.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(text), "\nfunc "+name+"(t *testing.T)")
	})
}

func TestBugsCoverPitfalls(t *testing.T) {
	t.Parallel()
	bugs, err := readBugs("bugs")
	if err != nil {
		t.Fatal(err)
	}
	for _, pitfall := range pitfalls {
		if !slices.ContainsFunc(bugs, func(b *bug) bool { return b.pitfall == pitfall }) {
			t.Errorf("no bug is an instance of %q", pitfall)
		}
	}
}

// Each bug has a line in the table of what finds it, which make planted writes, and each line its bug.
func TestEveryBugIsOnRecord(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/planted-bugs.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			lines[name] = true
		}
	}
	files, err := filepath.Glob("bugs/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		if !lines[name] {
			t.Errorf("docs/planted-bugs.md has no line for %s: make planted PLANTED='^%s$'", name, name)
		}
		delete(lines, name)
	}
	for name := range lines { // order-free: each is told of
		t.Errorf("docs/planted-bugs.md has a line for %s, which there is not", name)
	}
}

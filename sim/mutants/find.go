package main

import (
	"errors"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// A finder finds the places of a package that can be mutated.
type finder struct {
	pkg     *packages.Package
	file    string // relative to the root
	source  []byte
	inside  string // the function
	mutants []*mutant
	seen    map[string]int // places of a function by their keys without a number
}

// load reads packages with their types.
func load(root string, patterns []string) ([]*packages.Package, error) {
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo |
			packages.NeedImports | packages.NeedDeps | packages.NeedModule,
		Dir: root,
	}, patterns...)
	if err != nil {
		return nil, err
	}
	var errs []error
	packages.Visit(pkgs, nil, func(p *packages.Package) {
		for _, e := range p.Errors {
			errs = append(errs, e)
		}
	})
	return pkgs, errors.Join(errs...)
}

// find returns the mutants of packages, in the order of their places; of files that skip says
// nothing of.
func find(root string, pkgs []*packages.Package, skip func(file string) bool) ([]*mutant, error) {
	var all []*mutant
	for _, p := range pkgs {
		for _, syntax := range p.Syntax {
			path := p.Fset.Position(syntax.Package).Filename
			file, err := relative(root, path)
			if err != nil {
				return nil, err
			}
			if skip(file) || ast.IsGenerated(syntax) {
				continue
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			f := &finder{pkg: p, file: file, source: source, seen: map[string]int{}}
			for _, d := range syntax.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && fn.Name.Name != "init" {
					f.inside = functionName(fn)
					ast.Inspect(fn.Body, f.visit)
				}
			}
			all = append(all, f.mutants...)
		}
	}
	slices.SortStableFunc(all, func(a, b *mutant) int { return strings.Compare(a.file, b.file) })
	return all, nil
}

func functionName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name + "." + fn.Name.Name
		default:
			return fn.Name.Name
		}
	}
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BlockStmt:
		f.statements(n.List)
	case *ast.CaseClause:
		f.statements(n.Body)
	case *ast.CommClause:
		f.statements(n.Body)
	case *ast.IfStmt:
		f.condition(n.Cond, always, never)
	case *ast.ForStmt:
		if n.Cond != nil {
			f.condition(n.Cond, never) // Always is a loop without an end.
		}
	case *ast.SwitchStmt:
		if n.Tag == nil {
			for _, c := range n.Body.List {
				for _, cond := range c.(*ast.CaseClause).List { //nolint:errcheck // A switch has no others.
					f.condition(cond, never)
				}
			}
		}
	case *ast.BinaryExpr:
		f.binary(n)
	case *ast.CallExpr:
		f.extreme(n)
	case *ast.ReturnStmt:
		for _, r := range n.Results {
			f.result(r)
		}
	}
	return true
}

// statements finds those of a list that may be left out.
func (f *finder) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			if call, ok := s.X.(*ast.CallExpr); ok && f.silent(call) {
				continue
			}
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE || f.blank(s) {
				continue
			}
		case *ast.IncDecStmt, *ast.SendStmt, *ast.GoStmt:
		case *ast.BranchStmt:
			if s.Tok != token.BREAK && s.Tok != token.CONTINUE {
				continue
			}
		case *ast.DeferStmt:
			if f.silent(s.Call) {
				continue
			}
		default:
			continue
		}
		f.add(removed, s, f.around(s, "if !mutantOn("+number+") { ", " }"))
	}
}

// blank says whether an assignment only tells that something is not used.
func (f *finder) blank(s *ast.AssignStmt) bool {
	for _, l := range s.Lhs {
		if id, ok := l.(*ast.Ident); !ok || id.Name != "_" {
			return false
		}
	}
	return true
}

// silent says whether leaving out a call is no mistake that a simulation could show: it logs, it
// ends the goroutine because of a mistake in the program itself, or it takes or leaves a lock, which
// the race detector judges.
func (f *finder) silent(call *ast.CallExpr) bool {
	switch fun := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		return fun.Name == "panic"
	case *ast.SelectorExpr:
		obj := f.pkg.TypesInfo.Uses[fun.Sel]
		if obj == nil || obj.Pkg() == nil {
			return false
		}
		lock := strings.HasSuffix(fun.Sel.Name, "Lock") || strings.HasSuffix(fun.Sel.Name, "Unlock")
		return obj.Pkg().Path() == "log/slog" || obj.Pkg().Path() == "sync" && lock
	}
	return false
}

// condition finds how a bool can be wrong.
func (f *finder) condition(cond ast.Expr, kinds ...kind) {
	if !f.isBool(cond) {
		return
	}
	for _, k := range kinds {
		if k == always {
			f.add(always, cond, f.around(cond, "(mutantOn("+number+") || (", "))"))
		} else {
			f.add(never, cond, f.around(cond, "(!mutantOn("+number+") && (", "))"))
		}
	}
}

func (f *finder) binary(e *ast.BinaryExpr) {
	switch e.Op {
	case token.LAND, token.LOR:
		if !f.isBool(e) {
			return
		}
		// A side that is left out is what changes nothing: true for &&, false for ||.
		before := "(mutantOn(" + number + ") || ("
		if e.Op == token.LOR {
			before = "(!mutantOn(" + number + ") && ("
		}
		f.add(rightOnly, e, f.around(e.X, before, "))"))
		f.add(leftOnly, e, f.around(e.Y, before, "))"))
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
		if f.isBool(e) {
			f.swap(boundary, e, map[token.Token]string{token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">"}[e.Op])
		}
	case token.ADD, token.SUB:
		if f.isNumber(e) {
			f.swap(arithmetic, e, map[token.Token]string{token.ADD: "-", token.SUB: "+"}[e.Op])
		}
	}
}

// swap has both of an expression and another one, of which the mutant has the other.
func (f *finder) swap(k kind, e *ast.BinaryExpr, op string) {
	if f.calls(e) {
		return
	}
	other := f.textOf(e.X.Pos(), e.X.End()) + " " + op + " " + f.textOf(e.Y.Pos(), e.Y.End())
	if strings.Contains(other, "\n") {
		return
	}
	if k == boundary {
		f.add(k, e, f.around(e, "(mutantOn("+number+") && ("+other+") || !mutantOn("+number+") && (", "))"))
		return
	}
	f.add(k, e, f.around(e, "mutantPick("+number+", ", ", "+other+")"))
}

// extreme finds min and max, each of which may be taken for the other.
func (f *finder) extreme(call *ast.CallExpr) {
	id, ok := call.Fun.(*ast.Ident)
	if !ok || call.Ellipsis.IsValid() || f.isConst(call) {
		return
	}
	if _, builtin := f.pkg.TypesInfo.Uses[id].(*types.Builtin); !builtin || id.Name != "min" && id.Name != "max" {
		return
	}
	other := map[string]string{"min": "max", "max": "min"}[id.Name]
	args := f.textOf(id.End(), call.End())
	if f.calls(call) || strings.Contains(args, "\n") {
		return
	}
	f.add(arithmetic, call, f.around(call, "mutantPick("+number+", ", ", "+other+args+")"))
}

// result finds how a returned value can be wrong.
func (f *finder) result(r ast.Expr) {
	if f.isConst(r) {
		return
	}
	t := f.pkg.TypesInfo.TypeOf(r)
	switch {
	case f.isBool(r):
		f.condition(r, always, never)
	case t != nil && types.Identical(t, types.Universe.Lookup("error").Type()):
		f.add(noError, r, f.around(r, "mutantPick("+number+", ", ", nil)"))
	}
}

func (f *finder) isConst(e ast.Expr) bool {
	tv := f.pkg.TypesInfo.Types[e]
	return tv.Value != nil || tv.IsNil()
}

// isBool says whether e is of a type that goes with bool, and no constant.
func (f *finder) isBool(e ast.Expr) bool {
	t := f.pkg.TypesInfo.TypeOf(e)
	if t == nil || f.isConst(e) {
		return false
	}
	b, ok := t.(*types.Basic)
	return ok && b.Info()&types.IsBoolean != 0
}

func (f *finder) isNumber(e ast.Expr) bool {
	t := f.pkg.TypesInfo.TypeOf(e)
	if t == nil || f.isConst(e) {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsNumeric != 0 && b.Info()&types.IsUntyped == 0
}

// calls says whether evaluating e twice could show: it calls what is no conversion, and no len or
// cap.
func (f *finder) calls(e ast.Node) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if n == e {
				return true
			}
			if tv := f.pkg.TypesInfo.Types[n.Fun]; tv.IsType() {
				return true
			}
			if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "len" || id.Name == "cap") {
				return true
			}
			found = true
		case *ast.FuncLit:
			found = true
		case *ast.UnaryExpr:
			found = found || n.Op == token.ARROW
		}
		return !found
	})
	return found
}

// around returns an edit of an expression or a statement.
func (f *finder) around(n ast.Node, before, after string) edit {
	return edit{f.offset(n.Pos()), f.offset(n.End()), before, after}
}

func (f *finder) textOf(from, to token.Pos) string {
	return string(f.source[f.offset(from):f.offset(to)])
}

func (f *finder) offset(p token.Pos) int { return f.pkg.Fset.Position(p).Offset }

// maxText is how much of a place its name shows.
const maxText = 160

func (f *finder) add(k kind, n ast.Node, e edit) {
	text := strings.Join(strings.Fields(f.textOf(n.Pos(), n.End())), " ")
	if len(text) > maxText {
		text = text[:maxText] + "..."
	}
	id := f.inside + "\x00" + string(k) + "\x00" + text
	f.seen[id]++
	f.mutants = append(f.mutants, &mutant{
		file: f.file, pkg: "./" + filepath.ToSlash(filepath.Dir(f.file)), line: f.pkg.Fset.Position(n.Pos()).Line,
		function: f.inside, kind: k, text: text, which: f.seen[id], edits: []edit{e},
	})
}

package scenario

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/ext"
)

const (
	// maxExpression is the length of the longest expression, in bytes.
	maxExpression = 2000
	// maxCost bounds one evaluation, in the units of CEL.
	maxCost = 100_000
)

// environment declares the variables that expressions have: the fields of Facts.
var environment = sync.OnceValue(func() *cel.Env {
	facts := reflect.TypeFor[Facts]()
	var options []cel.EnvOption
	natives := []any{ext.ParseStructTags(true)}
	for f := range facts.Fields() {
		var t *cel.Type
		switch f.Type.Kind() {
		case reflect.Struct:
			t = cel.ObjectType(celName(f.Type))
			natives = append(natives, f.Type)
		default:
			t = cel.MapType(cel.StringType, cel.IntType)
			if elem := f.Type.Elem(); elem.Kind() == reflect.Struct {
				t = cel.MapType(cel.StringType, cel.ObjectType(celName(elem)))
			}
		}
		options = append(options, cel.Variable(f.Tag.Get("cel"), t))
	}
	env, err := cel.NewEnv(append([]cel.EnvOption{ext.NativeTypes(natives...)}, options...)...)
	if err != nil {
		panic("scenario: environment of expressions: " + err.Error())
	}
	return env
})

// celName is what CEL calls a type of this package.
func celName(t reflect.Type) string { return "scenario." + t.Name() }

// A Condition is a compiled expression. It may be used by several goroutines.
type Condition struct {
	text    string
	program cel.Program
}

// Compile compiles the expression that a scenario's expectation has. Those of a parsed scenario
// compile.
func Compile(text string) (*Condition, error) {
	checked, issues := environment().Compile(text)
	if issues != nil && issues.Err() != nil {
		return nil, fmt.Errorf("compile %q: %w", text, issues.Err())
	}
	program, err := environment().Program(checked, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("compile %q: %w", text, err)
	}
	return &Condition{text: text, program: program}, nil
}

// Holds says whether the condition is true of the facts.
func (c *Condition) Holds(facts *Facts) (bool, error) {
	value, _, err := c.program.Eval(bindings{reflect.ValueOf(facts).Elem()})
	if err != nil {
		return false, fmt.Errorf("evaluate %q: %w", c.text, err)
	}
	held, ok := value.Value().(bool)
	if !ok {
		return false, fmt.Errorf("evaluate %q: the value is no bool", c.text)
	}
	return held, nil
}

// bindings give an expression those variables that it asks for.
type bindings struct{ facts reflect.Value }

// ResolveName implements cel.Activation.
func (b bindings) ResolveName(name string) (any, bool) {
	i := slices.Index(variables(), name)
	if i < 0 {
		return nil, false
	}
	return b.facts.Field(i).Interface(), true
}

// Parent implements cel.Activation.
func (bindings) Parent() cel.Activation { return nil }

// compile compiles the expression in a field, or reports what is wrong with it and returns nil.
func (v *validator) compile(text *string) *cel.Ast {
	if len(*text) > maxExpression {
		v.report(complain("the expression has %d bytes, more than %d", len(*text), maxExpression).suggest("split it"), text)
		return nil
	}
	checked, issues := environment().Compile(*text)
	if issues != nil && issues.Err() != nil {
		for _, issue := range issues.Errors() {
			at := v.within(text, issue.Location.Line(), issue.Location.Column())
			v.add(at, celComplaint(*text, issue))
		}
		return nil
	}
	if checked.OutputType() != cel.BoolType {
		v.report(complain("the expression is of type %s, not bool", checked.OutputType()).suggest("compare it with something, as in %s > 0", *text), text)
		return nil
	}
	return checked
}

// within returns the place of a character of a text that the file has on one line, or in a block of
// lines.
func (v *validator) within(text *string, line, column int) place {
	at := v.values[text]
	if at.Line < 1 || at.Line > len(v.lines) {
		return at
	}
	wanted := strings.Split(*text, "\n")[max(0, line-1):]
	if len(wanted) == 0 {
		return at
	}
	// The text is at its place, behind a quote, or in the lines below.
	for n := at.Line; n <= min(len(v.lines), at.Line+strings.Count(*text, "\n")+1); n++ {
		if i := strings.Index(v.lines[n-1], strings.TrimRight(wanted[0], "\n")); i >= 0 && wanted[0] != "" {
			return place{Line: n, Column: utf8.RuneCountInString(v.lines[n-1][:i]) + column + 1}
		}
	}
	return at
}

var (
	undeclared     = regexp.MustCompile(`undeclared reference to '([^']*)'`)
	undefinedField = regexp.MustCompile(`undefined field '([^']*)'`)
	noOverload     = regexp.MustCompile(`found no matching overload for '([^']*)' applied to '(.*)'`)
	celTypes       = regexp.MustCompile(`scenario\.[A-Za-z]+`)
)

// celComplaint says what the compiler found, in the words of a scenario.
func celComplaint(text string, issue *cel.Error) *complaint {
	if m := undeclared.FindStringSubmatch(issue.Message); m != nil {
		return complain("expressions have no variable %s", m[1]).suggestName(m[1], variables())
	}
	if m := undefinedField.FindStringSubmatch(issue.Message); m != nil {
		owner := ownerOf(text, m[1])
		known := factFields(owner)
		c := complain("%s has no field %s", cmp.Or(owner, "the value"), m[1])
		if known == nil {
			return c
		}
		return c.suggestName(m[1], known)
	}
	if m := noOverload.FindStringSubmatch(issue.Message); m != nil {
		c := complain("%s cannot be applied to %s", strings.Trim(m[1], "_@"), celTypes.ReplaceAllString(m[2], "a section"))
		if strings.Contains(m[2], "duration") {
			return c.suggest("write durations as duration('30s')")
		}
		return c.suggest("compare numbers with numbers; see docs/scenarios.md for the types")
	}
	message, _, _ := strings.Cut(issue.Message, "\n")
	message, _, _ = strings.Cut(message, " expecting {") // All that CEL has.
	return complain("the expression is not valid CEL: %s", message).suggest("see docs/scenarios.md for what expressions can say")
}

// ownerOf returns the variable that a field is taken from in an expression.
func ownerOf(text, name string) string {
	m := regexp.MustCompile(`([a-zA-Z]+)(\[[^\]]*\]|\.[a-z0-9-]+)?\.` + regexp.QuoteMeta(name) + `\b`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

// variables returns the names of the variables of expressions, in the order of the fields of Facts.
var variables = sync.OnceValue(func() []string { return celFields(reflect.TypeFor[Facts]()) })

// celFields returns what CEL calls the fields of a type.
func celFields(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		names = append(names, f.Tag.Get("cel"))
	}
	return names
}

// factFields returns the fields of a variable, or of the values of a map.
func factFields(variable string) []string {
	i := slices.Index(variables(), variable)
	if i < 0 {
		return nil
	}
	t := reflect.TypeFor[Facts]().Field(i).Type
	if t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	return celFields(t)
}

// checkKeys reports keys of maps that no run will have.
func (v *validator) checkKeys(text *string, checked *celast.AST) {
	ids := v.faultIDs()
	kinds := v.kindNames()
	celast.MatchDescendants(celast.NavigateAST(checked), func(e celast.NavigableExpr) bool {
		name, key := mapAccess(e)
		at := checked.SourceInfo().GetStartLocation(e.ID())
		where := v.within(text, at.Line(), at.Column())
		switch {
		case name == "faults" && !slices.Contains(ids, key):
			v.add(where, complain("there is no fault %q", key).suggestName(key, ids))
		case name == "kinds" && !slices.Contains(kinds, key):
			v.add(where, complain("there is no kind of task %q", key).suggestName(key, kinds))
		}
		return false
	})
}

// mapAccess returns the variable and the key of name['key'] and name.key.
func mapAccess(e celast.Expr) (name, key string) {
	switch e.Kind() {
	case celast.CallKind:
		call := e.AsCall()
		if args := call.Args(); call.FunctionName() == "_[_]" && len(args) == 2 && args[0].Kind() == celast.IdentKind && args[1].Kind() == celast.LiteralKind {
			if key, ok := args[1].AsLiteral().Value().(string); ok {
				return args[0].AsIdent(), key
			}
		}
	case celast.SelectKind:
		if s := e.AsSelect(); s.Operand().Kind() == celast.IdentKind {
			return s.Operand().AsIdent(), s.FieldName()
		}
	}
	return "", ""
}

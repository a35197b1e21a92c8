package scenario

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
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

// A variable is one that expressions have: a field of the subject's facts, or of [Common].
type variable struct {
	name  string
	field reflect.StructField
	// own says that it is of the subject's facts.
	own bool
}

// variables returns those that expressions about the subject have: its own, then those of Common.
func (s *Subject) variables() (all []variable) {
	for i, t := range []reflect.Type{s.factsType(), reflect.TypeFor[Common]()} {
		for f := range t.Fields() {
			name := f.Tag.Get("cel")
			if taken := slices.ContainsFunc(all, func(v variable) bool { return v.name == name }); name != "" && !taken {
				all = append(all, variable{name, f, i == 0})
			}
		}
	}
	return all
}

// Variables returns the fields of the subject's facts and of Common that are variables of
// expressions, for those who describe them.
func (s *Subject) Variables() []reflect.StructField {
	var fields []reflect.StructField
	for _, v := range s.variables() {
		fields = append(fields, v.field)
	}
	return fields
}

// factsType returns the type of the subject's facts: a struct.
func (s *Subject) factsType() reflect.Type {
	if s.Facts == nil {
		return reflect.TypeFor[struct{}]()
	}
	return reflect.TypeOf(s.Facts).Elem()
}

// variableNames returns the names of the variables.
func (s *Subject) variableNames() []string {
	all := s.variables()
	return namesOf(all, func(v *variable) string { return v.name })
}

// environment declares the variables that expressions have.
func (s *Subject) environment() *cel.Env {
	s.compile.Do(func() {
		natives := []any{ext.ParseStructTags(true)}
		var options []cel.EnvOption
		for _, v := range s.variables() {
			var t *cel.Type
			switch of := v.field.Type; {
			case elem(of).Kind() == reflect.Struct && elem(of).Name() == "":
				panic("scenario: facts of " + s.Name + ": the type of " + v.name + " has no name: give it one")
			case of.Kind() == reflect.Struct:
				t = cel.ObjectType(of.String())
				natives = append(natives, of)
			case of.Kind() == reflect.Map:
				t = cel.MapType(cel.StringType, cel.IntType)
				if elem := of.Elem(); elem.Kind() == reflect.Struct {
					t = cel.MapType(cel.StringType, cel.ObjectType(elem.String()))
					natives = append(natives, elem)
				}
			default:
				panic("scenario: facts of " + s.Name + ": " + v.name + " is neither a struct nor a map")
			}
			options = append(options, cel.Variable(v.name, t))
		}
		env, err := cel.NewEnv(append([]cel.EnvOption{ext.NativeTypes(natives...)}, options...)...)
		if err != nil {
			panic("scenario: environment of expressions of " + s.Name + ": " + err.Error())
		}
		s.env = env
	})
	return s.env
}

// A Condition is a compiled expression. It may be used by several goroutines.
type Condition struct {
	subject   *Subject
	variables []variable
	text      string
	program   cel.Program
}

// Compile compiles the expression that an expectation has. Those of a parsed scenario of the
// subject compile.
func (s *Subject) Compile(text string) (*Condition, error) {
	checked, issues := s.environment().Compile(text)
	if issues != nil && issues.Err() != nil {
		return nil, fmt.Errorf("compile %q: %w", text, issues.Err())
	}
	program, err := s.environment().Program(checked, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("compile %q: %w", text, err)
	}
	return &Condition{subject: s, variables: s.variables(), text: text, program: program}, nil
}

// Holds says whether the condition is true of the facts of a subject, which are of the type that it
// names, and of those that all have.
func (c *Condition) Holds(facts any, common *Common) (bool, error) {
	if c.subject.Facts == nil {
		facts = new(struct{})
	}
	value, _, err := c.program.Eval(bindings{c.variables, reflect.ValueOf(facts).Elem(), reflect.ValueOf(common).Elem()})
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
type bindings struct {
	variables   []variable
	own, common reflect.Value
}

// ResolveName implements cel.Activation.
func (b bindings) ResolveName(name string) (any, bool) {
	for i := range b.variables {
		if v := &b.variables[i]; v.name == name && v.own {
			return b.own.FieldByIndex(v.field.Index).Interface(), true
		} else if v.name == name {
			return b.common.FieldByIndex(v.field.Index).Interface(), true
		}
	}
	return nil, false
}

// Parent implements cel.Activation.
func (bindings) Parent() cel.Activation { return nil }

// compile compiles the expression in a field, or reports what is wrong with it and returns nil.
func (v *Validator) compile(text *string) *cel.Ast {
	if len(*text) > maxExpression {
		v.Report(Complain("the expression has %d bytes, more than %d", len(*text), maxExpression).Suggest("split it"), text)
		return nil
	}
	checked, issues := v.subject.environment().Compile(*text)
	if issues != nil && issues.Err() != nil {
		for _, issue := range issues.Errors() {
			at := v.within(text, issue.Location.Line(), issue.Location.Column())
			v.add(at, v.subject.celComplaint(*text, issue))
		}
		return nil
	}
	if checked.OutputType() != cel.BoolType {
		v.Report(Complain("the expression is of type %s, not bool", checked.OutputType()).Suggest("compare it with something, as in %s > 0", *text), text)
		return nil
	}
	return checked
}

// within returns the place of a character of a text that the file has on one line, or in a block of
// lines.
func (v *Validator) within(text *string, line, column int) place {
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
)

// celComplaint says what the compiler found, in the words of a scenario.
func (s *Subject) celComplaint(text string, issue *cel.Error) *Complaint {
	if m := undeclared.FindStringSubmatch(issue.Message); m != nil {
		return Complain("expressions have no variable %s", m[1]).SuggestName(m[1], s.variableNames())
	}
	if m := undefinedField.FindStringSubmatch(issue.Message); m != nil {
		owner := ownerOf(text, m[1])
		known := s.factFields(owner)
		c := Complain("%s has no field %s", cmp.Or(owner, "the value"), m[1])
		if known == nil {
			return c
		}
		return c.SuggestName(m[1], known)
	}
	if m := noOverload.FindStringSubmatch(issue.Message); m != nil {
		c := Complain("%s cannot be applied to %s", strings.Trim(m[1], "_@"), s.plain(m[2]))
		if strings.Contains(m[2], "duration") {
			return c.Suggest("write durations as duration('30s')")
		}
		return c.Suggest("compare numbers with numbers; see docs/scenarios.md for the types")
	}
	message, _, _ := strings.Cut(issue.Message, "\n")
	message, _, _ = strings.Cut(message, " expecting {") // All that CEL has.
	return Complain("the expression is not valid CEL: %s", message).Suggest("see docs/scenarios.md for what expressions can say")
}

// ownerOf returns the variable that a field is taken from in an expression.
func ownerOf(text, name string) string {
	m := regexp.MustCompile(`([a-zA-Z]+)(\[[^\]]*\]|\.[a-z0-9-]+)?\.` + regexp.QuoteMeta(name) + `\b`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

// plain returns a text without the names of Go types.
func (s *Subject) plain(text string) string {
	for _, v := range s.variables() {
		for _, t := range []reflect.Type{v.field.Type, elem(v.field.Type)} {
			if t.Kind() == reflect.Struct {
				text = strings.ReplaceAll(text, t.String(), "a section")
			}
		}
	}
	return text
}

// elem returns the type of a map's values, and other types as they are.
func elem(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Map {
		return t.Elem()
	}
	return t
}

// celFields returns what CEL calls the fields of a type.
func celFields(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		names = append(names, f.Tag.Get("cel"))
	}
	return names
}

// factFields returns the fields of a variable, or of the values of a map.
func (s *Subject) factFields(name string) []string {
	for _, v := range s.variables() {
		if t := elem(v.field.Type); v.name == name && t.Kind() == reflect.Struct {
			return celFields(t)
		}
	}
	return nil
}

// checkKeys reports keys of maps that no run will have.
func (v *Validator) checkKeys(text *string, checked *celast.AST) {
	ids := v.faultIDs()
	celast.MatchDescendants(celast.NavigateAST(checked), func(e celast.NavigableExpr) bool {
		name, key := mapAccess(e)
		at := checked.SourceInfo().GetStartLocation(e.ID())
		where := v.within(text, at.Line(), at.Column())
		if name == "faults" {
			if !slices.Contains(ids, key) {
				v.add(where, Complain("there is no fault %q", key).SuggestName(key, ids))
			}
			return false
		}
		if what, known := v.Sections.Keys(name); known != nil && !slices.Contains(known, key) {
			v.add(where, Complain("there is no %s %q", what, key).SuggestName(key, known))
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

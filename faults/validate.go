package faults

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// A RuleError says what is wrong with a rule, and where if it was read from text.
type RuleError struct {
	// Rule is the id of the rule, if that is known.
	Rule string
	// Line counts from 1 in the text of a plan and is 0 otherwise.
	Line int
	// Column counts bytes from 1 in the line and is 0 for a rule that was not read from text.
	Column int
	// Problem is what is wrong and what to do instead.
	Problem string

	field string // whose value is wrong, as a clause is called
}

// Error implements error.
func (e *RuleError) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d, ", e.Line)
	}
	if e.Column > 0 {
		fmt.Fprintf(&b, "column %d: ", e.Column)
	}
	if e.Rule != "" {
		fmt.Fprintf(&b, "rule %s: ", e.Rule)
	}
	return b.String() + e.Problem
}

// Names of what an error may be about; those of clauses are as the text has them.
const (
	fieldID          = "id"
	fieldAction      = "action"
	fieldSide        = "side"
	fieldPhase       = "phase"
	fieldMessage     = "message"
	fieldProcedure   = "procedure"
	fieldFrom        = "from"
	fieldTo          = "to"
	fieldHeader      = "header"
	fieldProbability = "probability"
	fieldAfter       = "after"
	fieldNth         = "nth"
	fieldEvery       = "every"
	fieldFirst       = "first"
	fieldWindow      = "window"
	fieldEvent       = "event"
)

// Validate says what is wrong with the rule by itself, as a [*RuleError], a rule that can never act
// included.
func (r Rule) Validate() error {
	normal := r.normal()
	for _, check := range []func(*Rule) *RuleError{checkNames, checkWhere, checkPhase, checkWhen, checkAction, checkPlace, checkConnection} {
		if err := check(&normal); err != nil {
			err.Rule = r.ID
			return err
		}
	}
	return nil
}

func wrong(field, format string, args ...any) *RuleError {
	return &RuleError{field: field, Problem: fmt.Sprintf(format, args...)}
}

func checkNames(r *Rule) *RuleError {
	if !isName(r.ID) {
		return wrong(fieldID, "id %q is no name; use letters, digits, '-', '_' and '.'", r.ID)
	}
	if r.Event != "" && !isName(r.Event) {
		return wrong(fieldEvent, "event %q is no name; use letters, digits, '-', '_' and '.'", r.Event)
	}
	return nil
}

func checkWhere(r *Rule) *RuleError {
	if port, found := strings.CutPrefix(r.Procedure, Connections); found {
		if n, err := strconv.ParseUint(port, 10, 16); !consists(port, "*") || port == "" || !strings.Contains(port, "*") && (err != nil || n == 0) {
			return wrong(fieldProcedure, "procedure %q never matches, because %q is no port; write it like %s5432, with * for any text", r.Procedure, port, Connections)
		}
	} else if r.Procedure != "" {
		if !consists(r.Procedure, "/._*$-") {
			return wrong(fieldProcedure, "procedure %q has a character that no procedure has; write it like /acme.v1.PingService/Ping, with * for any text", r.Procedure)
		}
		if r.Procedure[0] != '/' && r.Procedure[0] != '*' {
			return wrong(fieldProcedure, "procedure %q never matches, because procedures start with /; write /%[1]s or */%[1]s", r.Procedure)
		}
	}
	for _, hosts := range []struct {
		field string
		names Hosts
	}{{fieldFrom, r.From}, {fieldTo, r.To}} {
		for _, name := range hosts.names {
			if !isHost(name) {
				return wrong(hosts.field, "host %q is no name of a host; use letters, digits, '-', '_', '.', ':' and * for any text", name)
			}
		}
	}
	for _, header := range r.Headers {
		if !consists(header.Name, "!#$%&'*+-.^_`|~") || header.Name == "" {
			return wrong(fieldHeader, "header %q is no name of a header; write header=Name:value", header.Name)
		}
		if strings.ContainsFunc(header.Value, unicode.IsControl) || !utf8.ValidString(header.Value) {
			return wrong(fieldHeader, "header %s never has the value %q; take the control characters out", header.Name, header.Value)
		}
	}
	return nil
}

func checkPhase(r *Rule) *RuleError {
	switch {
	case !slices.Contains(sides, r.Side):
		return wrong(fieldSide, "side %q is unknown%s", r.Side, didYouMean(string(r.Side), sides))
	case r.Phase != "" && !slices.Contains(phases, r.Phase):
		return wrong(fieldPhase, "phase %q is unknown%s", r.Phase, didYouMean(string(r.Phase), phases))
	case r.Phase != "" && !r.Side.has(r.Phase):
		return wrong(fieldPhase, "the rule can never act: there is no %s on side %s; use %s", r.Phase, r.Side, strings.Join(texts(r.Side.phases()), " or "))
	case r.Message < EveryMessage:
		return wrong(fieldMessage, "message %d is below 1; messages count from 1, and * is all of them", r.Message)
	case r.Message != 0 && r.Side == Network:
		return wrong(fieldMessage, "the rule can never act: the network sees no messages; use side=client or side=server")
	}
	return nil
}

func checkWhen(r *Rule) *RuleError {
	switch {
	case !(r.Probability >= 0 && r.Probability <= 1):
		return wrong(fieldProbability, "probability %v is not between 0 and 1", r.Probability)
	case r.Nth > 0 && r.First > 0 && r.Nth > r.First:
		return wrong(fieldNth, "the rule can never act: nth=%d lies behind first=%d; drop one of them", r.Nth, r.First)
	case r.Nth > 0 && r.Every > 0 && r.Nth%r.Every != 0:
		return wrong(fieldNth, "the rule can never act: nth=%d is no multiple of every=%d; drop one of them", r.Nth, r.Every)
	case r.Every > 0 && r.First > 0 && r.Every > r.First:
		return wrong(fieldEvery, "the rule can never act: every=%d lies behind first=%d; drop one of them", r.Every, r.First)
	case r.Window.From < 0 || r.Window.Until < 0:
		return wrong(fieldWindow, "window %s is negative; it counts from when the plan is applied", r.Window)
	case r.Window.From > MaxWait || r.Window.Until > MaxWait:
		return wrong(fieldWindow, "window %s is longer than %s", r.Window, MaxWait)
	case r.Window.Until > 0 && r.Window.Until <= r.Window.From:
		return wrong(fieldWindow, "the rule can never act: window %s is empty; end it after it starts", r.Window)
	}
	return nil
}

func checkAction(r *Rule) *RuleError {
	a := r.Action
	b := behaviourOf(a.Kind)
	if b == nil {
		return wrong(fieldAction, "action %q is unknown%s", a.Kind, didYouMean(string(a.Kind), kinds()))
	}
	switch {
	case !utf8.ValidString(a.Message):
		return a.wrong("message %q is not UTF-8", a.Message)
	case a.Detail.Type != "" && !protoreflect.FullName(a.Detail.Type).IsValid():
		return a.wrong("detail %q is no name of a message; write detail=acme.v1.Info:base64", a.Detail.Type)
	case a.Detail.Type == "" && a.Detail.Value != "":
		return a.wrong("the detail has a value and no type")
	case a.Wait < 0 || a.Wait > MaxWait:
		return a.wrong("%s is not between 0 and %s", a.Wait, MaxWait)
	case a.Copies < 0 || a.Copies > MaxCopies:
		return a.wrong("%d copies are not between 1 and %d", a.Copies, MaxCopies)
	case a.Bytes < 0:
		return a.wrong("%d bytes are negative", a.Bytes)
	case a.Rate < 0:
		return a.wrong("a rate of %d bytes a second is not above 0", a.Rate)
	}
	if err := b.check(a); err != nil {
		return err
	}
	own := Action{Kind: a.Kind}
	if b.keep(&own, a); own != a {
		return a.wrong("a field is set that only other actions have")
	}
	return nil
}

func (a Action) wrong(format string, args ...any) *RuleError {
	return wrong(fieldAction, "%s: %s", a.Kind, fmt.Sprintf(format, args...))
}

// checkPlace finds actions that cannot be done where the rule wants them.
func checkPlace(r *Rule) *RuleError { return behaviourOf(r.Action.Kind).checkPlace(r) }

func never(format string, args ...any) *RuleError {
	return wrong(fieldAction, "the rule can never act: "+format, args...)
}

func isName(s string) bool { return s != "" && consists(s, "-_.") }

func isHost(s string) bool { return s != "" && consists(s, "-_.:*[]") }

// consists says whether a text is letters and digits of ASCII, and what else is allowed.
func consists(s, allowed string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte(allowed, c) < 0 {
			return false
		}
	}
	return true
}

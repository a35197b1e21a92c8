package faults

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"connectrpc.com/connect"
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

// Validate says what is wrong with the rule by itself, as a [*RuleError], a rule that can never act included.
func (r Rule) Validate() error {
	normal := r.normal()
	for _, check := range []func(*Rule) *RuleError{checkNames, checkWhere, checkPhase, checkWhen, checkAction, checkPlace} {
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
	if r.Procedure != "" {
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
		return wrong(fieldPhase, "the rule can never act: there is no %s on side %s; use %s", r.Phase, r.Side, join(r.Side.phases(), " or "))
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
	if !slices.Contains(kinds, a.Kind) {
		return wrong(fieldAction, "action %q is unknown%s", a.Kind, didYouMean(string(a.Kind), kinds))
	}
	bad := func(format string, args ...any) *RuleError {
		return wrong(fieldAction, "%s: %s", a.Kind, fmt.Sprintf(format, args...))
	}
	switch {
	case a.Kind == Error && (a.Code < connect.CodeCanceled || a.Code > connect.CodeUnauthenticated):
		return bad("code %d is unknown; use one as connect.CodeUnavailable", a.Code)
	case !utf8.ValidString(a.Message):
		return bad("message %q is not UTF-8", a.Message)
	case a.Detail.Type != "" && !protoreflect.FullName(a.Detail.Type).IsValid():
		return bad("detail %q is no name of a message; write detail=acme.v1.Info:base64", a.Detail.Type)
	case a.Detail.Type == "" && a.Detail.Value != "":
		return bad("the detail has a value and no type")
	case a.Wait < 0 || a.Wait > MaxWait:
		return bad("%s is not between 0 and %s", a.Wait, MaxWait)
	case a.Wait == 0 && (a.Kind == Reorder || a.Kind == Pause):
		return bad("does nothing for no time; say for how long, as in %s(100ms)", a.Kind)
	case a.Copies < 0 || a.Copies > MaxCopies:
		return bad("%d copies are not between 1 and %d", a.Copies, MaxCopies)
	case a.Bytes < 0:
		return bad("%d bytes are negative", a.Bytes)
	case a.Rate < 0 || a.Rate == 0 && a.Kind == Throttle:
		return bad("a rate of %d bytes a second is not above 0", a.Rate)
	case a.Kind == Release && !isName(a.Target):
		return bad("%q is no id of a rule; name the rule whose hold ends, as in release(stuck)", a.Target)
	case a.Kind.OnHost() && a.Target != "" && (!isHost(a.Target) || strings.Contains(a.Target, "*")):
		return bad("%q is no name of a host", a.Target)
	case a.Kind == Delay:
		return checkLatency(a.Latency)
	}
	return checkForeign(a)
}

func checkLatency(l Latency) *RuleError {
	switch {
	case !slices.Contains(distributions, l.Distribution):
		return wrong(fieldAction, "delay: distribution %q is unknown%s", l.Distribution, didYouMean(string(l.Distribution), distributions))
	case l.Low < 0 || l.High < 0:
		return wrong(fieldAction, "delay: %s is negative; nothing arrives before it was sent", min(l.Low, l.High))
	case max(l.Low, l.High) > MaxWait:
		return wrong(fieldAction, "delay: %s is longer than %s; drop loses a message for good", max(l.Low, l.High), MaxWait)
	case l.Distribution == UniformLatency && l.High <= l.Low:
		return wrong(fieldAction, "delay: nothing lies between %s and %s; write the lower one first", l.Low, l.High)
	case (l.Distribution == FixedLatency || l.Distribution == ExponentialLatency) && l.High != 0:
		return wrong(fieldAction, "delay: %s takes one duration", l.Distribution)
	case l.Low == 0 && l.High == 0:
		return wrong(fieldAction, "delay: no time at all is no delay; say how long, as in delay(50ms)")
	}
	return nil
}

// checkForeign finds what an action says that its kind has no use for.
func checkForeign(a Action) *RuleError {
	kept := Action{Kind: a.Kind}
	switch a.Kind {
	case Error:
		kept.Code, kept.Message, kept.Detail = a.Code, a.Message, a.Detail
	case Duplicate:
		kept.Copies, kept.Wait = a.Copies, a.Wait
	case Reorder:
		kept.Wait = a.Wait
	case Truncate, Reset:
		kept.Bytes = a.Bytes
	case Throttle:
		kept.Rate = a.Rate
	case Partition:
		kept.OneWay = a.OneWay
	case Release, Crash:
		kept.Target = a.Target
	case Pause, Restart:
		kept.Target, kept.Wait = a.Target, a.Wait
	}
	if kept != a {
		return wrong(fieldAction, "%s: a field is set that only other actions have", a.Kind)
	}
	return nil
}

// checkPlace finds actions that cannot be done where the rule wants them.
func checkPlace(r *Rule) *RuleError {
	never := func(format string, args ...any) *RuleError {
		return wrong(fieldAction, "the rule can never act: "+format, args...)
	}
	kind := r.Action.Kind
	switch {
	case kind.networkOnly() && r.Side != Network:
		return never("%s happens on side network only; use %s or %s", kind, RequestInFlight, ResponseInFlight)
	case (kind == Duplicate || kind == Reorder) && r.Message != 0 && !r.Side.sends(r.Phase):
		return never("a message can be sent twice or later, not received so; use phase=%s or phase=%s", RequestBeforeSend, AfterHandler)
	case kind == Duplicate && r.Message == 0 && r.Phase.response():
		return never("a caller takes one answer; duplicate requests, or messages of a stream")
	case kind == Duplicate && r.Message != 0 && r.Action.Wait != 0:
		return never("the copy of a message directly follows it; drop later=%s", r.Action.Wait)
	case kind == Duplicate && r.Side != Network && r.Action.Wait != 0:
		return never("only the network delivers a request a while later; use side=network or drop later=%s", r.Action.Wait)
	}
	return nil
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

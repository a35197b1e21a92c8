package scenario

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/frayrpc/fray/faults"
)

// callersOf returns the hosts that may send what a fault matches.
func (v *validator) callersOf(f *Fault) []Host {
	var roles []string
	for _, procedure := range matchProcedures(f.Match.Procedure) {
		roles = append(roles, v.callers(procedure)...)
	}
	from := v.side(f.Match.From)
	return slices.DeleteFunc(from, func(h Host) bool { return !slices.Contains(roles, h.Role) })
}

// side returns the hosts of from or to.
func (v *validator) side(names Names) []Host {
	if len(names) == 0 {
		return slices.Clone(v.hosts)
	}
	var found []Host
	for i := range names {
		for _, h := range v.Resolve(names[i], v.Candidates) {
			if !slices.Contains(found, h) {
				found = append(found, h)
			}
		}
	}
	return found
}

// checkMatch reports a match that no message meets.
func (v *validator) checkMatch(f *Fault) {
	m := f.Match
	if m == nil {
		return
	}
	before := len(v.problems)
	for _, names := range []*Names{&m.From, &m.To} {
		for i := range *names {
			v.resolve(&(*names)[i], names)
		}
	}
	matched := matchProcedures(m.Procedure)
	if len(matched) == 0 {
		v.report(nearestProcedure(complain("there is no procedure %q", m.Procedure), m.Procedure), &m.Procedure)
	}
	if len(v.problems) > before {
		return
	}
	never := func(c *complaint, fields ...any) {
		c.message = "fault " + f.ID + " can never act: " + c.message
		v.report(c, append(fields, m, &f.ID)...)
	}
	isController := func(h Host) bool { return h.Role == RoleController }
	from, to := v.side(m.From), v.side(m.To)
	if f.Action.Partition != nil {
		toOthers := slices.ContainsFunc(from, isController) && !onlyController(to)
		fromOthers := slices.ContainsFunc(to, isController) && !onlyController(from)
		if !toOthers && !fromOthers {
			never(complain("no message passes between from and to").suggest("put the controller on one side, and workers or clients on the other"), &m.From, &m.To)
		}
		return
	}
	if !slices.ContainsFunc(matched, func(p string) bool { return len(v.callers(p)) > 0 }) {
		var called []string
		for _, p := range procedures() {
			if len(v.callers(p)) > 0 {
				called = append(called, p[strings.LastIndexByte(p, '/')+1:])
			}
		}
		never(complain("nobody calls %s in this scenario", m.Procedure).suggest("use one of %s", strings.Join(called, ", ")), &m.Procedure)
		return
	}
	switch {
	case len(v.callersOf(f)) == 0 && onlyController(from):
		never(complain("the controller calls nobody").suggest("from is who calls: swap from and to, and choose a phase such as response-in-flight"), &m.From)
	case len(v.callersOf(f)) == 0:
		never(complain("no host of from calls %s", cmp.Or(m.Procedure, "anybody")).suggest("name who calls it, or remove from"), &m.From)
	case !slices.ContainsFunc(to, isController):
		never(complain("only the controller is called").suggest("write to: %s, or remove it", ControllerHost), &m.To)
	}
}

func onlyController(hosts []Host) bool {
	return !slices.ContainsFunc(hosts, func(h Host) bool { return h.Role != RoleController })
}

// checkRule has package faults judge the rule that a fault becomes, and points at what it finds.
func (v *validator) checkRule(f *Fault) {
	rule := f.Rule(nil, nil, f.Action.Victim())
	text := rule.String()
	_, err := faults.ParseRule(text)
	var invalid *faults.RuleError
	if !errors.As(err, &invalid) {
		return
	}
	fields := []any{}
	if clause := text[:max(0, min(invalid.Column-1, len(text)))]; strings.HasSuffix(clause, "=") {
		name := strings.TrimSuffix(clause[strings.LastIndexByte(clause, ' ')+1:], "=")
		fields = append(fields, f.ruleField(name))
	}
	message, suggestion, _ := strings.Cut(invalid.Problem, "; ")
	message = strings.Replace(message, "the rule can never act", "fault "+f.ID+" can never act", 1)
	v.report(&complaint{message: message, suggestion: suggestion}, append(fields, &f.Action, &f.ID)...)
}

// ruleField returns the field that becomes a clause of a rule.
func (f *Fault) ruleField(clause string) any {
	switch clause {
	case "side":
		return &f.Match.Side
	case "phase":
		return &f.Match.Phase
	case "procedure":
		return &f.Match.Procedure
	case "nth":
		return &f.When.Nth
	case "every":
		return &f.When.EveryNth
	case "first":
		return &f.When.First
	case "after":
		return &f.When.Skip
	case "window":
		return &f.When.Window
	case "probability":
		return &f.When.Probability
	}
	return &f.ID
}

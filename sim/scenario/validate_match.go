package scenario

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/frayrpc/fray/faults"
)

// callersOf returns the hosts that may send what a fault matches.
func (v *Validator) callersOf(f *Fault) []Host {
	var roles []string
	for _, procedure := range v.subject.match(f.Match.Procedure) {
		roles = append(roles, v.callers(procedure)...)
	}
	from := v.side(f.Match.From)
	return slices.DeleteFunc(from, func(h Host) bool { return !slices.Contains(roles, h.Role) })
}

// callers returns the roles that call a procedure of hosts of any role.
func (v *Validator) callers(procedure string) []string {
	return slices.DeleteFunc(slices.Clone(v.subject.Roles), func(from string) bool {
		return !slices.ContainsFunc(v.subject.Roles, func(to string) bool { return v.Sections.Calls(from, to, procedure) })
	})
}

// talks says whether hosts of one role call anything at hosts of another.
func (v *Validator) talks(from, to string) bool {
	return slices.ContainsFunc(v.subject.match(""), func(p string) bool { return v.Sections.Calls(from, to, p) })
}

// called says whether anybody calls anything at hosts of a role.
func (v *Validator) called(role string) bool {
	return slices.ContainsFunc(v.subject.Roles, func(from string) bool { return v.talks(from, role) })
}

// passes says whether messages pass between some hosts and others: calls, or their answers.
func (v *Validator) passes(some, others []Host) bool {
	for _, a := range roles(some) {
		for _, b := range roles(others) {
			if v.talks(a, b) || v.talks(b, a) {
				return true
			}
		}
	}
	return false
}

// roles returns the roles of hosts.
func roles(hosts []Host) (all []string) {
	for _, h := range hosts {
		if !slices.Contains(all, h.Role) {
			all = append(all, h.Role)
		}
	}
	return all
}

// side returns the hosts of from or to.
func (v *Validator) side(names Names) []Host {
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
func (v *Validator) checkMatch(f *Fault) {
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
	matched := v.subject.match(m.Procedure)
	if len(matched) == 0 {
		v.Report(v.subject.nearestProcedure(Complain("there is no procedure %q", m.Procedure), m.Procedure), &m.Procedure)
	}
	if len(v.problems) > before {
		return
	}
	never := func(c *Complaint, fields ...any) {
		c.Message = "fault " + f.ID + " can never act: " + c.Message
		v.Report(c, append(fields, m, &f.ID)...)
	}
	isCalled := func(h Host) bool { return v.called(h.Role) }
	from, to := v.side(m.From), v.side(m.To)
	var servers []string
	for _, role := range v.subject.Roles {
		if v.called(role) {
			servers = append(servers, role)
		}
	}
	serving := strings.Join(servers, " or a ")
	if f.Action.Partition != nil {
		if !v.passes(from, to) {
			never(Complain("no message passes between from and to").Suggest("put a %s on one side, and who calls it on the other", serving), &m.From, &m.To)
		}
		return
	}
	if !slices.ContainsFunc(matched, func(p string) bool { return len(v.callers(p)) > 0 }) {
		var called []string
		for _, p := range v.subject.match("") {
			if len(v.callers(p)) > 0 {
				called = append(called, p[strings.LastIndexByte(p, '/')+1:])
			}
		}
		never(Complain("nobody calls %s in this scenario", m.Procedure).Suggest("use one of %s", strings.Join(called, ", ")), &m.Procedure)
		return
	}
	switch {
	case len(v.callersOf(f)) == 0 && !slices.ContainsFunc(from, func(h Host) bool { return !v.called(h.Role) }):
		never(Complain("the %s calls nobody", from[0].Role).Suggest("from is who calls: swap from and to, and choose a phase such as response-in-flight"), &m.From)
	case len(v.callersOf(f)) == 0:
		never(Complain("no host of from calls %s", cmp.Or(m.Procedure, "anybody")).Suggest("name who calls it, or remove from"), &m.From)
	case !slices.ContainsFunc(to, isCalled):
		never(Complain("only a %s is called", serving).Suggest("write to: %s, or remove it", servers[0]), &m.To)
	}
}

// checkRule has package faults judge the rule that a fault becomes, and points at what it finds.
func (v *Validator) checkRule(f *Fault) {
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
	v.Report(&Complaint{Message: message, Suggestion: suggestion}, append(fields, &f.Action, &f.ID)...)
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

package scenario

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/frayrpc/fray/faults"
)

func (v *Validator) checkTargets() {
	used := map[string]bool{}
	for i := range v.Faults {
		f := &v.Faults[i]
		used[f.Action.Victim()] = true
		if f.Match != nil {
			for _, name := range slices.Concat(f.Match.From, f.Match.To) {
				used[name] = true
			}
		}
	}
	for i := range v.Targets {
		t := &v.Targets[i]
		v.take(&t.Name, "a target")
		if slices.ContainsFunc(v.hosts, func(h Host) bool { return h.Name == t.Name }) {
			v.Report(Complain("the name %s is that of a host", t.Name).Suggest("choose another"), &t.Name)
		}
		if word := first(v.subject.States, func(w *Word) bool { return w.Name == t.When }); word != nil && word.Role != "" && word.Role != t.Role {
			v.Report(Complain("only a %s can be chosen for what it does, not a %s", word.Role, t.Role).Suggest("remove when, or write role: %s", word.Role), &t.When, &t.Role)
		}
		candidates := v.Candidates(t)
		switch {
		case t.Group != "" && !v.isGroup(t.Group, t.Role):
			v.Report(Complain("there is no group of %ss named %q", t.Role, t.Group).SuggestName(t.Group, v.groups(t.Role)), &t.Group)
		case t.Pick.N > len(candidates):
			v.Report(Complain("%d hosts cannot be picked from %d", t.Pick.N, len(candidates)).Suggest("write all, or %d at most", len(candidates)), &t.Pick)
		case t.InTurn && !t.Again:
			v.Report(Complain("the target %s is chosen once, and then it is nobody's turn", t.Name).Suggest("add again: true"), &t.InTurn, &t.Name)
		case t.InTurn && t.Pick.All:
			v.Report(Complain("all hosts at once take no turns").Suggest("write pick: one, or remove inTurn"), &t.Pick, &t.InTurn)
		case !used[t.Name]:
			v.Report(Complain("no fault names the target %s", t.Name).Suggest("name it in a fault, or remove it"), &t.Name)
		}
	}
}

func (v *Validator) groups(role string) []string {
	var names []string
	for _, h := range v.hosts {
		if h.Role == role && !slices.Contains(names, h.Group) {
			names = append(names, h.Group)
		}
	}
	return names
}

func (v *Validator) isGroup(name, role string) bool { return slices.Contains(v.groups(role), name) }

// resolve returns the hosts that a name may stand for, and reports one that stands for none.
func (v *Validator) resolve(name *string, fields ...any) []Host {
	found := v.Resolve(*name, v.Candidates)
	if len(found) > 0 {
		return found
	}
	if v.Target(*name) != nil {
		return nil // Reported with the target.
	}
	known := namesOf(v.Targets, func(t *Target) string { return t.Name })
	for _, g := range v.Sections.Groups() {
		known = append(known, *g.Name)
	}
	c := Complain("there is no host, group or target %q", *name)
	if strings.Contains(*name, "*") {
		c = Complain("no host has a name like %q", *name)
	}
	// Hosts are suggested by name only if one is near: there may be many.
	if near := nearest(*name, append(slices.Clone(known), HostNames(v.hosts)...)); near != "" {
		c = c.Suggest("did you mean %s?", near)
	} else {
		c = c.SuggestName(*name, known)
	}
	v.Report(c, append([]any{name}, fields...)...)
	return nil
}

func (v *Validator) checkFaults() {
	ids := map[string]bool{}
	rules := 0
	for i := range v.Faults {
		f := &v.Faults[i]
		if ids[f.ID] {
			v.Report(Complain("there are two faults with the id %s", f.ID).Suggest("rename one"), &f.ID)
		}
		ids[f.ID] = true
		before := len(v.problems)
		v.checkAction(f)
		v.checkWhen(f)
		v.Sections.CheckFault(v, f)
		if len(v.problems) > before {
			continue
		}
		v.checkMatch(f)
		v.checkVictim(f)
		v.checkTargetsOf(f)
		if len(v.problems) > before || f.OnHosts() {
			continue
		}
		v.checkRule(f)
		rules++
		if t := v.TargetOf(f); t != nil {
			rules += len(v.Candidates(t)) - 1
		}
		if rules > faults.MaxRules {
			v.Report(Complain("up to fault %s, there are more than %d rules: one for each fault and, with a target, for each host that it may be", f.ID, faults.MaxRules).
				Suggest("name fewer hosts"), &f.ID)
			return
		}
	}
}

// checkTargetsOf checks that a fault on messages has one victim at most: each is chosen on its own.
func (v *Validator) checkTargetsOf(f *Fault) {
	if f.Match == nil {
		return
	}
	first := v.TargetOf(f)
	for _, names := range []*Names{&f.Match.From, &f.Match.To} {
		for i := range *names {
			if t := v.Target((*names)[i]); t != nil && t != first {
				v.Report(Complain("fault %s names two targets, %s and %s", f.ID, first.Name, t.Name).Suggest("name one, and hosts or groups beside it"), &(*names)[i], names)
			}
		}
	}
}

// checkAction checks that there is one action, and what its kind needs.
func (v *Validator) checkAction(f *Fault) {
	key, action := f.Action.set()
	if action == nil {
		v.Report(Complain("fault %s has no action", f.ID).Suggest("write what it does, such as drop: {}"), &f.Action)
		return
	}
	actions := reflect.ValueOf(&f.Action).Elem()
	for _, field := range fieldsOf(actions.Type()) {
		if other := actions.Field(field.index); field.key != key && !other.IsNil() {
			v.ReportKey(Complain("fault %s has two actions, %s and %s", f.ID, key, field.key).Suggest("make two faults of it"), other.Addr().Interface())
		}
	}
	if needing, ok := action.(interface{ check(v *Validator, f *Fault) }); ok {
		needing.check(v, f)
	}
}

func (v *Validator) checkWhen(f *Fault) {
	w := &f.When
	end := v.Run.MaxVirtualTime
	if f.OnHosts() {
		for _, n := range []struct {
			field *int
			key   string
		}{{&w.Skip, "skip"}, {&w.Nth, "nth"}, {&w.EveryNth, "everyNth"}, {&w.First, "first"}} {
			if v.Has(n.field) {
				v.ReportKey(Complain("%s counts messages, and fault %s matches none", n.key, f.ID).Suggest("add match, or use on to wait for an event"), n.field)
			}
		}
		if w.Window != nil && w.Every == 0 {
			v.ReportKey(Complain("a window is for faults that strike again, or act upon messages").Suggest("use at, or add every"), &w.Window)
		}
		if w.Every > 0 && (w.Window == nil || w.Window.Until == 0) && v.Heal == nil {
			v.Report(Complain("fault %s strikes for ever", f.ID).Suggest("add window: {until: ...}, or heal"), &w.Every)
		}
	} else {
		if v.Has(&w.At) {
			v.ReportKey(Complain("at is for actions on hosts").Suggest("use window: {from: %v}", w.At), &w.At)
		}
		if v.Has(&w.Every) {
			v.ReportKey(Complain("every is a time, for actions on hosts").Suggest("use everyNth to act on each n-th message"), &w.Every)
		}
	}
	if w.Window != nil && v.Has(&w.Window.Until) && w.Window.Until <= w.Window.From {
		v.Report(Complain("fault %s can never act: its window from %v until %v is empty", f.ID, w.Window.From, w.Window.Until).
			Suggest("end it after it starts"), &w.Window.Until)
	}
	if w.Probability == 0 {
		v.Report(Complain("fault %s can never act: its probability is 0", f.ID).Suggest("remove the fault, or raise it"), &w.Probability)
	}
	if start := Duration(f.Start()); start >= end && start > 0 {
		v.Report(Complain("fault %s can never act: it starts at %v, and the run is over at %v", f.ID, start, end).
			Suggest("start it earlier, or raise run.maxVirtualTime"), f.startFields()...)
	}
}

// checkVictim checks whom an action on hosts strikes.
func (v *Validator) checkVictim(f *Fault) {
	action, ok := f.Action.onHost()
	if !ok {
		return
	}
	victim := action.victim()
	before := len(v.problems)
	if v.checkDisk(f, victim); len(v.problems) > before {
		return
	}
	if f.Action.AtTime() && f.Match != nil {
		what := "is done to a host's clocks"
		switch {
		case f.Action.byOperator():
			what = "is what an operator does"
		case f.Action.OnStandby():
			what = "has a standby take over"
		}
		v.Report(Complain("fault %s %s, and waits for a message", f.ID, what).Suggest("use when: {on: ...} or at in place of match"), &f.Match)
		return
	}
	if *victim == "" {
		if f.Match == nil {
			v.Report(Complain("fault %s does not say whom it strikes", f.ID).Suggest("add target"), &f.Action)
		} else if f.Action.EndsHost() && f.AtCaller() {
			v.refuseClients(f, v.callersOf(f), &f.Match.From, &f.Match.Phase, &f.ID)
		}
		return
	}
	found := v.resolve(victim)
	if f.Match != nil && len(found) > 1 {
		if t := v.Target(*victim); t == nil || t.Pick.N != 1 {
			v.Report(Complain("a fault that waits for a message strikes one host, and %s may be %d", *victim, len(found)).Suggest("name one host, or leave target out"), victim)
		}
	}
	if f.Action.EndsHost() {
		v.refuseClients(f, found, victim)
	}
}

// checkDisk reports faults of a disk that is not there.
func (v *Validator) checkDisk(f *Fault, victim *string) {
	if f.Action.Leaves() == DiskKept && !f.Action.OnDisk() {
		return
	}
	if f.Match != nil {
		v.Report(Complain("fault %s strikes a disk, and waits for a message", f.ID).Suggest("use when: {on: ...} or at in place of match"), &f.Match)
		return
	}
	found := v.Resolve(*victim, v.Candidates)
	if i := slices.IndexFunc(found, func(h Host) bool { return !h.Disk }); i >= 0 {
		able := slices.DeleteFunc(slices.Clone(v.hosts), func(h Host) bool { return !h.Disk })
		c := Complain("fault %s strikes the disk of %s, which has none", f.ID, found[i].Name)
		switch usual := v.subject.WithDisk; {
		case len(able) > 0:
			c = c.Suggest("strike a host that has one, such as %s", able[0].Name)
		case usual != "" && found[i].Name != usual:
			c = c.Suggest("write target: %s", usual)
		default:
			c = c.Suggest("%s", cmp.Or(v.subject.DiskAdvice, "remove the fault: no host has one"))
		}
		v.Report(c, victim, &f.Action)
	}
}

// AtCaller says whether what a rule matches is at its caller when it acts.
func (f *Fault) AtCaller() bool {
	r := f.Rule(nil, nil, "")
	return r.Side == faults.Client || r.Phase == faults.RequestBeforeSend
}

// refuseClients reports crashes of clients: nobody would go on with their work.
func (v *Validator) refuseClients(f *Fault, hosts []Host, fields ...any) {
	if i := slices.IndexFunc(hosts, func(h Host) bool { return h.Role == RoleClient }); i >= 0 {
		v.Report(Complain("fault %s ends the client %s, and nobody would wait for its tasks any longer", f.ID, hosts[i].Name).
			Suggest("strike workers or the controller, or pause it"), fields...)
	}
}

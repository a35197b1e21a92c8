package scenario

import (
	"reflect"
	"slices"
	"strings"

	"github.com/frayrpc/fray/faults"
)

func (v *validator) checkTargets() {
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
			v.report(complain("the name %s is that of a host", t.Name).suggest("choose another"), &t.Name)
		}
		if t.Role != RoleWorker && t.When != WhenAny {
			v.report(complain("only a worker can be chosen for what it does, not a %s", t.Role).suggest("remove when, or write role: worker"), &t.When, &t.Role)
		}
		candidates := v.Candidates(t)
		switch {
		case t.Group != "" && !v.isGroup(t.Group, t.Role):
			v.report(complain("there is no group of %ss named %q", t.Role, t.Group).suggestName(t.Group, v.groups(t.Role)), &t.Group)
		case t.Pick.N > len(candidates):
			v.report(complain("%d hosts cannot be picked from %d", t.Pick.N, len(candidates)).suggest("write all, or %d at most", len(candidates)), &t.Pick)
		case !used[t.Name]:
			v.report(complain("no fault names the target %s", t.Name).suggest("name it in a fault, or remove it"), &t.Name)
		}
	}
}

func (v *validator) groups(role string) []string {
	var names []string
	for _, h := range v.hosts {
		if h.Role == role && !slices.Contains(names, h.Group) {
			names = append(names, h.Group)
		}
	}
	return names
}

func (v *validator) isGroup(name, role string) bool { return slices.Contains(v.groups(role), name) }

// resolve returns the hosts that a name may stand for, and reports one that stands for none.
func (v *validator) resolve(name *string, fields ...any) []Host {
	found := v.Resolve(*name, v.Candidates)
	if len(found) > 0 {
		return found
	}
	if v.Target(*name) != nil {
		return nil // Reported with the target.
	}
	known := append(namesOf(v.Targets, func(t *Target) string { return t.Name }), ControllerHost)
	known = append(append(known, v.groups(RoleWorker)...), v.groups(RoleClient)...)
	c := complain("there is no host, group or target %q", *name)
	if strings.Contains(*name, "*") {
		c = complain("no host has a name like %q", *name)
	}
	// Hosts are suggested by name only if one is near: there may be many.
	if near := nearest(*name, append(slices.Clone(known), HostNames(v.hosts)...)); near != "" {
		c = c.suggest("did you mean %s?", near)
	} else {
		c = c.suggestName(*name, known)
	}
	v.report(c, append([]any{name}, fields...)...)
	return nil
}

func (v *validator) checkFaults() {
	ids := map[string]bool{}
	rules := 0
	for i := range v.Faults {
		f := &v.Faults[i]
		if ids[f.ID] {
			v.report(complain("there are two faults with the id %s", f.ID).suggest("rename one"), &f.ID)
		}
		ids[f.ID] = true
		before := len(v.problems)
		v.checkAction(f)
		v.checkWhen(f)
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
			v.report(complain("up to fault %s, there are more than %d rules: one for each fault and, with a target, for each host that it may be", f.ID, faults.MaxRules).
				suggest("name fewer hosts"), &f.ID)
			return
		}
	}
}

// checkTargetsOf checks that a fault on messages has one victim at most: each is chosen on its own.
func (v *validator) checkTargetsOf(f *Fault) {
	if f.Match == nil {
		return
	}
	first := v.TargetOf(f)
	for _, names := range []*Names{&f.Match.From, &f.Match.To} {
		for i := range *names {
			if t := v.Target((*names)[i]); t != nil && t != first {
				v.report(complain("fault %s names two targets, %s and %s", f.ID, first.Name, t.Name).suggest("name one, and hosts or groups beside it"), &(*names)[i], names)
			}
		}
	}
}

// checkAction checks that there is one action, and what its kind needs.
func (v *validator) checkAction(f *Fault) {
	key, action := f.Action.set()
	if action == nil {
		v.report(complain("fault %s has no action", f.ID).suggest("write what it does, such as drop: {}"), &f.Action)
		return
	}
	actions := reflect.ValueOf(&f.Action).Elem()
	for _, field := range fieldsOf(actions.Type()) {
		if other := actions.Field(field.index); field.key != key && !other.IsNil() {
			v.reportKey(complain("fault %s has two actions, %s and %s", f.ID, key, field.key).suggest("make two faults of it"), other.Addr().Interface())
		}
	}
	if needing, ok := action.(interface{ check(v *validator, f *Fault) }); ok {
		needing.check(v, f)
	}
}

func (v *validator) checkWhen(f *Fault) {
	w := &f.When
	end := v.Run.MaxVirtualTime
	if f.OnHosts() {
		for _, n := range []struct {
			field *int
			key   string
		}{{&w.Skip, "skip"}, {&w.Nth, "nth"}, {&w.EveryNth, "everyNth"}, {&w.First, "first"}} {
			if v.has(n.field) {
				v.reportKey(complain("%s counts messages, and fault %s matches none", n.key, f.ID).suggest("add match, or use on to wait for an event"), n.field)
			}
		}
		if w.Window != nil && w.Every == 0 {
			v.reportKey(complain("a window is for faults that strike again, or act upon messages").suggest("use at, or add every"), &w.Window)
		}
		if w.Every > 0 && (w.Window == nil || w.Window.Until == 0) && v.Heal == nil {
			v.report(complain("fault %s strikes for ever", f.ID).suggest("add window: {until: ...}, or heal"), &w.Every)
		}
	} else {
		if v.has(&w.At) {
			v.reportKey(complain("at is for actions on hosts").suggest("use window: {from: %v}", w.At), &w.At)
		}
		if v.has(&w.Every) {
			v.reportKey(complain("every is a time, for actions on hosts").suggest("use everyNth to act on each n-th message"), &w.Every)
		}
	}
	if w.Window != nil && v.has(&w.Window.Until) && w.Window.Until <= w.Window.From {
		v.report(complain("fault %s can never act: its window from %v until %v is empty", f.ID, w.Window.From, w.Window.Until).
			suggest("end it after it starts"), &w.Window.Until)
	}
	if w.Probability == 0 {
		v.report(complain("fault %s can never act: its probability is 0", f.ID).suggest("remove the fault, or raise it"), &w.Probability)
	}
	if start := Duration(f.Start()); start >= end && start > 0 {
		v.report(complain("fault %s can never act: it starts at %v, and the run is over at %v", f.ID, start, end).
			suggest("start it earlier, or raise run.maxVirtualTime"), f.startFields()...)
	}
	if w.On != nil {
		v.checkEvent(f)
	}
}

// checkEvent reports events that do not happen so often.
func (v *validator) checkEvent(f *Fault) {
	if f.When.On.OnDisk() && v.Topology.Controller.Store != StorePebble {
		v.report(complain("fault %s can never act: a controller that keeps everything in memory commits nothing to a disk", f.ID).
			suggest("add topology: {controller: {store: pebble}}"), &f.When.On.Event)
	}
	if f.When.On.Event != EventTaskSubmitted && f.When.On.Event != EventTaskFinished {
		return
	}
	tasks := 0
	for _, g := range v.Workload.Clients {
		tasks += min(g.Count*g.Tasks, MaxTasks)
	}
	if f.When.On.Nth > tasks {
		v.report(complain("fault %s can never act: there are only %d tasks", f.ID, tasks).suggest("wait for one from 1 to %d", tasks), &f.When.On.Nth)
	}
}

// checkVictim checks whom an action on hosts strikes.
func (v *validator) checkVictim(f *Fault) {
	action, ok := f.Action.onHost()
	if !ok {
		return
	}
	victim := action.victim()
	if v.checkDisk(f, victim); f.Action.OnDisk() {
		return
	}
	if f.Action.OnClock() && f.Match != nil {
		v.report(complain("fault %s is done to a host's clocks, and waits for a message", f.ID).suggest("use when: {on: ...} or at in place of match"), &f.Match)
		return
	}
	if *victim == "" {
		if f.Match == nil {
			v.report(complain("fault %s does not say whom it strikes", f.ID).suggest("add target"), &f.Action)
		} else if f.Action.EndsHost() && f.AtCaller() {
			v.refuseClients(f, v.callersOf(f), &f.Match.From, &f.Match.Phase, &f.ID)
		}
		return
	}
	found := v.resolve(victim)
	if f.Match != nil && len(found) > 1 {
		if t := v.Target(*victim); t == nil || t.Pick.N != 1 {
			v.report(complain("a fault that waits for a message strikes one host, and %s may be %d", *victim, len(found)).suggest("name one host, or leave target out"), victim)
		}
	}
	if f.Action.EndsHost() {
		v.refuseClients(f, found, victim)
	}
}

// checkDisk reports faults of a disk that is not there.
func (v *validator) checkDisk(f *Fault, victim *string) {
	if f.Action.Leaves() == DiskKept && !f.Action.OnDisk() {
		return
	}
	fields := []any{victim, &f.Action}
	switch {
	case f.Match != nil:
		v.report(complain("fault %s strikes a disk, and waits for a message", f.ID).suggest("use when: {on: ...} or at in place of match"), &f.Match)
	case *victim != ControllerHost:
		v.report(complain("fault %s strikes the disk of %s, and only the controller has one", f.ID, *victim).suggest("write target: controller"), fields...)
	case v.Topology.Controller.Store != StorePebble:
		v.report(complain("fault %s strikes the controller's disk, and it keeps everything in memory", f.ID).suggest("add topology: {controller: {store: pebble}}"), fields...)
	}
}

// AtCaller says whether what a rule matches is at its caller when it acts.
func (f *Fault) AtCaller() bool {
	r := f.Rule(nil, nil, "")
	return r.Side == faults.Client || r.Phase == faults.RequestBeforeSend
}

// refuseClients reports crashes of clients: nobody would go on with their work.
func (v *validator) refuseClients(f *Fault, hosts []Host, fields ...any) {
	if i := slices.IndexFunc(hosts, func(h Host) bool { return h.Role == RoleClient }); i >= 0 {
		v.report(complain("fault %s ends the client %s, and nobody would wait for its tasks any longer", f.ID, hosts[i].Name).
			suggest("strike workers or the controller, or pause it"), fields...)
	}
}

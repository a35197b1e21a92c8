package scenario

import (
	"fmt"
	"slices"
	"time"
)

// A Validator finds what is well-formed and makes no sense: names that stand for nothing, times in
// the wrong order, faults that can never act.
type Validator struct {
	*Scenario
	*source

	hosts []Host
	// What names are taken, and by what.
	taken map[string]string
}

func (v *Validator) validate() {
	v.taken = map[string]string{}
	v.checkHosts()
	if len(v.problems) > 0 {
		return // What refers to hosts would only be wrong for the same reason.
	}
	v.hosts = v.Hosts()
	v.checkRun()
	v.checkNetwork()
	v.Sections.Check(v)
	v.checkTargets()
	v.checkFaults()
	v.checkHeal()
	v.checkExpect()
}

// checkAlone checks what can be judged where other things are wrong.
func (v *Validator) checkAlone() {
	for i := range v.Faults {
		if m := v.Faults[i].Match; m != nil && len(v.subject.match(m.Procedure)) == 0 {
			v.Report(v.subject.nearestProcedure(Complain("there is no procedure %q", m.Procedure), m.Procedure), &m.Procedure)
		}
	}
	for _, text := range v.expressions() {
		if *text != "" {
			v.compile(text)
		}
	}
}

// expressions returns the fields that are expressions.
func (v *Validator) expressions() []*string {
	var fields []*string
	for i := range v.Expect.Eventually {
		fields = append(fields, &v.Expect.Eventually[i].That)
	}
	for _, list := range [][]Expression{v.Expect.Sometimes, v.Expect.Finally} {
		for i := range list {
			fields = append(fields, &list[i].That)
		}
	}
	return fields
}

// checkHosts checks that there are not too many, and that their names differ.
func (v *Validator) checkHosts() {
	count := 0
	for _, g := range v.Sections.Groups() {
		if !slices.Contains(v.subject.Roles, g.Role) {
			panic(fmt.Sprintf("scenario: the subject %s has the group %s of role %q, and no such role", v.subject.Name, *g.Name, g.Role))
		}
		count += max(g.Count, 1)
		if g.Count > 0 {
			v.take(g.Name, "a group of hosts")
		} else {
			v.take(g.Name, "the "+*g.Name)
		}
	}
	if count > MaxHosts {
		v.Report(Complain("there are %d hosts, more than %d", count, MaxHosts).Suggest("lower a count"), &v.Topology)
		return
	}
	seen := map[string]string{}
	for _, h := range v.Hosts() {
		if other, ok := seen[h.Name]; ok && other != h.Group {
			v.Report(Complain("groups %s and %s both have a host %s", other, h.Group, h.Name).Suggest("rename one"), v.groupName(h.Group))
		}
		seen[h.Name] = h.Group
	}
	for _, h := range v.Hosts() {
		if h.Group != h.Name && v.taken[h.Name] != "" {
			v.Report(Complain("host %s of group %s has the name of %s", h.Name, h.Group, v.taken[h.Name]).Suggest("rename one"), v.groupName(h.Group))
		}
	}
}

// groupName returns the field that names a group.
func (v *Validator) groupName(group string) any {
	for _, g := range v.Sections.Groups() {
		if *g.Name == group {
			return g.Name
		}
	}
	return nil
}

// take reports that the name in a field is taken already.
func (v *Validator) take(name *string, what string) {
	if other := v.taken[*name]; other != "" {
		v.Report(Complain("the name %s is that of %s", *name, other).Suggest("choose another"), name)
		return
	}
	v.taken[*name] = what
}

func (v *Validator) checkRun() {
	v.NeedsTime(&v.Run.MaxVirtualTime, "a run of no time does nothing", "10m")
	if v.Run.MaxVirtualTime > MaxVirtualTime {
		v.Report(Complain("maxVirtualTime %v is more than %v", v.Run.MaxVirtualTime, MaxVirtualTime).Suggest("write %v or less", MaxVirtualTime), &v.Run.MaxVirtualTime)
	}
	if len(v.Run.Backends) == 0 {
		v.Report(Complain("there is no backend to run on").Suggest("write [%s]", BackendSim), &v.Run.Backends)
	}
	for i := range v.Run.Backends {
		if slices.Contains(v.Run.Backends[:i], v.Run.Backends[i]) {
			v.Report(Complain("backend %s is there twice", v.Run.Backends[i]).Suggest("keep one"), &v.Run.Backends[i])
		}
	}
}

func (v *Validator) checkNetwork() {
	l := &v.Topology.Network.Latency
	if l.Mean < l.Min || l.Max < l.Mean {
		v.Report(Complain("latency needs min <= mean <= max, and has %v, %v, %v", l.Min, l.Mean, l.Max).Suggest("give all three"), &l.Mean, &l.Min, &l.Max)
	}
	if v.Topology.Network.Loss == 1 {
		v.Report(Complain("a network that loses everything carries nothing").Suggest("write a loss below 1, or a fault with a window"), &v.Topology.Network.Loss)
	}
}

// NeedsTime reports a duration of 0, with a time that would do.
func (v *Validator) NeedsTime(d *Duration, problem, example string) {
	if *d == 0 {
		v.Report(Complain("%s", problem).Suggest("write a time such as %s", example), d)
	}
}

func (v *Validator) checkHeal() {
	if v.Heal == nil {
		return
	}
	heal := &v.Heal.At
	switch {
	case *heal == 0:
		v.Report(Complain("everything is put right at the start, before any fault").Suggest("write a time behind the faults"), heal)
	case *heal >= v.Run.MaxVirtualTime:
		v.Report(Complain("heal at %v is not before the run's end at %v", *heal, v.Run.MaxVirtualTime).Suggest("heal earlier, or raise run.maxVirtualTime"), heal)
	}
	for i := range v.Faults {
		f := &v.Faults[i]
		if start := Duration(f.Start()); f.When.On == nil && *heal > 0 && start >= *heal {
			v.Report(Complain("fault %s can never act: it starts at %v, and heal at %v ends all faults", f.ID, start, *heal).
				Suggest("heal after %v, or let the fault start before %v", start, *heal), f.startFields()...)
		}
	}
}

// startFields returns the fields that say when a fault starts, and as the last resort what names
// it.
func (f *Fault) startFields() []any {
	fields := []any{}
	if f.When.Window != nil {
		fields = append(fields, &f.When.Window.From)
	}
	return append(fields, &f.When.At, &f.ID)
}

func (v *Validator) checkExpect() {
	e := &v.Expect
	ids := v.faultIDs()
	for i, id := range e.FaultsFired {
		if alone := len(e.FaultsFired) == 1; alone && (id == "all" || id == "none") || slices.Contains(ids, id) {
			continue
		}
		v.Report(Complain("there is no fault %q", id).SuggestName(id, append(slices.Clone(ids), "all", "none")), &e.FaultsFired[i], &e.FaultsFired)
	}
	for _, list := range [][]string{e.Always.Invariants, e.Always.Except} {
		for i := range list {
			v.checkInvariant(&list[i])
		}
	}
	for i, name := range e.Always.Except {
		if len(e.Always.Invariants) > 0 && !slices.Contains(e.Always.Invariants, name) {
			v.Report(Complain("invariant %s is not among those of always.invariants", name).Suggest("remove it"), &e.Always.Except[i])
		}
	}
	if e.Outcome.Invariant != "" {
		if e.Outcome.Verdict != VerdictInvariant {
			v.Report(Complain("an invariant cannot break in a run that ends with %s", e.Outcome.Verdict).Suggest("write verdict: %s", VerdictInvariant), &e.Outcome.Invariant)
		}
		v.checkInvariant(&e.Outcome.Invariant)
	}
	for i := range e.Eventually {
		if by := v.HealAt() + time.Duration(e.Eventually[i].Within); by > time.Duration(v.Run.MaxVirtualTime) {
			v.Report(Complain("%v after heal at %v is when the run is over", e.Eventually[i].Within, v.HealAt()).
				Suggest("expect it earlier, or raise run.maxVirtualTime above %v", Duration(by)), &e.Eventually[i].Within, &e.Eventually[i].That)
		}
	}
	for _, text := range v.expressions() {
		if checked := v.compile(text); checked != nil {
			v.checkKeys(text, checked.NativeRep())
		}
	}
}

func (v *Validator) checkInvariant(name *string) {
	if known := v.subject.invariantNames(); !slices.Contains(known, *name) {
		v.Report(Complain("there is no invariant %q", *name).SuggestName(*name, known), name)
	}
}

func (v *Validator) faultIDs() []string {
	return namesOf(v.Faults, func(f *Fault) string { return f.ID })
}

package scenario

import (
	"slices"
	"time"
)

// A validator finds what is well-formed and makes no sense: names that stand for nothing, times in
// the wrong order, faults that can never act.
type validator struct {
	*Scenario
	*source

	hosts []Host
	// What names are taken, and by what.
	taken map[string]string
}

func (v *validator) validate() {
	v.taken = map[string]string{ControllerHost: "the controller"}
	v.checkHosts()
	if len(v.problems) > 0 {
		return // What refers to hosts would only be wrong for the same reason.
	}
	v.hosts = v.Hosts()
	v.checkRun()
	v.checkTopology()
	v.checkWorkload()
	v.checkTargets()
	v.checkFaults()
	v.checkHeal()
	v.checkExpect()
}

// checkAlone checks what can be judged where other things are wrong.
func (v *validator) checkAlone() {
	for i := range v.Faults {
		if m := v.Faults[i].Match; m != nil && len(matchProcedures(m.Procedure)) == 0 {
			v.report(nearestProcedure(complain("there is no procedure %q", m.Procedure), m.Procedure), &m.Procedure)
		}
	}
	for _, text := range v.expressions() {
		if *text != "" {
			v.compile(text)
		}
	}
}

// expressions returns the fields that are expressions.
func (v *validator) expressions() []*string {
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
func (v *validator) checkHosts() {
	count := 1
	group := func(name *string, hosts int) {
		count += hosts
		v.take(name, "a group of hosts")
	}
	for i := range v.Topology.Workers {
		group(&v.Topology.Workers[i].Name, v.Topology.Workers[i].Count)
	}
	for i := range v.Workload.Clients {
		group(&v.Workload.Clients[i].Name, v.Workload.Clients[i].Count)
	}
	if count > MaxHosts {
		v.report(complain("there are %d hosts, more than %d", count, MaxHosts).suggest("lower a count"), &v.Topology.Workers)
		return
	}
	seen := map[string]string{}
	for _, h := range v.Hosts() {
		if other, ok := seen[h.Name]; ok && other != h.Group {
			v.report(complain("groups %s and %s both have a host %s", other, h.Group, h.Name).suggest("rename one"), v.groupName(h.Group))
		}
		seen[h.Name] = h.Group
	}
	for _, h := range v.Hosts() {
		if h.Group != h.Name && v.taken[h.Name] != "" {
			v.report(complain("host %s of group %s has the name of %s", h.Name, h.Group, v.taken[h.Name]).suggest("rename one"), v.groupName(h.Group))
		}
	}
}

// groupName returns the field that names a group.
func (v *validator) groupName(group string) any {
	if w := v.WorkerGroup(group); w != nil {
		return &w.Name
	}
	if c := first(v.Workload.Clients, func(c *ClientGroup) bool { return c.Name == group }); c != nil {
		return &c.Name
	}
	return nil
}

// take reports that the name in a field is taken already.
func (v *validator) take(name *string, what string) {
	if other := v.taken[*name]; other != "" {
		v.report(complain("the name %s is that of %s", *name, other).suggest("choose another"), name)
		return
	}
	v.taken[*name] = what
}

func (v *validator) checkRun() {
	v.needsTime(&v.Run.MaxVirtualTime, "a run of no time does nothing", "10m")
	if len(v.Run.Backends) == 0 {
		v.report(complain("there is no backend to run on").suggest("write [%s]", BackendSim), &v.Run.Backends)
	}
	for i := range v.Run.Backends {
		if slices.Contains(v.Run.Backends[:i], v.Run.Backends[i]) {
			v.report(complain("backend %s is there twice", v.Run.Backends[i]).suggest("keep one"), &v.Run.Backends[i])
		}
	}
}

func (v *validator) checkTopology() {
	c := &v.Topology.Controller
	v.needsTime(&c.SessionTTL, "sessionTTL must be above 0", "15s")
	if c.SessionTTL != 0 && c.SessionTTL < Duration(30*time.Millisecond) {
		v.report(complain("sessionTTL %v leaves less than 10ms between heartbeats", c.SessionTTL).suggest("write 30ms or more"), &c.SessionTTL)
	}
	v.needsTime(&c.CancelGrace, "cancelGrace must be above 0", "10s")
	v.needsTime(&c.Retention, "retention must be above 0", "1h")
	v.needsTime(&c.WatchGrace, "watchGrace must be above 0", "30s")
	if c.MaxQueuedBytes == 0 {
		v.report(complain("maxQueuedBytes 0B refuses every task").suggest("write a size such as 64MiB"), &c.MaxQueuedBytes)
	}
	if c.MaxRetainedBytes == 0 {
		v.report(complain("maxRetainedBytes 0B keeps no result").suggest("write a size such as 64MiB"), &c.MaxRetainedBytes)
	}
	for i := range v.Topology.Workers {
		w := &v.Topology.Workers[i]
		v.needsTime(&w.StopGrace, "stopGrace must be above 0", "5s")
		v.needsTime(&w.DrainGrace, "drainGrace must be above 0", "30s")
		if w.StartAfter >= v.Run.MaxVirtualTime && w.StartAfter > 0 {
			v.report(complain("the workers start at %v, when the run is over", w.StartAfter).suggest("start them before %v, or raise run.maxVirtualTime", v.Run.MaxVirtualTime), &w.StartAfter)
		}
	}
	l := &v.Topology.Network.Latency
	if l.Mean < l.Min || l.Max < l.Mean {
		v.report(complain("latency needs min <= mean <= max, and has %v, %v, %v", l.Min, l.Mean, l.Max).suggest("give all three"), &l.Mean, &l.Min, &l.Max)
	}
	if v.Topology.Network.Loss == 1 {
		v.report(complain("a network that loses everything carries nothing").suggest("write a loss below 1, or a fault with a window"), &v.Topology.Network.Loss)
	}
}

// needsTime reports a duration of 0.
func (v *validator) needsTime(d *Duration, problem, example string) {
	if *d == 0 {
		v.report(complain("%s", problem).suggest("write a time such as %s", example), d)
	}
}

func (v *validator) checkHeal() {
	if v.Heal == nil {
		return
	}
	heal := &v.Heal.At
	switch {
	case *heal == 0:
		v.report(complain("everything is put right at the start, before any fault").suggest("write a time behind the faults"), heal)
	case *heal >= v.Run.MaxVirtualTime:
		v.report(complain("heal at %v is not before the run's end at %v", *heal, v.Run.MaxVirtualTime).suggest("heal earlier, or raise run.maxVirtualTime"), heal)
	}
	for i := range v.Faults {
		f := &v.Faults[i]
		if start := Duration(f.Start()); f.When.On == nil && *heal > 0 && start >= *heal {
			v.report(complain("fault %s can never act: it starts at %v, and heal at %v ends all faults", f.ID, start, *heal).
				suggest("heal after %v, or let the fault start before %v", start, *heal), f.startFields()...)
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

func (v *validator) checkExpect() {
	e := &v.Expect
	ids := v.faultIDs()
	for i, id := range e.FaultsFired {
		if alone := len(e.FaultsFired) == 1; alone && (id == "all" || id == "none") || slices.Contains(ids, id) {
			continue
		}
		v.report(complain("there is no fault %q", id).suggestName(id, append(slices.Clone(ids), "all", "none")), &e.FaultsFired[i], &e.FaultsFired)
	}
	for _, list := range [][]string{e.Always.Invariants, e.Always.Except} {
		for i := range list {
			v.checkInvariant(&list[i])
		}
	}
	for i, name := range e.Always.Except {
		if len(e.Always.Invariants) > 0 && !slices.Contains(e.Always.Invariants, name) {
			v.report(complain("invariant %s is not among those of always.invariants", name).suggest("remove it"), &e.Always.Except[i])
		}
	}
	v.checkFairness()
	if e.Outcome.Invariant != "" {
		if e.Outcome.Verdict != VerdictInvariant {
			v.report(complain("an invariant cannot break in a run that ends with %s", e.Outcome.Verdict).suggest("write verdict: %s", VerdictInvariant), &e.Outcome.Invariant)
		}
		v.checkInvariant(&e.Outcome.Invariant)
	}
	for i := range e.Eventually {
		if by := v.HealAt() + time.Duration(e.Eventually[i].Within); by > time.Duration(v.Run.MaxVirtualTime) {
			v.report(complain("%v after heal at %v is when the run is over", e.Eventually[i].Within, v.HealAt()).
				suggest("expect it earlier, or raise run.maxVirtualTime above %v", Duration(by)), &e.Eventually[i].Within, &e.Eventually[i].That)
		}
	}
	for _, text := range v.expressions() {
		if checked := v.compile(text); checked != nil {
			v.checkKeys(text, checked.NativeRep())
		}
	}
}

// fairnessInvariant is the name of the invariant that needs a bound.
const fairnessInvariant = "fairness"

// checkFairness reports a bound on what is not checked, and a check without a bound.
func (v *validator) checkFairness() {
	a := &v.Expect.Always
	if a.Fairness == 0 {
		if i := slices.Index(a.Invariants, fairnessInvariant); i >= 0 {
			v.report(complain("fairness is not checked without a bound").suggest("add fairness: 8, or remove it"), &a.Invariants[i])
		}
		return
	}
	jobs := 0
	for _, g := range v.Workload.Clients {
		jobs += g.Count
	}
	switch {
	case jobs < 2:
		v.report(complain("there is one job only, and nobody to share with").suggest("add a client, or remove fairness"), &a.Fairness)
	case slices.Contains(a.Except, fairnessInvariant), len(a.Invariants) > 0 && !slices.Contains(a.Invariants, fairnessInvariant):
		v.report(complain("fairness has a bound, and is not among the invariants that hold").suggest("remove the bound, or add the invariant"), &a.Fairness)
	}
}

func (v *validator) checkInvariant(name *string) {
	if known := invariantNames(); !slices.Contains(known, *name) {
		v.report(complain("there is no invariant %q", *name).suggestName(*name, known), name)
	}
}

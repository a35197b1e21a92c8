package scenario

import (
	"slices"
	"time"
)

func (v *validator) kindNames() []string {
	return namesOf(v.Workload.Mix, func(k *TaskKind) string { return k.Name })
}

func (v *validator) faultIDs() []string {
	return namesOf(v.Faults, func(f *Fault) string { return f.ID })
}

func (v *validator) checkWorkload() {
	for i := range v.Workload.Mix {
		v.checkKind(i)
	}
	tasks := 0
	used := map[string]bool{}
	for i := range v.Workload.Clients {
		g := &v.Workload.Clients[i]
		tasks += min(g.Count*g.Tasks, MaxTasks+1)
		v.checkArrival(g)
		for j := range g.Kinds {
			if name := g.Kinds[j]; !slices.Contains(v.kindNames(), name) {
				v.report(complain("there is no kind of task %q", name).suggestName(name, v.kindNames()), &g.Kinds[j])
			}
			used[g.Kinds[j]] = true
		}
		if len(g.Kinds) == 0 {
			for _, name := range v.kindNames() {
				used[name] = true
			}
		}
	}
	if tasks > MaxTasks {
		v.report(complain("the clients submit more than %d tasks", MaxTasks).suggest("lower tasks or count"), &v.Workload.Clients)
	}
	for i := range v.Workload.Mix {
		used[v.Workload.Mix[i].ChildKind] = true
	}
	for i := range v.Workload.Mix {
		if k := &v.Workload.Mix[i]; !used[k.Name] {
			v.report(complain("no client submits tasks of kind %s", k.Name).suggest("add it to the kinds of a client, or remove it"), &k.Name)
		}
	}
}

func (v *validator) checkArrival(g *ClientGroup) {
	a := &g.Arrival
	if a.Pattern == "random" && a.Rate == (Rate{}) {
		v.report(complain("arrivals without a rate have no pattern").suggest("add rate: 100/s, or remove the pattern"), &a.Pattern)
	}
	if a.Batch > g.Tasks {
		v.report(complain("a batch of %d is more than the %d tasks there are", a.Batch, g.Tasks).suggest("write %d", g.Tasks), &a.Batch)
	}
	last := g.lastArrival()
	if last >= time.Duration(v.Run.MaxVirtualTime) {
		v.report(complain("the last task arrives at about %v, and the run is over at %v", Duration(last), v.Run.MaxVirtualTime).
			suggest("submit fewer or faster, or raise run.maxVirtualTime"), &a.Rate, &a.Start, &g.Tasks)
	}
}

func (v *validator) checkKind(i int) {
	k := &v.Workload.Mix[i]
	if slices.Contains(v.kindNames()[:i], k.Name) {
		v.report(complain("there are two kinds of task named %s", k.Name).suggest("rename one"), &k.Name)
	}
	v.checkSpan(&k.Work)
	if k.Cancel != nil {
		v.checkSpan(&k.Cancel.After)
	}
	if b := k.Backoff; b != nil {
		if b.Cap < b.Base {
			v.report(complain("the longest delay %v is shorter than the first, %v", b.Cap, b.Base).suggest("write %v or more", b.Base), &b.Cap, &b.Base)
		}
		v.milliseconds(&b.Base)
		v.milliseconds(&b.Cap)
	}
	v.milliseconds(&k.ExecutionTimeout)
	v.milliseconds(&k.SchedulingTimeout)
	v.checkChildren(k)
	v.checkEligible(k)
}

func (v *validator) checkSpan(s *Span) {
	if s.Max < s.Min {
		if v.has(&s.Min) && !v.has(&s.Max) {
			s.Max = s.Min // Only min was given.
			return
		}
		if v.has(&s.Max) && !v.has(&s.Min) {
			s.Min = s.Max
			return
		}
		v.report(complain("max %v is less than min %v", s.Max, s.Min).suggest("swap them"), &s.Max, &s.Min)
	}
}

// milliseconds reports what the wire cannot say.
func (v *validator) milliseconds(d *Duration) {
	if time.Duration(*d)%time.Millisecond != 0 {
		v.report(complain("%v is not a whole number of milliseconds", *d).suggest("write %v", Duration(time.Duration(*d).Truncate(time.Millisecond)+time.Millisecond)), d)
	}
}

func (v *validator) checkChildren(k *TaskKind) {
	switch {
	case k.Children == 0 && k.ChildKind == "":
	case k.Children == 0:
		v.report(complain("kind %s has a childKind and no children", k.Name).suggest("add children: 1"), &k.ChildKind)
	case k.ChildKind == "":
		v.report(complain("kind %s has children and no childKind", k.Name).suggest("add childKind: with the name of another kind"), &k.Children)
	default:
		at := slices.Index(v.kindNames(), k.ChildKind)
		switch {
		case at < 0:
			v.report(complain("there is no kind of task %q", k.ChildKind).suggestName(k.ChildKind, v.kindNames()), &k.ChildKind)
		case v.Workload.Mix[at].Children > 0:
			v.report(complain("kind %s has children of its own", k.ChildKind).suggest("name a kind without"), &k.ChildKind)
		}
	}
}

// checkEligible reports tasks that no worker can run and that nothing ends.
func (v *validator) checkEligible(k *TaskKind) {
	if k.SchedulingTimeout > 0 || k.Cancel != nil || v.Expect.Outcome.Verdict == VerdictLiveness {
		return
	}
	able := slices.ContainsFunc(v.Topology.Workers, func(w WorkerGroup) bool {
		for name, value := range k.Labels { // order-free: all must hold
			if have, ok := w.Labels[name]; !ok || have != value {
				return false
			}
		}
		for name, amount := range k.Resources { // order-free: all must hold
			if w.Resources[name] < amount {
				return false
			}
		}
		return true
	})
	if !able {
		v.report(complain("no worker has the labels and resources that tasks of kind %s need, and they would wait for ever", k.Name).
			suggest("add a group of workers that has, or a schedulingTimeout"), &k.Resources, &k.Labels)
	}
}

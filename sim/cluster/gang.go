package cluster

import (
	"slices"

	"github.com/frayrpc/fray/sim/scenario"
)

// hasGangs says whether tasks of the workload are of gangs.
func (w *Workload) hasGangs() bool {
	return slices.ContainsFunc(w.Mix, func(k TaskKind) bool { return k.Gang > 0 })
}

// checkGang reports gangs that there cannot be.
func (v *checker) checkGang(k *TaskKind) {
	for _, not := range []struct {
		is        bool
		what, key string
	}{
		{k.Actors != nil, "calls of actors", "actors"},
		{k.Schedule != nil, "schedules", "schedule"},
		{k.Unique != nil, "the only ones of their keys", "unique"},
		{k.Limit != nil, "bounded by a limit", "limit"},
	} {
		if not.is {
			v.Report(scenario.Complain("tasks of kind %s are %s, and so of no gang", k.Name, not.what).Suggest("remove gang, or %s", not.key), &k.Gang)
		}
	}
	slots := 0
	for _, w := range v.topology.Workers {
		slots += w.Count * w.Slots
	}
	if slots < k.Gang && k.SchedulingTimeout == 0 && k.Cancel == nil && v.Expect.Outcome.Verdict != scenario.VerdictLiveness {
		v.Report(scenario.Complain("a gang of %d never starts: all workers have %d slots", k.Gang, slots).Suggest("write %d or less, or add workers", slots), &k.Gang)
	}
}

// checkGangs reports what clients do not do with gangs.
func (v *checker) checkGangs(g *ClientGroup) {
	at := slices.IndexFunc(v.workload.Mix, func(k TaskKind) bool { return k.Gang > 0 && g.Submits(&k) })
	if at >= 0 && g.Waits == WaitsCall {
		v.Report(scenario.Complain("tasks of kind %s are of gangs, and called one by one", v.workload.Mix[at].Name).Suggest("remove waits, or gang"), &g.Waits)
	}
}

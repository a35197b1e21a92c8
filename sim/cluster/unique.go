package cluster

import (
	"slices"

	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/sim/scenario"
)

// Unique is what the keys of a kind's tasks are like, which are those of no other kind. Callers that have roles have
// keys of their own.
type Unique struct {
	Keys int               `yaml:"keys" default:"1" min:"1" max:"1000000" doc:"How many keys there are. Which of them a task has is drawn."`
	For  scenario.Duration `yaml:"for" default:"0" doc:"How long from its submission a task has its key that completes. 0: until it ends." example:"30s"`
}

// HasUniques says whether tasks of the workload have keys.
func (w *Workload) HasUniques() bool {
	return slices.ContainsFunc(w.Mix, func(k TaskKind) bool { return k.Unique != nil })
}

// checkUnique reports keys that there cannot be, and tasks that have none.
func (v *checker) checkUnique(k *TaskKind) {
	u := k.Unique
	v.milliseconds(&u.For)
	longest, kept := scenario.Duration(limit.UniquePeriod), v.topology.Controller.Retention
	switch {
	case u.For > longest:
		v.Report(scenario.Complain("%v is longer than a task may have its key", u.For).
			Suggest("write %v or less", longest), &u.For)
	case u.For > kept:
		v.Report(scenario.Complain("a task has its key for %v, and ended tasks are kept for %v: the controller refuses it",
			u.For, kept).Suggest("write %v or less, or raise topology.controller.retention", kept), &u.For)
	}
	for _, not := range []struct {
		is        bool
		what, key string
	}{
		{k.Actors != nil, "calls of actors, which have no keys", "actors"},
		{k.Schedule != nil, "schedules, which have names and no keys", "schedule"},
	} {
		if not.is {
			v.Report(scenario.Complain("tasks of kind %s are %s", k.Name, not.what).
				Suggest("remove unique, or %s", not.key), &k.Unique)
		}
	}
}

// checkKeyed reports what clients do not promise of tasks that have keys.
func (v *checker) checkKeyed(g *ClientGroup) {
	at := slices.IndexFunc(v.workload.Mix, func(k TaskKind) bool { return k.Unique != nil && g.Submits(&k) })
	if at >= 0 && g.Within > 0 {
		kind := v.workload.Mix[at].Name
		v.Report(scenario.Complain("tasks of kind %s have keys, and where another has a task's key it is not run", kind).
			Suggest("have another group submit kind %s", kind), &g.Within)
	}
}

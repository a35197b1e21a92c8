package cluster

import (
	"maps"
	"slices"
	"strings"

	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/sim/scenario"
)

// Job is what the jobs of a group of clients have besides their names.
type Job struct {
	// Parent makes them children.
	Parent         string               `yaml:"parent" doc:"The group of clients whose jobs they are children of: those of the first client, and of every client that comes round to it if that group is smaller, of its first one. A client submits again what is refused because its parent's job has had no task yet. Where callers have roles, the parent belongs to another, and all of it is refused. Default: they are roots." example:"client"`
	MaxFailed      int                  `yaml:"maxFailed" default:"-1" min:"-1" max:"1000000" doc:"A job fails as a whole once more of its tasks have failed than this, and than maxFailedShare. -1: it has no such number." example:"5"`
	MaxFailedShare scenario.Probability `yaml:"maxFailedShare" default:"0" doc:"The same for a share of the tasks that were submitted by then, less than 100%. 0: it has none." example:"20%"`
	Weight         int                  `yaml:"weight" default:"1" min:"1" max:"100" doc:"How many of a job's tasks are granted in its turn."`
	Environment    map[string]string    `yaml:"environment" doc:"What its tasks see besides what those of its parent do, or in its place. An attempt that sees anything else breaks the run." example:"{STAGE: test}"`
}

// MayFail says whether a job may fail as a whole.
func (j *Job) MayFail() bool { return j != nil && (j.MaxFailed >= 0 || j.MaxFailedShare > 0) }

// ParentHost returns the client whose job is the parent of those of a client of the group, and the group of that; or
// nothing.
func (s *Scenario) ParentHost(g *ClientGroup, client string) (*ClientGroup, string) {
	if g.Job == nil || g.Job.Parent == "" {
		return nil, ""
	}
	parent := s.ClientGroup(g.Job.Parent)
	hosts := parent.Hosts()
	return parent, hosts[slices.Index(g.Hosts(), client)%len(hosts)]
}

// EnvironmentOf returns what the tasks of a group's jobs see.
func (s *Scenario) EnvironmentOf(g *ClientGroup) map[string]string {
	seen := map[string]string{}
	for g != nil && g.Job != nil {
		for name, value := range g.Job.Environment { // order-free: each for itself
			if _, own := seen[name]; !own {
				seen[name] = value
			}
		}
		g = s.ClientGroup(g.Job.Parent)
	}
	return seen
}

// HasJobOptions says whether jobs of the workload have any.
func (w *Workload) HasJobOptions() bool {
	return slices.ContainsFunc(w.Clients, func(g ClientGroup) bool { return g.Job != nil })
}

// checkJob reports options that jobs cannot have.
func (v *checker) checkJob(g *ClientGroup) {
	j := g.Job
	if j == nil {
		return
	}
	if j.MaxFailedShare >= 1 {
		v.Report(scenario.Complain("a share of all of a job's tasks is never exceeded").
			Suggest("write 99%% or less, or remove it"), &j.MaxFailedShare)
	}
	v.checkEnvironment(j)
	if j.Parent != "" {
		v.checkParent(g)
	}
	for i := range v.workload.Mix {
		k := &v.workload.Mix[i]
		what := ""
		switch {
		case !g.Submits(k):
		case k.Schedule != nil:
			what = "schedules, which are in jobs of their own"
		case k.Actors != nil:
			what = "calls of actors, which may be in jobs of others"
		}
		if what != "" {
			v.Report(scenario.Complain("tasks of kind %s are %s", k.Name, what).
				Suggest("have another group submit kind %s, or remove job", k.Name), &g.Job)
		}
	}
	if j.MayFail() && g.Within > 0 {
		v.Report(scenario.Complain("a job that fails does not have its tasks complete within any time").
			Suggest("remove within, or maxFailed and maxFailedShare"), &g.Within)
	}
}

// checkEnvironment reports variables that a job cannot have.
func (v *checker) checkEnvironment(j *Job) {
	bytes := 0
	for _, name := range slices.Sorted(maps.Keys(j.Environment)) {
		value := j.Environment[name]
		bytes += len(name) + len(value)
		switch {
		case !limit.IsVariable(name):
			v.Report(scenario.Complain("no variable has the name %q", name).
				Suggest("write letters, digits and underscores, the first no digit"), &j.Environment)
		case strings.HasPrefix(name, limit.OwnVariables):
			v.Report(scenario.Complain("variable %s has a name that is Fray's own", name).
				Suggest("write one that does not begin with %s", limit.OwnVariables), &j.Environment)
		case strings.Contains(value, "\x00"):
			v.Report(scenario.Complain("the value of variable %s has a NUL", name).
				Suggest("write another"), &j.Environment)
		}
	}
	if n := len(j.Environment); n > limit.Environment || bytes > limit.EnvironmentBytes {
		v.Report(scenario.Complain("environment of %d variables and %d bytes is more than a job's may be, %d and %d",
			n, bytes, limit.Environment, limit.EnvironmentBytes).Suggest("remove some"), &j.Environment)
	}
}

// checkParent reports parents that there cannot be.
func (v *checker) checkParent(g *ClientGroup) {
	j := g.Job
	group := func(name string) *ClientGroup {
		at := slices.IndexFunc(v.workload.Clients, func(g ClientGroup) bool { return g.Name == name })
		if at < 0 {
			return nil
		}
		return &v.workload.Clients[at]
	}
	parent := group(j.Parent)
	if parent == nil {
		var names []string
		for i := range v.workload.Clients {
			names = append(names, v.workload.Clients[i].Name)
		}
		v.Report(scenario.Complain("there is no group of clients %q", j.Parent).SuggestName(j.Parent, names), &j.Parent)
		return
	}
	depth := 1
	for p := parent; p != nil; depth++ {
		if p == g || depth > len(v.workload.Clients) {
			v.Report(scenario.Complain("the jobs of group %s would be above themselves", g.Name).
				Suggest("name another group, or remove parent"), &j.Parent)
			return
		}
		if p.Job == nil || p.Job.Parent == "" {
			break
		}
		p = group(p.Job.Parent)
	}
	if depth+1 > limit.JobDepth {
		v.Report(scenario.Complain("the jobs of group %s would be the %dth of their trees, which are %d deep at most",
			g.Name, depth+1, limit.JobDepth).Suggest("name a group with fewer above it"), &j.Parent)
	}
	if g.Waits == WaitsCall {
		const text = "a client does not call again what is refused because the parent of its job is not there"
		v.Report(scenario.Complain(text).Suggest("remove waits, or parent"), &g.Waits)
	}
}

package chaos

import (
	"slices"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// drawJobs gives jobs of some clients more than a name, but for those that have actors or schedules.
func (c *random) drawJobs() {
	for i := range c.Workload.Clients {
		g := &c.Workload.Clients[i]
		d := c.draw("jobs", uint64(i))
		if !c.plain(g) || !d.chance(0.35) {
			continue
		}
		j := scenario.Default[cluster.Job]()
		if d.chance(0.4) {
			j.MaxFailed = oneOf(d, 0, 1, 3, 10)
		}
		if d.chance(0.3) {
			j.MaxFailedShare = oneOf(d, scenario.Probability(0.01), 0.2, 0.5)
		}
		j.Weight = oneOf(d, 1, 1, 2, 5)
		if d.chance(0.4) {
			j.Environment = map[string]string{"GROUP": g.Name}
		}
		if d.chance(0.6) && c.mayBeChild(g) {
			j.Parent = chaosClients
			if j.Environment != nil && d.chance(0.5) {
				j.Environment = map[string]string{"OWN": "yes"}
			}
		}
		g.Job = j
	}
}

// plain says whether clients submit neither calls of actors nor schedules, which may be in other jobs than theirs.
func (c *random) plain(g *cluster.ClientGroup) bool {
	return !slices.ContainsFunc(c.Workload.Mix, func(k cluster.TaskKind) bool {
		return (k.Actors != nil || k.Schedule != nil) && g.Submits(&k)
	})
}

// mayBeChild says whether jobs may be children of those of the first clients. A controller that keeps nothing may
// forget these, and then refuse all their children.
func (c *random) mayBeChild(g *cluster.ClientGroup) bool {
	return g.Name != chaosClients && g.Waits != cluster.WaitsCall && c.Topology.Controller.Store == cluster.StorePebble &&
		c.plain(c.ClientGroup(chaosClients))
}

// mayRefuse says whether submissions may be refused for good: to jobs that have failed, or that are children of what
// there is not yet.
func (c *random) mayRefuse() bool {
	return slices.ContainsFunc(c.Workload.Clients, func(g cluster.ClientGroup) bool {
		return g.Job.MayFail() || g.Job != nil && g.Job.Parent != ""
	})
}

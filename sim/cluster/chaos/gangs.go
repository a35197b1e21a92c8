package chaos

import (
	"slices"

	"github.com/frayrpc/fray/sim/cluster"
)

// chaosGang is how many tasks a gang has at most.
const chaosGang = 4

// gang has tasks of some kinds be of gangs, for which the workers have room that can run them. What is called one by
// one is of none, and neither are children.
func (c *random) gang() {
	for i := range c.Workload.Mix {
		k := &c.Workload.Mix[i]
		d := c.draw("gangs", uint64(i))
		called := slices.ContainsFunc(c.Workload.Clients, func(g cluster.ClientGroup) bool { return g.Waits == cluster.WaitsCall && g.Submits(k) })
		child := slices.ContainsFunc(c.Workload.Mix, func(p cluster.TaskKind) bool { return p.ChildKind == k.Name })
		lanes := c.lanes(k)
		if k.Actors != nil || k.Schedule != nil || k.Unique != nil || k.Limit != nil || child || called || lanes < 2 || !d.chance(0.2) {
			continue
		}
		k.Gang = 2 + d.IntN(min(lanes, chaosGang)-1)
	}
}

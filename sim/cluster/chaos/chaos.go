// Package chaos draws random scenarios: clusters, workloads and faults that nobody thought of, with
// what is true of any of them.
package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/sim/chaos"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// Options say what random scenarios are to be like.
type Options struct {
	// Backend is what they are to run on, one of the Backend constants. "": BackendSim. Those for
	// processes take seconds, and those for virtual time minutes.
	Backend string
	// Redraw has the parts that are drawn from other seeds, of those that Parts has: whole ones, such as
	// faults, all of them, or one of several, such as fault-3.
	Redraw chaos.Redraw
}

// Parts are those of a random scenario that can be drawn from other seeds, besides single ones.
func Parts() []string {
	return []string{
		"run", "controller", "leaders", "workers", "network", "workload", "kinds", "nested", "needs", "actors", "poison", "schedules",
		"clients", "habits", "gangs", "jobs", "visitors", "bounds", chaos.PartFaults, "roles",
	}
}

// severals are the parts of which there are several, by what one of them is called.
var severals = map[string]string{"fault": chaos.PartFaults, "kind": "kinds", "client": "clients"}

// Draw returns the random scenario of a seed: a cluster, a workload, faults of all kinds, and what
// is true of any of them once everything has been put right. It is to be run under the same seed.
//
// It depends on the seed and the options alone. An error says that a part does not exist. Each part of
// it is drawn from a source of randomness of its own, so that a change of one leaves the others as they
// were. What [Scenario.Marshal] writes of it is a file that runs in the same way.
//
// That a fault never acts is no failure here, because chance put it there.
func Draw(seed uint64, o Options) (*scenario.Scenario, error) {
	c := &random{Scenario: cluster.New(), seed: seed, redraw: o.Redraw, real: o.Backend == scenario.BackendProcess}
	c.APIVersion, c.Kind = scenario.APIVersion, scenario.Kind
	c.Metadata = scenario.Metadata{
		Name: fmt.Sprintf("chaos-%d%s", seed, o.Redraw.Suffix()), Summary: "Whatever chance makes of a cluster, its work and its faults; every task ends, once.",
	}
	c.drawRun()
	c.drawTopology()
	c.drawWorkload()
	c.drawFaults()
	c.drawRoles(c.draw("roles", 0))
	if err := o.Redraw.Check(c.parts()); err != nil {
		return nil, err
	}
	c.expect()
	text, err := c.Marshal()
	if err == nil {
		var parsed *scenario.Scenario
		if parsed, err = cluster.Parse(c.Metadata.Name+".yaml", text); err == nil {
			return parsed, nil
		}
	}
	panic(fmt.Sprintf("scenario: %s is no scenario: %v\n%s", c.Metadata.Name, err, text))
}

// A random is a random scenario while it is drawn.
type random struct {
	*cluster.Scenario

	seed   uint64
	redraw chaos.Redraw
	// It is to run on processes, in real time.
	real bool
	// How long things go wrong; then everything is put right.
	span time.Duration
}

func (c *random) drawRun() {
	d := c.draw("run", 0)
	c.Run.Seeds = scenario.Seeds{First: c.seed, Last: c.seed}
	if c.real {
		c.Run.Backends = []string{scenario.BackendProcess}
		c.span = time.Duration(d.between(6*time.Second, 10*time.Second))
	} else {
		c.Run.Backends = []string{scenario.BackendSim}
		c.span = time.Duration(d.between(15*time.Second, 2*time.Minute))
	}
	c.Heal = &scenario.Heal{At: scenario.Duration(c.span)}
}

// Names of the groups of hosts.
const (
	chaosWorkers   = "worker"
	chaosOthers    = "other"
	chaosClients   = "client"
	chaosVillain   = "villain"
	chaosPlanner   = "planner"
	chaosVisitors  = "visitor"
	chaosStrangers = "stranger"
)

func (c *random) drawTopology() {
	c.drawController(c.draw("controller", 0))
	if !c.real {
		c.drawLeaders(c.draw("leaders", 0))
	}
	most := 6
	if c.real {
		most = 4 // Each is a process.
	}
	d := c.draw("workers", 0)
	count := 1 + d.IntN(most)
	others := 0
	if count > 1 && d.chance(0.4) {
		others = 1 + d.IntN(count-1)
	}
	c.Topology.Workers = append(c.Topology.Workers, c.drawWorkers(c.draw("workers", 1), chaosWorkers, count-others))
	if others > 0 {
		g := c.drawWorkers(c.draw("workers", 2), chaosOthers, others)
		// The first group is good for something from the start to the end.
		if d := c.draw("workers", 3); d.chance(0.25) {
			g.StartAfter = d.between(0, c.span/2)
		} else if d.chance(0.2) {
			g.FailureProbability = oneOf(d, scenario.Probability(0.2), 1)
		}
		c.Topology.Workers = append(c.Topology.Workers, g)
	}
	if !c.real {
		c.drawNetwork(c.draw("network", 0))
	}
}

func (c *random) drawController(d *drawer) {
	t := &c.Topology.Controller
	if d.chance(0.6) {
		t.Store = cluster.StorePebble
	}
	t.SessionTTL = scenario.Duration(3 * time.Second)
	if !c.real {
		t.SessionTTL = scenario.Duration(oneOf(d, 3*time.Second, 6*time.Second, 15*time.Second))
		t.SyncLatency = scenario.Duration(oneOf(d, time.Millisecond, 5*time.Millisecond, 20*time.Millisecond))
	}
	t.CancelGrace = scenario.Duration(oneOf(d, time.Second, 5*time.Second, 10*time.Second))
	if d.chance(0.1) {
		t.MaxOpenTasks = 20 + d.IntN(40)
	}
}

// drawLeaders draws whether controllers share a database, and how many.
func (c *random) drawLeaders(d *drawer) {
	if t := &c.Topology.Controller; d.chance(0.15) {
		t.Store, t.Count = cluster.StoreShared, 1+d.IntN(3)
	}
}

// shared says whether controllers share a database.
func (c *random) shared() bool { return c.Topology.Controller.Store == cluster.StoreShared }

func (c *random) drawWorkers(d *drawer, name string, count int) cluster.WorkerGroup {
	g := *scenario.Default[cluster.WorkerGroup]()
	g.Name, g.Count, g.Slots = name, count, 1+d.IntN(4)
	g.Labels = map[string]string{"zone": name}
	if d.chance(0.5) {
		g.Resources = map[string]int64{"cpu": 1000 * int64(g.Slots), "gpu": 1 + int64(g.Slots)/2}
	}
	if d.chance(0.4) {
		g.MaxPrefetch = oneOf(d, -1, 1, 8)
	}
	g.StopGrace = scenario.Duration(oneOf(d, 500*time.Millisecond, 5*time.Second))
	return g
}

func (c *random) drawNetwork(d *drawer) {
	n := &c.Scenario.Scenario.Topology.Network
	if d.chance(0.5) {
		mean := oneOf(d, time.Millisecond, 5*time.Millisecond, 20*time.Millisecond, 100*time.Millisecond)
		n.Latency = scenario.NetworkLatency{Min: scenario.Duration(mean / 4), Mean: scenario.Duration(mean), Max: scenario.Duration(min(20*mean, time.Second))}
	}
	if d.chance(0.4) {
		n.Loss = oneOf(d, scenario.Probability(0.001), 0.01, 0.05)
	}
}

// A drawer draws one part of a random scenario.
type drawer struct{ *rand.Rand }

// draw returns what draws the part of a name and number.
func (c *random) draw(part string, number uint64) *drawer {
	parts := []string{part}
	if all := severals[part]; all != "" {
		parts = []string{fmt.Sprintf("%s-%d", part, number+1), all}
	}
	return &drawer{chance.New(c.redraw.From(c.seed, parts...), "chaos/"+part, number)}
}

// parts returns the parts of this scenario that can be drawn from other seeds.
func (c *random) parts() []string {
	kinds, clients := len(c.Workload.Mix), len(c.Workload.Clients)
	if i := slices.IndexFunc(c.Workload.Mix, func(k cluster.TaskKind) bool { return k.CrashesWorker }); i >= 0 {
		kinds, clients = kinds-1, clients-1 // Which the part poison has added.
	}
	if c.Workload.HasSchedules() {
		kinds, clients = kinds-1, clients-1
	}
	singles := slices.Concat(chaos.Each("kind", kinds), chaos.Each("client", clients), chaos.Each("fault", len(c.Faults)))
	return slices.Concat([]string{chaos.PartAll}, Parts(), singles)
}

// chance says yes with a probability.
func (d *drawer) chance(p float64) bool { return d.Float64() < p }

// between returns a time between two, in steps that are good to read.
func (d *drawer) between(low, high time.Duration) scenario.Duration {
	const step = 10 * time.Millisecond
	return scenario.Duration((low + time.Duration(d.Int64N(int64(high-low)+1))).Truncate(step))
}

// oneOf returns one of several, each as likely as the others.
func oneOf[T any](d *drawer, values ...T) T { return values[d.IntN(len(values))] }

// expect says what is true of any correct system in the end.
func (c *random) expect() {
	e := &c.Expect
	e.FaultsFired = scenario.Names{"none"} // Chance may have put one where nothing comes by.
	bound := c.bound()
	e.Eventually = []scenario.Eventually{{
		That: "tasks.open == 0 && tasks.unsent == 0", Within: scenario.Duration(bound),
		Because: "every task ends once the system is left alone",
	}}
	// The last submission may come late, when the controller has no room or was gone, and the bound
	// counts from there.
	c.Run.MaxVirtualTime = scenario.Duration(c.LastArrival() + 2*c.span + 2*bound)
	tasks := c.Tasks()
	finally := func(format string, args ...any) {
		e.Finally = append(e.Finally, scenario.Expression{That: fmt.Sprintf(format, args...)})
	}
	// Others than those that were created.
	others, none := "", " && tasks.refused == 0"
	if c.Workload.HasUniques() {
		others = " + tasks.found"
	}
	if c.mayRefuse() {
		others, none = others+" + tasks.refused", ""
	}
	switch {
	case c.Workload.HasSchedules(): // Their runs come besides.
		finally("tasks.submitted%s >= %d%s", others, tasks, none)
		finally("tasks.completed + tasks.failed + tasks.cancelled + tasks.lost == tasks.submitted")
	case others != "":
		finally("tasks.submitted%s == %d%s", others, tasks, none)
		finally("tasks.completed + tasks.failed + tasks.cancelled + tasks.lost == tasks.submitted")
	default:
		finally("tasks.submitted == %d && tasks.refused == 0", tasks)
		finally("tasks.completed + tasks.failed + tasks.cancelled + tasks.lost == %d", tasks)
	}
	if !c.forgets() {
		finally("tasks.lost == 0")
	}
	var certain, failing []string
	for i := range c.Workload.Mix {
		switch k := &c.Workload.Mix[i]; {
		case c.mustComplete(k):
			certain = append(certain, fmt.Sprintf("kinds['%s'].completed + kinds['%[1]s'].lost == kinds['%[1]s'].submitted", k.Name))
		case k.CrashesWorker || k.Undecodable != "":
			failing = append(failing, fmt.Sprintf("kinds['%s'].completed == 0", k.Name))
		}
	}
	for _, that := range [][]string{certain, failing} {
		if len(that) > 0 {
			finally("%s", strings.Join(that, " && "))
		}
	}
}

// forgets says whether the controller may come to forget tasks: it keeps them in memory, and a
// fault may end it.
func (c *random) forgets() bool {
	if c.Topology.Controller.Store != cluster.StoreMemory {
		return false
	}
	for i := range c.Faults {
		f := &c.Faults[i]
		isController := func(h scenario.Host) bool { return h.Role == cluster.RoleController }
		if f.Action.EndsHost() && slices.ContainsFunc(c.Victims(f), isController) {
			return true
		}
	}
	return false
}

// mustComplete says whether nothing but the loss of the controller's memory keeps tasks of the kind
// from a value.
func (c *random) mustComplete(k *cluster.TaskKind) bool {
	switch {
	case k.FailureProbability > 0, k.FailFirst > k.Retries, k.ExecutionTimeout > 0, k.SchedulingTimeout > 0, k.Cancel != nil,
		k.Undecodable != "", k.CrashesWorker, k.MaxWorkerLosses < chaosLosses:
		return false
	}
	if a := k.Actors; a != nil && (a.Restarts < chaosLosses || a.DeletedAfter != nil) {
		return false
	}
	for _, g := range c.Workload.Visitors {
		if g.Cancel > 0 {
			return false
		}
	}
	for _, g := range c.Workload.Clients {
		if g.CancelsJobs != nil || g.Job.MayFail() {
			return false
		}
	}
	for _, g := range c.Topology.Workers {
		if g.FailureProbability > 0 {
			return false
		}
	}
	if k.Needs > 0 {
		return false // What it needs may fail.
	}
	if k.Children == 0 {
		return true
	}
	// A task fails that waits for another one that is lost.
	return !c.forgets() && c.mustComplete(c.TaskKind(k.ChildKind))
}

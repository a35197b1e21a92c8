package chaos

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// chaosLosses is a budget of lost workers that no run uses up.
const chaosLosses = 1000

// Bounds of what a random task takes.
const (
	chaosPayload  = 32 << 10
	chaosPriority = 5
)

func (c *random) drawWorkload() {
	d := c.draw("workload", 0)
	kinds := 1 + d.IntN(4)
	for i := range kinds {
		k := c.drawKind(c.draw("kind", uint64(i)), fmt.Sprintf("kind-%d", i+1))
		c.Workload.Mix = append(c.Workload.Mix, k)
	}
	if d := c.draw("nested", 0); kinds > 1 && d.chance(0.3) {
		c.nest(d)
	}
	if d := c.draw("needs", 0); c.Topology.Controller.Store == cluster.StorePebble && d.chance(0.3) {
		c.link(d)
	}
	if c.Topology.Controller.Store == cluster.StorePebble {
		c.callActors()
	}
	var benign, all []string
	for _, k := range c.Workload.Mix {
		all = append(all, k.Name)
	}
	if d.chance(0.1) {
		benign = all
		c.drawPoison(c.draw("poison", 0))
	}
	if d := c.draw("schedules", 0); c.Topology.Controller.Store == cluster.StorePebble && d.chance(0.25) {
		benign = all
		c.drawSchedules(d)
	}
	most := 60
	if c.real {
		most = 25
	}
	groups := 1 + d.IntN(2)
	for i := range groups {
		g := c.drawClients(c.draw("client", uint64(i)), most)
		g.Name = chaosClients
		if i > 0 {
			g.Name = fmt.Sprintf("%s-%c", chaosClients, 'a'+i) // Which is no name of a host of the first group.
		}
		g.Kinds = benign
		c.drawHabits(c.draw("habits", uint64(i)), &g)
		c.Workload.Clients = append(c.Workload.Clients, g)
	}
	c.gang()
	c.drawJobs()
	if d := c.draw("visitors", 0); d.chance(0.3) {
		c.drawVisitors(d)
	}
	if d := c.draw("bounds", 0); !c.real && d.chance(0.25) {
		c.narrow(d)
	}
	c.makeRoom()
}

// makeRoom has bounds leave room for actors, which are open until all calls have ended, and for schedules.
func (c *random) makeRoom() {
	t, usual := &c.Topology.Controller, scenario.Default[cluster.Controller]()
	lives, jobs, classes := 0, 0, 0
	for i := range c.Workload.Mix {
		k := &c.Workload.Mix[i]
		if k.Actors == nil && k.Schedule == nil {
			continue
		}
		classes++
		for _, g := range c.Workload.Clients {
			if k.Schedule != nil && g.Submits(k) {
				lives += g.Tasks // Each is in a job of its own.
				jobs += g.Tasks
			} else if g.Submits(k) {
				lives += k.Actors.Count * g.Count // They are those of a client where callers have roles, too.
				jobs += g.Jobs * g.Count
			}
		}
	}
	t.MaxOpenTasks = min(t.MaxOpenTasks+lives, usual.MaxOpenTasks)
	t.MaxJobs = min(t.MaxJobs+jobs, usual.MaxJobs)
	t.MaxClasses = min(t.MaxClasses+classes, usual.MaxClasses)
}

// drawHabits draws how a client is about its jobs: it may have one after the other, leave and come
// back, or submit its tasks again.
func (c *random) drawHabits(d *drawer, g *cluster.ClientGroup) {
	g.Waits = oneOf(d, cluster.WaitsEach, cluster.WaitsEach, cluster.WaitsCompleted, cluster.WaitsSome, cluster.WaitsCall)
	if d.chance(0.2) {
		g.Jobs = 2 + d.IntN(min(g.Tasks, 8)-1)
	}
	switch d.IntN(10) {
	case 0, 1:
		g.Leaves = &cluster.Leave{
			After: cluster.Span{Min: scenario.Duration(100 * time.Millisecond), Max: d.between(200*time.Millisecond, c.span/2)},
			Away:  cluster.Span{Max: d.between(100*time.Millisecond, c.span/2)},
		}
	case 2:
		g.Submissions = 2
	case 3:
		g.CancelsJobs = &cluster.Span{Max: d.between(100*time.Millisecond, c.span)}
	}
}

// drawVisitors adds some who look at everything.
func (c *random) drawVisitors(d *drawer) {
	g := *scenario.Default[cluster.VisitorGroup]()
	g.Name, g.Count, g.Page = chaosVisitors, 1+d.IntN(2), oneOf(d, 1, 3, 20, 1000)
	g.Stay = cluster.Span{Max: d.between(100*time.Millisecond, 10*time.Second)}
	g.Away = cluster.Span{Max: d.between(0, 5*time.Second)}
	g.Every = cluster.Span{Min: scenario.Duration(10 * time.Millisecond), Max: d.between(20*time.Millisecond, time.Second)}
	if d.chance(0.3) {
		g.Cancel = oneOf(d, scenario.Probability(0.01), 0.1)
	}
	if d.chance(0.3) {
		g.Mistakes = oneOf(d, scenario.Probability(0.1), 0.8)
	}
	c.Workload.Visitors = append(c.Workload.Visitors, g)
}

// drawRoles draws whether callers have roles, and whether some are strangers to all jobs. It is the last
// to be drawn, for what is drawn before looks at who is there.
func (c *random) drawRoles(d *drawer) {
	if !d.chance(0.2) {
		return
	}
	c.Topology.Controller.Roles = true
	for i := range c.Workload.Clients {
		if g := &c.Workload.Clients[i]; g.Job != nil {
			g.Job.Parent = "" // Which is another's.
		}
	}
	if d.chance(0.5) {
		g := *scenario.Default[cluster.VisitorGroup]()
		g.Name, g.Count, g.Stranger = chaosStrangers, 1+d.IntN(2), true
		g.Stay = cluster.Span{Max: d.between(100*time.Millisecond, 10*time.Second)}
		g.Away = cluster.Span{Max: d.between(0, 5*time.Second)}
		g.Every = cluster.Span{Min: scenario.Duration(10 * time.Millisecond), Max: d.between(20*time.Millisecond, time.Second)}
		c.Workload.Visitors = append(c.Workload.Visitors, g)
	}
}

// narrow leaves little room for some things, so that the run comes past their bounds.
func (c *random) narrow(d *drawer) {
	t := &c.Topology.Controller
	clients, kinds := 0, len(c.Workload.Mix)
	for _, g := range c.Workload.Clients {
		clients += g.Count
	}
	for _, k := range c.Workload.Mix {
		if k.Children > 0 {
			return // Tasks that wait for others need room that only their own ends would make.
		}
	}
	for range 1 + d.IntN(3) {
		switch d.IntN(8) {
		case 0:
			t.MaxJobs = 1 + d.IntN(clients)
		case 1:
			t.MaxClasses = 1 + d.IntN(kinds)
		case 2:
			t.MaxQueuedBytes = scenario.Bytes(2*chaosPayload + d.IntN(chaosPayload))
		case 3:
			t.MaxGrant = scenario.Bytes(1 + d.IntN(chaosPayload))
		case 4:
			t.MaxCalls = 5 + d.IntN(20) + 3*len(c.Hosts())
		case 5:
			t.MaxOpenTasks = 10 + d.IntN(40)
		case 6:
			t.MaxUnknown = 1 + d.IntN(4)
		case 7:
			for i := range c.Topology.Workers {
				c.Topology.Workers[i].MaxUnreported = scenario.Bytes(1 + d.IntN(2*chaosPayload))
			}
		}
	}
}

// nest has the last kind of tasks run tasks of the first, and wait for them.
func (c *random) nest(d *drawer) {
	parent, child := &c.Workload.Mix[len(c.Workload.Mix)-1], &c.Workload.Mix[0]
	parent.Children, parent.ChildKind = 1+d.IntN(3), child.Name
	// A task that waits lends its slot and its resources, but not its place of a limit; and where there is no room
	// for more open tasks, it waits for room that only its own end would make.
	parent.Limit = nil
	child.Unique = nil
	c.Topology.Controller.MaxOpenTasks = scenario.Default[cluster.Controller]().MaxOpenTasks
}

// link has tasks of some kinds need others of their client. Where a controller may forget these, a task that
// comes late would be refused.
func (c *random) link(d *drawer) {
	last := &c.Workload.Mix[len(c.Workload.Mix)-1] // The children are of the first, if there are any.
	for i := range c.Workload.Mix {
		k := &c.Workload.Mix[i]
		if k.Undecodable != "" || last.ChildKind == k.Name || !d.chance(0.7) {
			continue
		}
		k.Needs = 1 + d.IntN(4)
		if k.Cancel != nil {
			k.Cancel.Dependants = d.chance(0.5)
		}
	}
}

// callActors has tasks of some kinds be calls of actors. Where a controller may forget these, a call that comes
// late would be refused.
func (c *random) callActors() {
	last := &c.Workload.Mix[len(c.Workload.Mix)-1] // The children are of the first, if there are any.
	for i := range c.Workload.Mix {
		k := &c.Workload.Mix[i]
		d := c.draw("actors", uint64(i))
		if k.Undecodable != "" || k.ObjectSize > 0 || k.Children > 0 || k.Needs > 0 || k.Limit != nil || k.Unique != nil || last.ChildKind == k.Name || !d.chance(0.4) {
			continue
		}
		k.Actors = c.drawActors(d)
		k.ResultSize = scenario.Default[cluster.TaskKind]().ResultSize
		k.Resources = nil // An actor occupies them for as long as it lives.
		if d.chance(0.4) {
			k.MaxWorkerLosses = 0
		}
	}
}

// drawActors draws what those are like that calls of a kind are made to.
func (c *random) drawActors(d *drawer) *cluster.Actors {
	a := scenario.Default[cluster.Actors]()
	a.Count, a.Own, a.Checkpoints, a.Restarts = oneOf(d, 1, 2, 3, 8), d.chance(0.3), d.chance(0.5), chaosLosses
	if !a.Checkpoints && d.chance(0.5) {
		a.Concurrency = 2 + d.IntN(3)
	}
	a.Construct.Max = scenario.Duration(oneOf(d, 0, 20*time.Millisecond, 300*time.Millisecond, time.Second))
	a.Construct.Min = a.Construct.Max / 10
	if d.chance(0.2) {
		a.Restarts = d.IntN(4)
	}
	if d.chance(0.2) {
		a.Failures = oneOf(d, scenario.Probability(0.1), 0.5)
	}
	if d.chance(0.25) {
		a.DeletedAfter = &cluster.Span{Max: d.between(100*time.Millisecond, c.span/2)}
	}
	return a
}

// drawSchedules adds schedules of one kind, and a client that has them, which submits nothing else.
func (c *random) drawSchedules(d *drawer) {
	g := *scenario.Default[cluster.ClientGroup]()
	g.Name, g.Tasks, g.Arrival.Start = chaosPlanner, 1+d.IntN(4), d.between(0, c.span/4)
	k := c.drawKind(c.draw("schedules", 1), "timed")
	k.NotBefore, k.ObjectSize, k.Unique = nil, 0, nil
	k.Schedule = &cluster.Schedule{
		Cron: fmt.Sprintf("@every %ds", oneOf(d, 1, 2, 5)), CatchUp: oneOf(d, cluster.CatchUpLast, cluster.CatchUpAll, cluster.CatchUpNone),
		Overlaps: d.chance(0.6), OneName: d.chance(0.3),
	}
	if d.chance(0.1) {
		k.Schedule.Cron = "* * * * *"
	}
	lasts := c.span
	if k.Schedule.OneName {
		lasts /= time.Duration(g.Tasks)
	}
	k.Cancel = &cluster.Cancel{Probability: 1, After: cluster.Span{Min: scenario.Duration(time.Second), Max: scenario.Duration(time.Second) + d.between(0, lasts)}}
	g.Kinds = []string{k.Name}
	c.Workload.Mix, c.Workload.Clients = append(c.Workload.Mix, k), append(c.Workload.Clients, g)
}

// runs returns how many runs a schedule of a kind has at most.
func runs(k *cluster.TaskKind) int {
	every, err := time.ParseDuration(strings.TrimPrefix(k.Schedule.Cron, "@every "))
	if err != nil {
		every = time.Minute
	}
	return 1 + int(time.Duration(k.Cancel.After.Max)/every)
}

// drawPoison adds a few tasks that take down whatever worker runs them, and somebody who submits
// them. More of them would leave no time for anything else.
func (c *random) drawPoison(d *drawer) {
	k := *scenario.Default[cluster.TaskKind]()
	k.Name, k.CrashesWorker, k.MaxWorkerLosses = "poison", true, d.IntN(3)
	start := d.between(0, c.span/2)
	if c.Topology.Controller.Store == cluster.StorePebble && d.chance(0.5) {
		k.Actors = scenario.Default[cluster.Actors]()
		k.Actors.Restarts = d.IntN(3)
	}
	c.Workload.Mix = append(c.Workload.Mix, k)
	g := *scenario.Default[cluster.ClientGroup]()
	g.Name, g.Tasks, g.Kinds = chaosVillain, 1+d.IntN(3), []string{k.Name}
	g.Arrival.Start = start
	c.Workload.Clients = append(c.Workload.Clients, g)
}

func (c *random) drawClients(d *drawer, most int) cluster.ClientGroup {
	g := *scenario.Default[cluster.ClientGroup]()
	g.Count, g.Tasks = 1+d.IntN(2), 5+d.IntN(most-4)
	a := &g.Arrival
	a.Start = d.between(0, c.span/4)
	if d.chance(0.8) {
		last := c.span / 10 * time.Duration(2+d.IntN(6))
		a.Rate = scenario.RateOf(math.Ceil(float64(g.Tasks)*float64(time.Minute)/float64(last)), time.Minute)
		a.Pattern = oneOf(d, "even", "random")
	}
	if d.chance(0.3) {
		a.Batch = 2 + d.IntN(min(10, g.Tasks-1))
	}
	return g
}

func (c *random) drawKind(d *drawer, name string) cluster.TaskKind {
	k := *scenario.Default[cluster.TaskKind]()
	k.Name, k.Weight, k.MaxWorkerLosses = name, 1+d.IntN(4), chaosLosses
	longest := []time.Duration{0, 20 * time.Millisecond, 300 * time.Millisecond, time.Second, 2 * time.Second, 8 * time.Second}
	if c.real {
		longest = longest[:4]
	}
	k.Work.Max = scenario.Duration(oneOf(d, longest...))
	k.Work.Min = k.Work.Max / 10
	if d.chance(0.2) {
		k.PayloadSize, k.ResultSize = scenario.Bytes(d.IntN(chaosPayload)), scenario.Bytes(d.IntN(chaosPayload))
	}
	if d.chance(0.25) {
		k.Priority = d.IntN(2*chaosPriority+1) - chaosPriority
	}
	if d.chance(0.2) {
		k.MaxWorkerLosses = d.IntN(4)
	}
	c.drawFailures(d, &k)
	c.drawRequirements(d, &k)
	if !c.real && d.chance(0.15) {
		k.ObjectSize = oneOf(d, scenario.Bytes(1000), 40<<10)
	}
	if d.chance(0.1) {
		k.NotBefore = &cluster.Span{Max: d.between(100*time.Millisecond, c.span/2)}
	}
	if d := c.draw("limit of "+name, 0); d.chance(0.2) {
		k.Limit = c.drawLimit(d)
	}
	if d := c.draw("keys of "+name, 0); d.chance(0.15) {
		k.Unique = c.drawKeys(d)
	}
	return k
}

// drawLimit draws a limit of few, so that kinds share some. A parent and its children have none in common, see nest.
func (c *random) drawLimit(d *drawer) *cluster.Limit {
	l := scenario.Default[cluster.Limit]()
	l.Name, l.Key = oneOf(d, "limit-a", "limit-b"), oneOf(d, "", "", "key")
	if d.chance(0.7) {
		l.Concurrent = 1 + d.IntN(4)
	}
	if l.Concurrent == 0 || d.chance(0.4) {
		l.Starts, l.Period = 1+d.IntN(10), d.between(100*time.Millisecond, 2*time.Second)
	}
	return l
}

// drawFailures draws how tasks end other than with a value at the first attempt.
func (c *random) drawFailures(d *drawer, k *cluster.TaskKind) {
	switch d.IntN(12) {
	case 0, 1, 2:
		k.FailureProbability, k.Retries = oneOf(d, scenario.Probability(0.05), 0.2, 0.5), d.IntN(5)
		if k.Retries == 4 {
			k.DetailsSize = oneOf(d, scenario.Bytes(0), 64, chaosPayload)
			k.FinalFailures, k.RetryAfter = 0.2, &cluster.Span{Max: d.between(10*time.Millisecond, 3*time.Second)}
		}
	case 3, 4:
		k.FailFirst = 1 + d.IntN(3)
		k.Retries = k.FailFirst + d.IntN(2)
	case 5:
		k.Undecodable = oneOf(d, "input", "result", "error")
	}
	if d.chance(0.5) {
		base := d.between(20*time.Millisecond, 500*time.Millisecond)
		k.Backoff = &cluster.Backoff{Base: base, Factor: oneOf(d, 1, 1.5, 2, 3), Cap: max(base, scenario.Duration(oneOf(d, time.Second, 5*time.Second)))}
	}
	switch d.IntN(10) {
	case 0:
		k.ExecutionTimeout = d.between(time.Duration(k.Work.Max)/2, 2*time.Duration(k.Work.Max))
		k.IgnoresStop = d.chance(0.3)
	case 1:
		k.SchedulingTimeout = d.between(time.Second, c.span/2)
	case 2:
		k.Cancel = &cluster.Cancel{Probability: oneOf(d, scenario.Probability(0.2), 0.6, 1), After: cluster.Span{Max: d.between(10*time.Millisecond, 3*time.Second)}}
		k.IgnoresStop = d.chance(0.3)
	}
}

// drawRequirements draws which workers can run a task: those of one group at least.
func (c *random) drawRequirements(d *drawer, k *cluster.TaskKind) {
	g := &c.Topology.Workers[d.IntN(len(c.Topology.Workers))]
	if g.FailureProbability > 0 {
		g = &c.Topology.Workers[0] // One that fails all it gets is given less and less, which takes more time than there is.
	}
	if d.chance(0.2) {
		k.Labels = g.Labels
	}
	if all := g.Resources["cpu"]; all > 0 && d.chance(0.4) {
		k.Resources = map[string]int64{"cpu": 250 * (1 + d.Int64N(all/250))}
		if d.chance(0.3) {
			k.Resources["gpu"] = 1
		}
	}
}

// waitsForTime says whether tasks are not to be granted before a time.
func (c *random) waitsForTime() bool {
	return slices.ContainsFunc(c.Workload.Mix, func(k cluster.TaskKind) bool { return k.NotBefore != nil })
}

// bound returns how long it takes at most, once all is well, until all that was submitted has
// ended. It is what the tasks take that may all still be open, twice; and the longest waits that a
// fault leaves behind one after the other: a few sessions of dead workers, deadlines of polls,
// callers that ask less and less often.
func (c *random) bound() time.Duration {
	var work time.Duration
	for _, g := range c.Workload.Clients {
		weights := 0
		for i := range c.Workload.Mix {
			if k := &c.Workload.Mix[i]; g.Submits(k) {
				weights += k.Weight
			}
		}
		for i := range c.Workload.Mix {
			if k := &c.Workload.Mix[i]; g.Submits(k) {
				tasks := g.Count * (g.Tasks*k.Weight/weights + k.Weight)
				if k.Schedule != nil {
					work += time.Duration(g.Tasks) * time.Duration(k.Cancel.After.Max)
					tasks *= runs(k)
				}
				work += time.Duration(tasks) * c.cost(k) / time.Duration(c.lanes(k))
			}
		}
	}
	if c.forgets() {
		// A client asks for one forgotten task after the other, and an answer that is lost takes it
		// a minute.
		for _, g := range c.Workload.Clients {
			work += time.Duration(float64(g.Tasks) * 2 * float64(c.Scenario.Scenario.Topology.Network.Loss) * float64(time.Minute))
		}
	}
	for _, g := range c.Workload.Clients {
		if g.Leaves != nil {
			work += time.Duration(g.Jobs) * time.Duration(g.Leaves.Away.Max)
		}
	}
	if c.waitsForTime() {
		for i := range c.Faults {
			if step := c.Faults[i].Action.ClockStep; step != nil {
				work += max(-time.Duration(step.By), 0)
			}
		}
	}
	const waits = 2 * time.Minute
	return (2*work + 4*time.Duration(c.Topology.Controller.SessionTTL) + waits).Round(time.Second)
}

// cost returns how long a task keeps a lane at most.
func (c *random) cost(k *cluster.TaskKind) time.Duration {
	// An attempt takes a few messages, of which some are lost until their caller's deadline.
	n := &c.Scenario.Scenario.Topology.Network
	const deadline = 30 * time.Second
	attempt := time.Duration(k.Work.Max) + 10*time.Duration(n.Latency.Mean) + time.Duration(float64(n.Loss)*float64(4*deadline))
	if k.Cancel != nil || k.ExecutionTimeout > 0 {
		attempt += time.Duration(c.Topology.Controller.CancelGrace)
	}
	if k.NotBefore != nil {
		attempt += time.Duration(k.NotBefore.Max)
	}
	for i := range c.Workload.Mix {
		if l := c.Workload.Mix[i].Limit; l != nil && k.Limit != nil && l.Name == k.Limit.Name && l.Starts > 0 {
			attempt += time.Duration(l.Period) // And each start takes its part of that, however many lanes there are.
		}
	}
	if k.CrashesWorker {
		attempt += cluster.PoisonDown + time.Duration(c.Topology.Controller.SessionTTL)
	}
	if k.Children > 0 {
		attempt += time.Duration(k.Children) * c.cost(c.TaskKind(k.ChildKind))
	}
	if a := k.Actors; a != nil {
		constructed := time.Duration(a.Construct.Max)
		if a.Failures > 0 {
			constructed = 4 * (constructed + backoffOf(k)) // Half of them fail at most.
		}
		attempt += constructed
	}
	attempts := 1 + k.Retries
	if k.CrashesWorker {
		attempts += k.MaxWorkerLosses
	}
	return time.Duration(attempts)*attempt + time.Duration(k.Retries)*backoffOf(k)
}

// backoffOf returns the longest delay before another attempt.
func backoffOf(k *cluster.TaskKind) time.Duration {
	backoff := time.Second
	if k.Backoff != nil {
		backoff = time.Duration(k.Backoff.Cap)
	}
	if k.RetryAfter != nil {
		backoff = max(backoff, time.Duration(k.RetryAfter.Max))
	}
	return backoff
}

// lanes returns how many tasks of a kind run at once.
func (c *random) lanes(k *cluster.TaskKind) int {
	lanes := 0
	for _, g := range c.Topology.Workers {
		if zone := k.Labels["zone"]; g.FailureProbability > 0 || zone != "" && zone != g.Labels["zone"] {
			continue
		}
		each := g.Slots
		for name, need := range k.Resources { // order-free: the least of all
			each = min(each, int(g.Resources[name]/need))
		}
		lanes += g.Count * each
	}
	if k.Actors != nil {
		lanes = min(lanes, k.Actors.Count) // A call that is tried again keeps those of its caller waiting that come after.
	}
	for i := range c.Workload.Mix {
		if l := c.Workload.Mix[i].Limit; l != nil && k.Limit != nil && l.Name == k.Limit.Name && l.Concurrent > 0 {
			lanes = min(lanes, l.Concurrent)
		}
	}
	return lanes
}

package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// drawFaults draws some faults, of kinds that are each as likely as the others.
func (c *random) drawFaults() {
	d := c.draw("faults", 0)
	count := 2 + d.IntN(7)
	if c.real {
		count = 2 + d.IntN(4)
	}
	// A controller that finds its disk full when it starts does not, as it should. So in a run the
	// disk is full, or the controller dies, as it does of a disk that fails.
	full := d.chance(0.2)
	for i := range count {
		s := &striker{random: c, drawer: c.draw("fault", uint64(i)), mortal: !full}
		var actions []scenario.Actions
		for _, a := range scenario.Examples() {
			if s.fits(&a, full) {
				actions = append(actions, a)
			}
		}
		f := *scenario.Default[scenario.Fault]()
		f.Action = oneOf(s.drawer, actions...)
		f.ID = fmt.Sprintf("%s-%d", f.Action.Key(), i+1)
		s.strength(&f.Action)
		switch {
		case f.Action.OnHost() && (f.Action.AtTime() || s.chance(0.6)):
			s.onHosts(&f)
		case f.Action.Partition != nil:
			s.partition(&f)
		default:
			s.onMessages(&f)
		}
		c.Faults = append(c.Faults, f)
	}
}

// A striker draws one fault.
type striker struct {
	*random
	*drawer

	// Whether the controller may crash.
	mortal bool
}

// fits says whether an action is one for this cluster.
func (s *striker) fits(a *scenario.Actions, full bool) bool {
	if s.real && a.OnlySimulated() != "" || a.DiskFull != nil && !full || a.DiskError != nil && full {
		return false
	}
	switch {
	case a.OnStandby():
		return s.shared()
	case a.OnDisk() && s.shared():
		return a.Backup == nil
	default:
		return !a.OnDisk() || s.Topology.Controller.Store == cluster.StorePebble
	}
}

// scale returns one of two times: of runs in virtual time, and on processes.
func (s *striker) scale(simulated, wall time.Duration) time.Duration {
	if s.real {
		return wall
	}
	return simulated
}

// strength draws what an action is like, where there is more than one way.
func (s *striker) strength(a *scenario.Actions) {
	const least = 10 * time.Millisecond
	ttl := time.Duration(s.Topology.Controller.SessionTTL)
	switch {
	case a.Delay != nil:
		most := s.scale(3*time.Second, 600*time.Millisecond)
		mean := s.between(least, most)
		a.Delay = oneOf(s.drawer, &scenario.Delay{For: mean}, &scenario.Delay{To: mean}, &scenario.Delay{Mean: mean}, &scenario.Delay{Mean: mean, Deviation: mean / 2})
	case a.Error != nil:
		// Others are answers, after which nobody asks again: also resource_exhausted, if it is not
		// the controller who says with it that it is full, because then the request is too large
		// for something on its way.
		a.Error = &scenario.Error{Code: oneOf(s.drawer, "unavailable", "deadline_exceeded"), Message: "by chance"}
	case a.Duplicate != nil:
		a.Duplicate.Copies = 1 + s.IntN(3)
	case a.Reorder != nil:
		a.Reorder.Within = s.between(least, s.scale(2*time.Second, 300*time.Millisecond))
	case a.Truncate != nil:
		a.Truncate.After = scenario.Bytes(s.IntN(200))
	case a.Reset != nil:
		a.Reset.After = scenario.Bytes(s.IntN(200))
	case a.Throttle != nil:
		a.Throttle.Rate = oneOf(s.drawer, scenario.Throughput(1<<10), 8<<10, 64<<10)
	case a.Partition != nil:
		a.Partition.OneWay = s.chance(0.4)
	case a.Pause != nil:
		a.Pause.For = s.between(500*time.Millisecond, 2*ttl)
	case a.Restart != nil:
		a.Restart.Down = s.between(200*time.Millisecond, s.scale(5*time.Second, 2*time.Second))
	case a.Stop != nil:
		a.Stop.Grace, a.Stop.Down = s.leaving()
	case a.Drain != nil:
		a.Drain.Grace, a.Drain.Down = s.leaving()
	case a.Suspend != nil:
		a.Suspend.For = s.between(500*time.Millisecond, 2*ttl)
	case a.ClockStep != nil:
		// From less than anything waits for to more than anything does.
		short, long := s.between(least, time.Minute), s.between(time.Minute, 24*time.Hour)
		a.ClockStep.By = scenario.Step(oneOf(s.drawer, short, long))
		if s.chance(0.5) {
			if s.waitsForTime() { // By a clock that was set back, for so much longer.
				a.ClockStep.By = scenario.Step(short)
			}
			a.ClockStep.By = -a.ClockStep.By
		}
	case a.DiskError != nil:
		e := a.DiskError
		e.On = oneOf(s.drawer, scenario.DiskReads, scenario.DiskWrites, scenario.DiskSyncs, scenario.DiskAll)
		if e.First = 0; s.chance(0.5) {
			e.First = 1 + s.IntN(20)
		}
		e.For, e.Down = s.between(200*time.Millisecond, 5*time.Second), s.between(200*time.Millisecond, 2*time.Second)
	case a.SlowDisk != nil:
		a.SlowDisk.By, a.SlowDisk.For = s.between(least, time.Second), s.between(time.Second, 20*time.Second)
	case a.Failover != nil:
		if s.chance(0.5) {
			a.Failover.Lingers = s.between(500*time.Millisecond, 15*time.Second)
		}
	case a.DiskFull != nil:
		a.DiskFull.For = s.between(500*time.Millisecond, 10*time.Second)
	}
}

// leaving draws how long a host may take to leave, from no time to more than it needs, and how long
// it is gone; 0: until heal.
func (s *striker) leaving() (grace, down scenario.Duration) {
	grace = oneOf(s.drawer, 0, scenario.Duration(200*time.Millisecond), scenario.Duration(2*time.Second), scenario.Duration(s.scale(40*time.Second, 5*time.Second)))
	if s.chance(0.8) {
		down = s.between(200*time.Millisecond, s.scale(5*time.Second, 2*time.Second))
	}
	return grace, down
}

// onHosts lets a fault strike hosts at a time.
func (s *striker) onHosts(f *scenario.Fault) {
	switch {
	case (f.Action.OnDisk() || f.Action.OnStandby()) && s.shared():
		f.Action.Aim(cluster.DatabaseHost)
	case f.Action.OnDisk():
		f.Action.Aim(cluster.ControllerHost)
	default:
		victim := s.victim(f, false)
		f.Action.Aim(victim)
		if victim == cluster.ControllerHost && s.Topology.Controller.Store == cluster.StorePebble && !s.real {
			f.Action.Leave(oneOf(s.drawer, scenario.DiskKept, scenario.DiskPowerLoss, scenario.DiskTorn))
		}
		if victim == cluster.DatabaseHost {
			f.Action.Leave(oneOf(s.drawer, scenario.DiskKept, scenario.DiskPowerLoss))
		}
	}
	w := &f.When
	switch s.IntN(3) {
	case 0:
		w.At = s.between(s.span/20, s.span*9/10)
	case 1:
		w.On = s.event()
		w.At = s.between(0, time.Second)
	default:
		w.At = s.between(s.span/20, s.span/2)
		w.Every = s.between(s.span/10, s.span/3)
		w.Window = &scenario.Window{Until: scenario.Duration(s.span)}
		w.Probability = oneOf(s.drawer, scenario.Probability(1), 0.7, 0.4)
	}
}

// victim draws whom a fault strikes; if it waits for messages, just one host.
func (s *striker) victim(f *scenario.Fault, one bool) string {
	role := cluster.RoleWorker
	lives := !f.Action.EndsHost()
	switch p := s.Float64(); {
	case p < 0.3 && (s.mortal || lives) && f.Action.Drain == nil:
		// A controller that is told to leave is for scenarios that say when: a call that it answers at
		// the very instant has its answer in one piece or two, whichever goroutine is first.
		return s.server(f)
	case p > 0.9 && lives && f.Action.ClockStep == nil && !s.real:
		role = scenario.RoleClient
	}
	if s.chance(0.3) {
		return oneOf(s.drawer, s.named(role)...)
	}
	return s.target(f, role, one)
}

// server draws which of those that others call a fault strikes.
func (s *striker) server(f *scenario.Fault) string {
	if !s.shared() {
		return cluster.ControllerHost
	}
	switch p := s.Float64(); {
	case p < 0.25 && f.Action.Stop == nil:
		return cluster.DatabaseHost
	case p < 0.5:
		return oneOf(s.drawer, s.named(cluster.RoleController)...)
	}
	t := *scenario.Default[scenario.Target]()
	t.Name, t.Role, t.When, t.Again = "leader-for-"+strings.ToLower(f.ID), cluster.RoleController, cluster.WhenLeading, true
	s.Targets = append(s.Targets, t)
	return t.Name
}

// named returns the hosts of a role.
func (s *striker) named(role string) []string {
	return scenario.HostNames(slices.DeleteFunc(s.Hosts(), func(h scenario.Host) bool { return h.Role != role }))
}

// target adds a target for a fault, and returns its name.
func (s *striker) target(f *scenario.Fault, role string, one bool) string {
	t := *scenario.Default[scenario.Target]()
	t.Name, t.Role = "victim-of-"+strings.ToLower(f.ID), role
	if role == cluster.RoleWorker {
		t.When = oneOf(s.drawer, scenario.WhenAny, cluster.WhenIdle, cluster.WhenHolding, cluster.WhenRunning)
	}
	if !one {
		switch s.IntN(5) {
		case 0:
			t.Pick = scenario.Pick{All: true}
		case 1:
			t.Pick = scenario.Pick{N: 1 + s.IntN(len(s.named(role)))}
		}
	}
	t.Again = s.chance(0.7)
	s.Targets = append(s.Targets, t)
	return t.Name
}

// event draws what must happen first.
func (s *striker) event() *scenario.On {
	on := scenario.Default[scenario.On]()
	events := []string{cluster.EventWorkerRegistered, cluster.EventTaskSubmitted, cluster.EventTaskLeased, cluster.EventTaskStarted, cluster.EventTaskEnded, cluster.EventTaskFinished}
	if s.Topology.Controller.Store != cluster.StoreMemory && !s.real {
		events = append(events, cluster.EventCommitWritten, cluster.EventCommitSynced)
	}
	on.Event = oneOf(s.drawer, events...)
	on.Nth = 1 + s.IntN(s.Tasks())
	if on.Event == cluster.EventWorkerRegistered {
		on.Nth = 1 + s.IntN(len(s.named(cluster.RoleWorker)))
	}
	return on
}

// partition draws who is parted from the controller.
func (s *striker) partition(f *scenario.Fault) {
	if s.shared() && s.chance(0.4) {
		s.ofDatabase(f)
		s.window(f)
		return
	}
	role := s.role()
	others := scenario.Names{s.target(f, role, false)}
	if s.chance(0.5) {
		s.Targets = s.Targets[:len(s.Targets)-1]
		others = oneOf(s.drawer, scenario.Names(s.named(role)), scenario.Names{oneOf(s.drawer, s.named(role)...)}, scenario.Names{"*-1"})
	}
	f.Match = &scenario.Match{From: others, To: scenario.Names{cluster.ControllerHost}}
	if s.chance(0.5) {
		f.Match.From, f.Match.To = f.Match.To, f.Match.From
	}
	s.window(f)
}

// ofDatabase has a fault act between controllers and their database.
func (s *striker) ofDatabase(f *scenario.Fault) {
	f.Match = &scenario.Match{From: scenario.Names{cluster.ControllerHost}, To: scenario.Names{cluster.DatabaseHost}}
	if s.chance(0.6) {
		f.Match.From = scenario.Names{oneOf(s.drawer, s.named(cluster.RoleController)...)}
	}
}

// role draws who makes the calls that a fault concerns.
func (s *striker) role() string {
	if s.chance(0.3) {
		return scenario.RoleClient
	}
	return cluster.RoleWorker
}

// onMessages lets a fault act upon messages.
func (s *striker) onMessages(f *scenario.Fault) {
	if s.shared() && !f.Action.OnHost() && f.Action.Impossible(string(faults.ResponseInFlight)) == "" && s.chance(0.4) {
		s.ofDatabase(f)
		f.Match.Phase = string(faults.ResponseInFlight)
		f.Match.Procedure = oneOf(s.drawer, "Commit", "Settle", "Beat", "Take", "Look", "Scan", "")
		s.window(f)
		s.which(f)
		return
	}
	m := &scenario.Match{}
	f.Match = m
	m.Phase = string(oneOf(s.drawer, s.phases(&f.Action)...))
	if f.Action.Duplicate != nil && faults.Phase(m.Phase) == faults.RequestInFlight && s.chance(0.5) {
		f.Action.Duplicate.Later = s.between(0, s.scale(3*time.Second, time.Second))
	}
	role := s.role()
	if f.Action.OnHost() {
		// Who calls may be who is struck, and a client must go on.
		role = cluster.RoleWorker
		m.From = scenario.Names(s.named(role))
	}
	if s.chance(0.75) {
		m.Procedure = oneOf(s.drawer, s.calls(role)...)
	}
	switch {
	case f.Action.OnHost():
		s.struck(f)
	case m.Procedure != "" && s.chance(0.5):
		// Whoever calls it.
	case s.chance(0.4):
		m.From = scenario.Names{s.target(f, role, false)}
	default:
		m.From = oneOf(s.drawer, scenario.Names{oneOf(s.drawer, s.named(role)...)}, scenario.Names(s.named(role)))
	}
	if s.chance(0.2) {
		m.To = scenario.Names{cluster.ControllerHost}
	}
	s.window(f)
	s.which(f)
}

// phases returns where within a call an action can be.
func (s *striker) phases(a *scenario.Actions) []faults.Phase {
	var possible []faults.Phase
	for _, phase := range faults.Phases() {
		switch {
		case a.Impossible(string(phase)) != "":
		case phase.Side() == faults.Server && s.real && a.Pause != nil: // The controller cannot have itself woken.
		case a.EndsHost() && !s.mortal && phase != faults.RequestBeforeSend: // It strikes the controller, if nobody else.
		default:
			possible = append(possible, phase)
		}
	}
	return possible
}

// calls returns the procedures that hosts of a role call in most runs.
func (s *striker) calls(role string) []string {
	if role == cluster.RoleWorker {
		return []string{"RegisterWorker", "LeaseTasks", "ReportTasks", "Heartbeat"}
	}
	procedures := []string{"SubmitTasks", "WatchJob", "GetTaskResult"}
	if slices.ContainsFunc(s.Workload.Clients, func(g cluster.ClientGroup) bool { return g.Waits == cluster.WaitsCall }) {
		procedures = append(procedures, "SubmitTask")
	}
	for i := range s.Workload.Mix {
		if s.Workload.Mix[i].Cancel != nil {
			return append(procedures, "CancelTasks")
		}
	}
	return procedures
}

// struck draws whom a fault strikes that waits for a message: whoever sends or gets it, or somebody
// else.
func (s *striker) struck(f *scenario.Fault) {
	if s.chance(0.5) || s.real && faults.Phase(f.Match.Phase).Side() == faults.Server {
		return
	}
	f.Action.Aim(s.victim(f, true))
}

// window draws when a fault on messages acts.
func (s *striker) window(f *scenario.Fault) {
	from := s.between(0, s.span/2)
	switch s.IntN(4) {
	case 0:
		f.When.On = s.event()
		f.When.Window = &scenario.Window{Until: s.between(s.span/20, s.span/2)}
	case 1:
		f.When.Window = &scenario.Window{From: from}
	default:
		f.When.Window = &scenario.Window{From: from, Until: from + s.between(s.span/20, s.span/2)}
	}
}

// which draws upon which of the messages a fault acts.
func (s *striker) which(f *scenario.Fault) {
	w := &f.When
	if f.Action.OnHost() {
		w.First, w.Skip = 1+s.IntN(3), s.IntN(10)
		return
	}
	n := 8
	torn := f.Action.Truncate != nil || f.Action.Reset != nil
	if torn {
		n = 4
	}
	switch s.IntN(n) {
	case 0:
		w.Nth = 1 + s.IntN(20)
	case 1:
		w.EveryNth = 2 + s.IntN(6)
	case 2:
		w.First, w.Skip = 1+s.IntN(5), s.IntN(10)
	case 3, 4, 5:
		if torn { // Who sees ten torn replies in a row takes that for an answer.
			w.Probability = oneOf(s.drawer, scenario.Probability(0.05), 0.2)
			return
		}
		w.Probability = oneOf(s.drawer, scenario.Probability(0.05), 0.2, 0.5, 0.8)
	}
}

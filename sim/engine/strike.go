package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/sim/scenario"
)

const (
	// choosing is how often a fault looks for a host that does what its target asks for, and
	// maxChoosing for how long; then any host will do.
	choosing    = 10 * time.Millisecond
	maxChoosing = time.Minute
)

// A strike is a fault in a run.
type strike struct {
	*scenario.Fault

	random *rand.Rand
	// The target that the fault names; nil: none.
	target *scenario.Target
	// Whether the event that it waits for has come.
	come bool
	// Actions on hosts, so far.
	fired int
}

// ruleID names the rule that a fault becomes for one of the hosts that its target may be. No id of
// a fault has two dots.
func ruleID(fault, host string) string { return fault + ".." + host }

func faultID(rule string) string {
	id, _, _ := strings.Cut(rule, "..")
	return id
}

// arm puts the faults in force: rules at once, though some sleep until they are woken, and actions
// on hosts in time.
func (e *Run) arm() error {
	plan := faults.Plan{Seed: e.seed}
	for i := range e.Faults {
		f := &e.Faults[i]
		s := &strike{Fault: f, random: e.backend.Rand("fault/" + f.ID), target: e.TargetOf(f)}
		e.strikes = append(e.strikes, s)
		if !f.OnHosts() {
			plan.Rules = append(plan.Rules, e.rules(s)...)
		}
		if f.When.On == nil {
			e.begin(s)
		}
	}
	if err := e.injector.Apply(plan); err != nil {
		return fmt.Errorf("apply faults: %w", err)
	}
	return nil
}

// rules returns the fault as rules: one, or one for each host that its target may be.
func (e *Run) rules(s *strike) []faults.Rule {
	if s.target == nil {
		rule := s.Rule(e.side(s, 0, ""), e.side(s, 1, ""), s.Action.Victim())
		if rule.Action.Target != "" {
			rule.Action.Target = e.Resolve(rule.Action.Target, nil)[0].Name
		}
		return []faults.Rule{rule}
	}
	var rules []faults.Rule
	for _, h := range e.Candidates(s.target) {
		victim := s.Action.Victim()
		if victim != "" {
			victim = h.Name
		}
		rule := s.Rule(e.side(s, 0, h.Name), e.side(s, 1, h.Name), victim)
		rule.ID = ruleID(s.ID, h.Name)
		rule.Event = rule.ID
		if rule.Window.Until > 0 {
			rule.Window.Until -= rule.Window.From
		}
		rule.Window.From = 0 // It is woken then.
		rules = append(rules, rule)
	}
	return rules
}

// side returns the hosts of from (0) or to (1), with one in place of the target.
func (e *Run) side(s *strike, which int, chosen string) faults.Hosts {
	if s.Match == nil {
		return nil
	}
	var found faults.Hosts
	for _, name := range []scenario.Names{s.Match.From, s.Match.To}[which] {
		if s.target != nil && name == s.target.Name {
			found = append(found, chosen)
			continue
		}
		found = append(found, scenario.HostNames(e.Resolve(name, nil))...)
	}
	return found
}

// begin lets a fault's times count from now: the start of the run, or its event.
func (e *Run) begin(s *strike) {
	s.come = true
	now := e.backend.Elapsed()
	switch {
	case s.OnHosts():
		e.backend.After(s.Start(), func() { e.act(s, now) })
	case s.target != nil:
		e.backend.After(s.Start(), func() {
			e.choose(s, func(hosts []string) {
				e.announce(s.onset(hosts, e.backend.Elapsed()-s.Start()))
				for _, h := range hosts {
					e.injector.Signal(ruleID(s.ID, h))
				}
			})
		})
	default:
		e.announce(s.onset(e.side(s, 0, ""), now))
		if s.When.On != nil {
			e.injector.Signal(s.When.On.Signal())
		}
	}
}

// act strikes hosts, and again if the fault says so.
func (e *Run) act(s *strike, begun time.Duration) {
	if e.healed && e.Heal != nil || e.over {
		return
	}
	if s.random.Float64() < float64(s.When.Probability) {
		e.choose(s, func(hosts []string) { e.hit(s, hosts) })
	}
	next := e.backend.Elapsed() + time.Duration(s.When.Every)
	if s.When.Every == 0 || s.When.Window != nil && s.When.Window.Until > 0 && next >= begun+time.Duration(s.When.Window.Until) {
		return
	}
	e.backend.At(next, func() { e.act(s, begun) })
}

func (e *Run) hit(s *strike, hosts []string) {
	if e.healed && e.Heal != nil || e.over {
		return
	}
	s.fired++
	e.acted(s.ID, 1)
	onset := Onset{Fault: s.ID, Hosts: hosts, From: e.backend.Elapsed()}
	if lasts := s.Action.Lasts(); lasts > 0 {
		onset.Until = onset.From + lasts
	}
	e.announce(onset)
	for _, host := range hosts {
		e.backend.Mark("fault " + s.ID + " strikes " + host)
		s.Action.Strike(stage{e.backend, e}, host)
	}
}

// stage is where the actions of a run are done.
type stage struct {
	Backend

	run *Run
}

// StartAgain implements scenario.Stage.
func (s stage) StartAgain(host string, after time.Duration) { s.run.StartAgain(host, after) }

// Look implements scenario.Stage.
func (s stage) Look(host string, lasts time.Duration) { s.run.system.Look(host, lasts) }

// Backup implements scenario.Stage.
func (s stage) Backup(host string) { s.run.system.Backup(host) }

// Failover implements scenario.Stage.
func (s stage) Failover(host string, lingers bool) {
	if of, ok := s.run.system.(Standbys); ok {
		of.Failover(host, lingers)
	}
}

// Rejoin implements scenario.Stage.
func (s stage) Rejoin(host string) {
	if of, ok := s.run.system.(Standbys); ok {
		of.Rejoin(host)
	}
}

// StartAgain starts a host that has crashed, after a time.
func (e *Run) StartAgain(host string, down time.Duration) {
	e.backend.After(down, func() {
		if !e.over && !e.backend.Running(host) {
			e.backend.Bounce(host)
		}
	})
}

// choose calls a function with the hosts that a fault strikes, once there are some that do what its
// target asks for.
func (e *Run) choose(s *strike, then func(hosts []string)) {
	if s.target == nil {
		then(scenario.HostNames(e.Resolve(s.Action.Victim(), nil)))
		return
	}
	if chosen := e.chosen[s.target.Name]; chosen != nil && !s.target.Again {
		then(chosen)
		return
	}
	e.look(s, e.backend.Elapsed()+maxChoosing, then)
}

func (e *Run) look(s *strike, until time.Duration, then func(hosts []string)) {
	if e.over {
		return
	}
	var all, fit []string
	for _, h := range e.Candidates(s.target) {
		if e.backend.Running(h.Name) {
			all = append(all, h.Name)
			if s.target.When == scenario.WhenAny || e.system.Does(h.Name, s.target.When) {
				fit = append(fit, h.Name)
			}
		}
	}
	n := s.target.Pick.N
	if s.target.Pick.All {
		n = 1 // All that there are, if there is one.
	}
	if len(fit) < n && e.backend.Elapsed() < until {
		e.backend.After(choosing, func() { e.look(s, until, then) })
		return
	}
	arrange := func(hosts []string) { e.arrange(s.target, hosts) }
	arrange(fit)
	if len(fit) < n {
		arrange(all)
		for _, h := range all {
			if !slices.Contains(fit, h) {
				fit = append(fit, h)
			}
		}
	}
	if len(fit) == 0 {
		return
	}
	if !s.target.Pick.All {
		fit = fit[:min(n, len(fit))]
	}
	if s.target.InTurn {
		e.turns[s.target.Name] = e.place(s.target, fit[len(fit)-1]) + 1
	}
	slices.Sort(fit)
	e.chosen[s.target.Name] = fit
	then(fit)
}

// arrange puts those first that a target is to be: by chance, or those whose turn it is. The hosts
// are in their order.
func (e *Run) arrange(t *scenario.Target, hosts []string) {
	if t.InTurn {
		next := slices.IndexFunc(hosts, func(host string) bool { return e.place(t, host) >= e.turns[t.Name] })
		copy(hosts, slices.Concat(hosts[max(next, 0):], hosts[:max(next, 0)]))
		return
	}
	e.targets[t.Name].Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
}

// place returns the place of a host among those that a target may be.
func (e *Run) place(t *scenario.Target, host string) int {
	return slices.IndexFunc(e.Candidates(t), func(h scenario.Host) bool { return h.Name == host })
}

// awaitEvents begins the faults whose event has come.
func (e *Run) awaitEvents() {
	for _, s := range e.strikes {
		if !s.come && e.system.Happened(s.When.On.Event) >= s.When.On.Nth {
			e.begin(s)
		}
	}
}

// heal puts everything right, or notes that it is.
func (e *Run) heal() {
	if e.healed || e.over {
		return
	}
	if e.Heal != nil {
		e.settleFaults()
	}
	e.healed = true
	e.backend.After(superviseAfter, e.unsupervise)
	e.common.Times.Healed = e.backend.Elapsed()
	e.changes++
	e.system.Healed()
}

// settleFaults ends all faults and undoes what they did.
func (e *Run) settleFaults() {
	e.status = append(e.status, e.injector.Status().Rules...)
	e.injector.Clear()
	e.backend.RepairAll()
	e.recall()
	for _, h := range e.hosts {
		if h.Standby {
			stage{e.backend, e}.Rejoin(h.Name)
		}
		if h.Disk {
			e.backend.FillDisk(h.Name, false)
			e.backend.SlowDisk(h.Name, 0)
			for _, on := range []string{scenario.DiskReads, scenario.DiskWrites, scenario.DiskSyncs, scenario.DiskAll} {
				e.backend.FailDisk(h.Name, on, 0)
			}
		}
		if h.Role != scenario.RoleClient && !e.backend.Running(h.Name) {
			e.backend.Bounce(h.Name)
		}
	}
}

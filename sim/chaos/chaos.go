// Package chaos draws random faults for scenarios of any subject: what nobody thought of, done to
// hosts and work that somebody wrote down.
package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"time"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/sim/scenario"
)

// Kinds of faults that every machine and network has: what is drawn unless Options say otherwise.
// Those that are missing here change or repeat what software sends, as proxies and clients may; or
// have it wait for its disk, which without the overlay stalls runs of software that has a mutex locked
// then.
func Kinds() []string {
	return []string{
		"delay", "drop", "reset", "throttle", "hold", "partition", "pause", "crash", "restart", "stop", "suspend", "clockStep", "diskFull", "diskError",
	}
}

// Options say what faults are drawn.
type Options struct {
	// Kinds are keys of the format. None: those of Kinds.
	Kinds []string
	// Span is how long things go wrong. Then everything is put right. 0: DefaultSpan.
	Span time.Duration
	// Redraw has the parts of the faults that are drawn from other seeds: faults or all, which is all of
	// them, or one by its number, such as fault-3.
	Redraw Redraw
}

// DefaultSpan is how long things go wrong unless Options say otherwise.
const DefaultSpan = time.Minute

// maxFaults is the most faults of a scenario.
const maxFaults = 8

// Draw returns a scenario with the hosts, the work and the expectations of another, and in place of
// its faults those of a seed. It is to be run under the same seed. It depends on the scenario, the
// seed and the options alone. That a fault never acts is no failure, because chance put it there;
// what the other expects to happen sometimes, or of its faults and of hosts, is not expected.
//
// An error says that a kind or a part does not exist, or that no fault of the kinds can strike.
func Draw(base *scenario.Scenario, seed uint64, o Options) (*scenario.Scenario, error) {
	text, err := base.Marshal()
	if err != nil {
		return nil, err
	}
	subjects := scenario.Subjects{base.About()}
	file := fmt.Sprintf("%s-chaos-%d.yaml", base.Metadata.Name, seed)
	s, err := subjects.Parse(file, text)
	if err != nil {
		return nil, fmt.Errorf("draw faults for %s: %w", base.Metadata.Name, err)
	}
	span := cmp.Or(o.Span, DefaultSpan)
	s.Metadata.Name = fmt.Sprintf("%s-chaos-%d%s", base.Metadata.Name, seed, o.Redraw.Suffix())
	s.Run.Seeds = scenario.Seeds{First: seed, Last: seed}
	s.Run.MaxVirtualTime = max(s.Run.MaxVirtualTime, scenario.Duration(span)+s.Run.MaxVirtualTime)
	s.Targets, s.Faults = nil, nil
	s.Expect.Eventually = slices.DeleteFunc(s.Expect.Eventually, func(e scenario.Eventually) bool { return ofFaults.MatchString(e.That) })
	s.Expect.Finally = slices.DeleteFunc(s.Expect.Finally, func(e scenario.Expression) bool { return ofFaults.MatchString(e.That) })
	s.Heal = &scenario.Heal{At: scenario.Duration(span)}
	s.Expect.FaultsFired, s.Expect.Sometimes, s.Expect.Outcome = scenario.Names{"none"}, nil, scenario.Outcome{Verdict: scenario.VerdictPass}
	d := newDrawer(s, span)
	kinds, err := d.kinds(o.Kinds)
	if err != nil {
		return nil, err
	}
	// What chance makes may be no scenario: a fault that can never act, say. Then it has another go.
	for attempt := range uint64(maxAttempts) {
		d.Rand = chance.New(o.Redraw.From(seed, PartFaults), "chaos", attempt)
		s.Faults = nil
		for n := range 1 + d.IntN(maxFaults) {
			s.Faults = append(s.Faults, d.draw(kinds, n+1))
		}
		if err := o.Redraw.Check(Parts(s)); err != nil {
			return nil, err
		}
		for i, part := range Each("fault", len(s.Faults)) {
			if other, redrawn := o.Redraw[part]; redrawn {
				d.Rand = chance.New(other, "chaos/"+part, attempt)
				s.Faults[i] = d.draw(kinds, i+1)
			}
		}
		if text, err = s.Marshal(); err != nil {
			return nil, err
		}
		var drawn *scenario.Scenario
		if drawn, err = subjects.Parse(file, text); err == nil {
			return drawn, nil
		}
	}
	return nil, fmt.Errorf("draw faults for %s: chance has made no scenario of seed %d: %w", base.Metadata.Name, seed, err)
}

// maxAttempts is how often chance may have a go.
const maxAttempts = 20

// ofFaults finds expressions about what faults do: those of the other scenario are gone.
var ofFaults = regexp.MustCompile(`\b(faults|hosts)\b`)

// A drawer draws faults for a scenario.
type drawer struct {
	*rand.Rand

	scenario *scenario.Scenario
	span     time.Duration
	servers  []scenario.Host
	// wires are who calls whom.
	wires []wire
}

// A wire is between a host that calls and one that is called.
type wire struct{ from, to string }

func newDrawer(s *scenario.Scenario, span time.Duration) *drawer {
	d := &drawer{scenario: s, span: span}
	hosts := s.Hosts()
	talks := map[[2]string]bool{} // roles
	for _, from := range s.About().Roles {
		for _, to := range s.About().Roles {
			talks[[2]string{from, to}] = s.Talks(from, to)
		}
	}
	for _, to := range hosts {
		if to.Role != scenario.RoleClient {
			d.servers = append(d.servers, to)
		}
		for _, from := range hosts {
			if from != to && talks[[2]string{from.Role, to.Role}] {
				d.wires = append(d.wires, wire{from.Name, to.Name})
			}
		}
	}
	return d
}

// kinds returns the actions of the kinds that can strike here.
func (d *drawer) kinds(names []string) (all []scenario.Actions, err error) {
	if len(names) == 0 {
		names = Kinds()
	}
	examples := scenario.Examples()
	for _, name := range names {
		i := slices.IndexFunc(examples, func(a scenario.Actions) bool { return a.Key() == name })
		if i < 0 {
			known := make([]string, len(examples))
			for i := range examples {
				known[i] = examples[i].Key()
			}
			return nil, scenario.Complain("there is no kind of fault %q", name).SuggestName(name, known)
		}
		a := &examples[i]
		switch {
		case a.OnDisk() && !slices.ContainsFunc(d.servers, func(h scenario.Host) bool { return h.Disk }):
		case a.OnHost() && len(d.servers) == 0:
		case !a.OnHost() && len(d.wires) == 0:
		case a.Backup != nil:
		case a.OnStandby() && !slices.ContainsFunc(d.servers, func(h scenario.Host) bool { return h.Standby }):
		case a.Drain != nil && len(d.drainable()) == 0:
		default:
			all = append(all, *a)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no fault of the kinds %v can strike the hosts of %s: name others", names, d.scenario.Metadata.Name)
	}
	return all, nil
}

// drainable returns the hosts that an operator can drain.
func (d *drawer) drainable() []scenario.Host {
	return slices.DeleteFunc(slices.Clone(d.servers), func(h scenario.Host) bool { return h.Role != d.scenario.About().Drains })
}

// between returns a time between two, in steps that are good to read.
func (d *drawer) between(low, high time.Duration) scenario.Duration {
	const step = 10 * time.Millisecond
	return scenario.Duration((low + time.Duration(d.Int64N(int64(high-low)+1))).Truncate(step))
}

// draw draws the fault of a number, of any kind.
func (d *drawer) draw(kinds []scenario.Actions, number int) scenario.Fault {
	f := scenario.Default[scenario.Fault]()
	f.Action = kinds[d.IntN(len(kinds))].Clone()
	f.ID = fmt.Sprintf("%s-%d", f.Action.Key(), number)
	d.fault(f)
	return *f
}

// fault draws what a fault of a kind is like, whom it strikes, and when.
func (d *drawer) fault(f *scenario.Fault) {
	d.strength(&f.Action)
	if !f.Action.OnHost() {
		d.match(f)
		from := d.between(0, d.span/2)
		f.When.Window = &scenario.Window{From: from, Until: from + d.between(d.span/20, d.span/3)}
		if a := &f.Action; a.Partition == nil && a.Hold == nil {
			chances := []scenario.Probability{0.05, 0.2, 0.5, 1}
			f.When.Probability = chances[d.IntN(len(chances))]
		}
		return
	}
	victims := d.servers
	if f.Action.Drain != nil {
		victims = d.drainable()
	}
	if f.Action.OnDisk() {
		victims = slices.DeleteFunc(slices.Clone(victims), func(h scenario.Host) bool { return !h.Disk })
	}
	i := d.IntN(len(victims))
	f.Action.Aim(victims[i].Name)
	if victims[i].Disk && f.Action.EndsHost() {
		left := []string{scenario.DiskKept, scenario.DiskPowerLoss, scenario.DiskTorn}
		f.Action.Leave(left[d.IntN(len(left))])
	}
	f.When.At = d.between(d.span/20, d.span*9/10)
	if d.IntN(3) == 0 {
		f.When.At = d.between(d.span/20, d.span/2)
		f.When.Every = d.between(d.span/10, d.span/3)
		f.When.Window = &scenario.Window{Until: scenario.Duration(d.span)}
	}
}

// grace draws how long a host may take to leave, from no time to more than most need.
func (d *drawer) grace() scenario.Duration {
	graces := []time.Duration{0, 200 * time.Millisecond, 2 * time.Second, 30 * time.Second}
	return scenario.Duration(graces[d.IntN(len(graces))])
}

// match draws between which hosts messages are.
func (d *drawer) match(f *scenario.Fault) {
	w := d.wires[d.IntN(len(d.wires))]
	m := &scenario.Match{Phase: string(faults.RequestInFlight), To: scenario.Names{w.to}}
	if d.IntN(2) == 0 {
		m.Phase = string(faults.ResponseInFlight)
	}
	partition := f.Action.Partition
	if partition != nil || d.IntN(2) == 0 {
		m.From = scenario.Names{w.from}
	}
	if partition != nil {
		m.Phase = ""
		if partition.OneWay = d.IntN(5) < 2; d.IntN(2) == 0 {
			m.From, m.To = m.To, m.From
		}
	}
	f.Match = m
}

// strength draws what an action is like, where there is more than one way.
func (d *drawer) strength(a *scenario.Actions) {
	const least = 10 * time.Millisecond
	some := func() scenario.Duration { return d.between(500*time.Millisecond, d.span/4) }
	switch {
	case a.Delay != nil:
		a.Delay = &scenario.Delay{Mean: d.between(least, 3*time.Second)}
	case a.Error != nil:
		a.Error = &scenario.Error{Code: "unavailable", Message: "by chance"}
	case a.Duplicate != nil:
		a.Duplicate.Copies = 1 + d.IntN(3)
	case a.Reorder != nil:
		a.Reorder.Within = d.between(least, 2*time.Second)
	case a.Truncate != nil:
		a.Truncate.After = scenario.Bytes(d.IntN(200))
	case a.Reset != nil:
		a.Reset.After = scenario.Bytes(d.IntN(200))
	case a.Throttle != nil:
		a.Throttle.Rate = scenario.Throughput(int64(1<<10) << (3 * d.IntN(3)))
	case a.Pause != nil:
		a.Pause.For = some()
	case a.Restart != nil:
		a.Restart.Down = d.between(200*time.Millisecond, 5*time.Second)
	case a.Stop != nil:
		a.Stop.Grace, a.Stop.Down = d.grace(), d.between(200*time.Millisecond, 5*time.Second)
	case a.Drain != nil:
		a.Drain.Grace, a.Drain.Down = d.grace(), d.between(200*time.Millisecond, 5*time.Second)
	case a.Suspend != nil:
		a.Suspend.For = some()
	case a.ClockStep != nil:
		a.ClockStep.By = scenario.Step(d.between(least, time.Hour))
		if d.IntN(2) == 0 {
			a.ClockStep.By = -a.ClockStep.By
		}
	case a.DiskError != nil:
		e, on := a.DiskError, []string{scenario.DiskReads, scenario.DiskWrites, scenario.DiskSyncs, scenario.DiskAll}
		e.On = on[d.IntN(len(on))]
		if e.First = 0; d.IntN(2) == 0 {
			e.First = 1 + d.IntN(20)
		}
		e.For, e.Down = d.between(200*time.Millisecond, 5*time.Second), d.between(200*time.Millisecond, 2*time.Second)
	case a.SlowDisk != nil:
		a.SlowDisk.By, a.SlowDisk.For = d.between(least, time.Second), some()
	case a.Failover != nil:
		a.Failover.Lingers = some()
	case a.DiskFull != nil:
		a.DiskFull.For = some()
	}
}

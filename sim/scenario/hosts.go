package scenario

import (
	"slices"
	"strconv"

	"github.com/frayrpc/fray/internal/glob"
)

func hostNames(group string, count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = group + "-" + strconv.Itoa(i+1)
	}
	return names
}

// A Host is one of a scenario's topology or workload.
type Host struct {
	Name, Role string
	// Group is the name of its group; that of a host without others is its own.
	Group string
	// Disk and Standby say that it has one.
	Disk, Standby bool
}

// Hosts returns those of the group: NAME-1 to NAME-COUNT, or one of the name.
func (g *Group) Hosts() []Host {
	if g.Count == 0 {
		return []Host{{*g.Name, g.Role, *g.Name, g.Disk, g.Standby}}
	}
	hosts := make([]Host, g.Count)
	for i, name := range hostNames(*g.Name, g.Count) {
		hosts[i] = Host{name, g.Role, *g.Name, g.Disk, g.Standby}
	}
	return hosts
}

// HostNames returns the names of hosts.
func HostNames(hosts []Host) []string {
	return namesOf(hosts, func(h *Host) string { return h.Name })
}

// Hosts returns all hosts, in the order of the groups of the subject's sections.
func (s *Scenario) Hosts() (hosts []Host) {
	for _, g := range s.Sections.Groups() {
		hosts = append(hosts, g.Hosts()...)
	}
	return hosts
}

// HostsOf returns the hosts of a role.
func (s *Scenario) HostsOf(role string) []Host {
	return slices.DeleteFunc(s.Hosts(), func(h Host) bool { return h.Role != role })
}

// Target returns the target of a name, or nil.
func (s *Scenario) Target(name string) *Target {
	return first(s.Targets, func(t *Target) bool { return t.Name == name })
}

// TargetOf returns the target that a fault names, or nil.
func (s *Scenario) TargetOf(f *Fault) *Target {
	names := []string{f.Action.Victim()}
	if f.Match != nil {
		names = slices.Concat(names, f.Match.From, f.Match.To)
	}
	for _, name := range names {
		if t := s.Target(name); t != nil {
			return t
		}
	}
	return nil
}

// Candidates returns the hosts that a target may be.
func (s *Scenario) Candidates(t *Target) []Host {
	return slices.DeleteFunc(s.Hosts(), func(h Host) bool {
		return h.Role != t.Role || t.Group != "" && h.Group != t.Group
	})
}

// Resolve returns the hosts that a name stands for: those of a group or a pattern, the host of the
// name, or those of a target, as the function chooses them. It returns none if the name stands for
// nothing.
func (s *Scenario) Resolve(name string, choose func(*Target) []Host) []Host {
	if t := s.Target(name); t != nil {
		return choose(t)
	}
	return slices.DeleteFunc(s.Hosts(), func(h Host) bool {
		return h.Group != name && !glob.Match(name, h.Name)
	})
}

// Callers returns the hosts that may send what the fault with an id matches; none if there is no
// such fault, or it matches no messages.
func (s *Scenario) Callers(fault string) []Host {
	f := first(s.Faults, func(f *Fault) bool { return f.ID == fault && f.Match != nil })
	if f == nil {
		return nil
	}
	return s.validator().callersOf(f)
}

// Talks says whether hosts of one role call anything at hosts of another.
func (s *Scenario) Talks(from, to string) bool { return s.validator().talks(from, to) }

// validator returns one that is only asked.
func (s *Scenario) validator() *Validator {
	return &Validator{Scenario: s, source: newSource("", nil, s.about), hosts: s.Hosts()}
}

// Victims returns the hosts that a fault may pause, crash or restart.
func (s *Scenario) Victims(f *Fault) []Host {
	if !f.Action.OnHost() {
		return nil
	}
	if victim := f.Action.Victim(); victim != "" {
		return s.Resolve(victim, s.Candidates)
	}
	if f.AtCaller() {
		return s.Callers(f.ID)
	}
	v := s.validator()
	return slices.DeleteFunc(v.side(f.Match.To), func(h Host) bool { return !v.called(h.Role) })
}

// LosesDisk says whether a fault takes a host's disk.
func (s *Scenario) LosesDisk() bool {
	return slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.Action.Leaves() == DiskLost })
}

package scenario

import (
	"slices"
	"strconv"

	"github.com/frayrpc/fray/internal/glob"
)

// ControllerHost is the name of the controller's host.
const ControllerHost = "controller"

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
	// Group is the name of its group; that of the controller is its own.
	Group string
}

// HostNames returns the names of hosts.
func HostNames(hosts []Host) []string {
	return namesOf(hosts, func(h *Host) string { return h.Name })
}

// Hosts returns all hosts: the controller, then workers, then clients, each in the order of the
// file.
func (s *Scenario) Hosts() []Host {
	hosts := []Host{{ControllerHost, RoleController, ControllerHost}}
	for _, g := range s.Topology.Workers {
		for _, name := range g.WorkerHosts() {
			hosts = append(hosts, Host{name, RoleWorker, g.Name})
		}
	}
	for _, g := range s.Workload.Clients {
		for _, name := range g.ClientHosts() {
			hosts = append(hosts, Host{name, RoleClient, g.Name})
		}
	}
	return hosts
}

// WorkerGroup returns the group of workers of a name, or nil.
func (s *Scenario) WorkerGroup(name string) *WorkerGroup {
	return first(s.Topology.Workers, func(g *WorkerGroup) bool { return g.Name == name })
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
	v := validator{Scenario: s, hosts: s.Hosts()}
	return v.callersOf(f)
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
	return s.Resolve(ControllerHost, s.Candidates)
}

// LosesDisk says whether a fault takes the controller's disk.
func (s *Scenario) LosesDisk() bool {
	return slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.Action.Leaves() == DiskLost })
}

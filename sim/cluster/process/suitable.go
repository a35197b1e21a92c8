package process

import (
	"cmp"
	"fmt"
	"time"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// maxHosts is how many hosts a run may have: workers are processes, and each host has an address.
const maxHosts = 200

// Suitable returns why a scenario cannot run on processes within a time, as a
// [*scenario.UnsuitableError], or nil. It does not look at the scenario's run.backends.
func Suitable(s *scenario.Scenario, maxWall time.Duration) error {
	if reason := unsuitable(s, maxWall); reason != "" {
		return &scenario.UnsuitableError{Backend: scenario.BackendProcess, Reason: reason}
	}
	return nil
}

func unsuitable(s *scenario.Scenario, maxWall time.Duration) string {
	latency := s.Topology.Network.Latency
	switch normal := scenario.DefaultLatency(); {
	case len(s.Hosts()) > maxHosts:
		return fmt.Sprintf("it has %d hosts, more than %d", len(s.Hosts()), maxHosts)
	case s.Topology.Network.Loss > 0:
		return "topology.network.loss is for simulated links; write a fault that drops messages"
	case latency != normal:
		return "topology.network.latency is for simulated links; write a fault that delays messages"
	case s.HealAt() >= maxWall:
		return fmt.Sprintf("it heals at %v, and a run may take %v in all", s.HealAt(), maxWall)
	case cluster.Of(s).LastArrival() >= maxWall:
		return fmt.Sprintf("its last tasks come at %v, and a run may take %v in all", cluster.Of(s).LastArrival(), maxWall)
	}
	if cluster.Of(s).Topology.Controller.Store == cluster.StoreShared {
		return "its controllers share a database, which is simulated"
	}
	c, usual := cluster.Of(s).Topology.Controller, scenario.Default[cluster.Controller]()
	if c.MaxClasses != usual.MaxClasses || c.MaxJobs != usual.MaxJobs || c.MaxSessions != usual.MaxSessions ||
		c.MaxWatchers != usual.MaxWatchers || c.MaxCalls != usual.MaxCalls || c.MaxUnknown != usual.MaxUnknown || c.MaxGrant != usual.MaxGrant {
		return "maxClasses, maxJobs, maxSessions, maxWatchers, maxCalls, maxUnknown and maxGrant are no flags of a controller"
	}
	for i := range s.Faults {
		if reason := unsuitableFault(s, &s.Faults[i]); reason != "" {
			return "fault " + s.Faults[i].ID + " " + reason
		}
	}
	return ""
}

// unsuitableFault returns what of a fault cannot be done to processes.
func unsuitableFault(s *scenario.Scenario, f *scenario.Fault) string {
	if reason := f.Action.OnlySimulated(); reason != "" {
		return reason
	}
	if event := f.When.On; event != nil && cluster.OnDisk(event.Event) {
		return "waits for " + event.Event + ", which nobody outside of the controller sees"
	}
	victims := s.Victims(f)
	for _, h := range victims {
		if h.Role == scenario.RoleClient {
			return "strikes the client " + h.Name + ", which has no process of its own"
		}
	}
	if f.Match == nil {
		return ""
	}
	rule := f.Rule(nil, nil, f.Action.Victim())
	if cmp.Or(rule.Side, rule.Phase.Side()) == faults.Server {
		if f.Action.Pause != nil {
			return "pauses a host in the middle of the controller's work, and the controller cannot have itself woken: match it in flight"
		}
		for _, h := range victims {
			if h.Role != cluster.RoleController {
				return "strikes " + h.Name + " in the middle of the controller's work, and the controller can strike nobody but itself: match it in flight"
			}
		}
	}
	if !ownAddresses && !atCaller(&rule) && (len(f.Match.From) > 0 || f.Action.Partition != nil) {
		return "needs the controller to know who calls it, and on this system all hosts have one address"
	}
	return ""
}

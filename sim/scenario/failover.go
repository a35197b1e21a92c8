package scenario

import (
	"cmp"
	"slices"
	"time"
)

// Failover has a host's standby take over.
type Failover struct {
	Target  string   `yaml:"target" default:"{standby}" doc:"The host, which has a standby."`
	Lingers Duration `yaml:"lingers" default:"0" doc:"How long some of its callers, by chance, reach what was replaced: it answers what is read, and acknowledges nothing." example:"5s"`
}

func (*Failover) example() Action { return &Failover{} }

func (f *Failover) check(v *Validator, fault *Fault) {
	found := v.Resolve(f.Target, v.Candidates)
	if i := slices.IndexFunc(found, func(h Host) bool { return !h.Standby }); i >= 0 || v.subject.Standby == "" && len(found) == 0 {
		v.Report(Complain("fault %s has a standby take over, and %s has none", fault.ID, f.Target).Suggest("%s", cmp.Or(v.subject.StandbyAdvice, "remove the fault: no host has one")),
			&f.Target)
	}
}

func (f *Failover) victim() *string { return &f.Target }

func (*Failover) realm() realm { return ofStandby }

func (*Failover) onlySimulated() string { return "has a standby take over, which is a simulated one" }

func (f *Failover) lasts() (time.Duration, bool) { return time.Duration(f.Lingers), true }

func (f *Failover) strike(on Stage, host string) {
	on.Failover(host, f.Lingers > 0)
	if f.Lingers > 0 {
		on.After(time.Duration(f.Lingers), func() { on.Rejoin(host) })
	}
}

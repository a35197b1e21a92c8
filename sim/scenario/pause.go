package scenario

import (
	"time"

	"github.com/frayrpc/fray/faults"
)

// Pause makes a host stand still.
type Pause struct {
	Target string   `yaml:"target" doc:"The host, or the target. With match, the default is who sends what matched (in the phases of a client) or gets it." example:"victim"`
	For    Duration `yaml:"for" required:"true" doc:"How long." example:"20s"`
}

func (*Pause) example() Action { return &Pause{For: Duration(time.Second)} }

func (p *Pause) fault(victim string) faults.Action {
	return faults.Action{Kind: faults.Pause, Wait: time.Duration(p.For), Target: victim}
}

func (p *Pause) check(v *Validator, _ *Fault) {
	v.NeedsTime(&p.For, "a pause of no time does nothing", "20s")
}

func (p *Pause) victim() *string { return &p.Target }

func (p *Pause) lasts() (time.Duration, bool) { return time.Duration(p.For), true }

func (p *Pause) strike(on Stage, host string) {
	on.Pause(host)
	on.After(time.Duration(p.For), func() { on.Resume(host) })
}

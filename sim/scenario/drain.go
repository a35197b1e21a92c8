package scenario

import (
	"time"
)

// Drain has an operator take a host's work from it, upon which it leaves by itself.
type Drain struct {
	Target string   `yaml:"target" doc:"The host, or the target: {drains}." example:"victim"`
	Grace  Duration `yaml:"grace" default:"30s" doc:"How long what it does may go on, up to 24h." example:"10s"`
	Down   Duration `yaml:"down" doc:"How long it is gone before it starts again, from its end. Without it: until heal." example:"1s"`
}

func (*Drain) example() Action { return &Drain{Grace: Duration(30 * time.Second)} }

func (d *Drain) check(v *Validator, f *Fault) {
	if v.subject.Drains == "" {
		v.Report(Complain("nobody drains hosts of %s", v.subject.Name).Suggest("remove the fault, or write a stop"), &f.Action.Drain)
		return
	}
	v.checkLeave(&d.Grace, &d.Down)
	for _, h := range v.Resolve(d.Target, v.Candidates) {
		if h.Role != v.subject.Drains {
			v.Report(Complain("fault %s drains %s, which is a %s", f.ID, h.Name, h.Role).Suggest("strike a %s, or write a stop", v.subject.Drains), &d.Target, &f.Action)
			return
		}
	}
}

func (d *Drain) victim() *string { return &d.Target }

func (*Drain) realm() realm { return ofOperators }

func (*Drain) endsHost() {}

func (d *Drain) lasts() (time.Duration, bool) { return leaveLasts(d.Grace, d.Down) }

func (d *Drain) strike(on Stage, host string) {
	on.Drain(host, time.Duration(d.Grace), time.Duration(d.Down))
}

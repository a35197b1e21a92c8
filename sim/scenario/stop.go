package scenario

import (
	"time"
)

// MaxGrace is the longest that a host can be given to leave.
const MaxGrace = 24 * time.Hour

// Stop tells a host to leave, as a supervisor does.
type Stop struct {
	Target string   `yaml:"target" doc:"The host, or the target." example:"victim"`
	Grace  Duration `yaml:"grace" default:"30s" doc:"How long it may take to end, up to 24h. Then it is killed. With 0 it is killed as soon as it is told." example:"10s"`
	Down   Duration `yaml:"down" doc:"How long it is gone before it starts again, from its end. Without it: until heal." example:"1s"`
}

func (*Stop) example() Action { return &Stop{Grace: Duration(30 * time.Second)} }

func (s *Stop) check(v *Validator, _ *Fault) { v.checkLeave(&s.Grace, &s.Down) }

func (s *Stop) victim() *string { return &s.Target }

func (*Stop) realm() realm { return ofOperators }

func (*Stop) endsHost() {}

func (s *Stop) lasts() (time.Duration, bool) { return leaveLasts(s.Grace, s.Down) }

func (s *Stop) strike(on Stage, host string) {
	on.Leave(host, time.Duration(s.Grace), time.Duration(s.Down))
}

// leaveLasts returns how long a host that leaves is kept from its work at most, and whether it
// comes back by itself.
func leaveLasts(grace, down Duration) (time.Duration, bool) {
	return time.Duration(grace + down), down > 0
}

// checkLeave checks the times of a host that leaves.
func (v *Validator) checkLeave(grace, down *Duration) {
	if *grace > Duration(MaxGrace) {
		v.Report(Complain("a host that leaves may take 24h, and not %v", *grace).Suggest("write a shorter grace"), grace)
	}
	if v.Has(down) {
		v.NeedsTime(down, "a host that is down for no time never left", "1s, or leave it out for a host that stays away")
	}
}

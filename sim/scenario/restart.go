package scenario

import (
	"time"

	"github.com/frayrpc/fray/faults"
)

// Restart ends a host, which starts again.
type Restart struct {
	Target string   `yaml:"target" doc:"The host, or the target. With match, the default is who sends what matched (in the phases of a client) or gets it." example:"victim"`
	Down   Duration `yaml:"down" default:"1s" doc:"How long it is gone."`
	Disk   string   `yaml:"disk" enum:"kept,lost,power-loss,torn" default:"kept" doc:"What is left of the disk, as with crash."`
}

func (*Restart) example() Action { return &Restart{Down: Duration(time.Second), Disk: DiskKept} }

func (r *Restart) fault(victim string) faults.Action {
	return faults.Action{Kind: faults.Restart, Wait: time.Duration(r.Down), Target: victim}
}

func (r *Restart) check(v *Validator, _ *Fault) {
	v.NeedsTime(&r.Down, "a host that is down for no time never left", "1s")
}

func (r *Restart) victim() *string { return &r.Target }

func (*Restart) endsHost() {}

func (r *Restart) lasts() (time.Duration, bool) { return time.Duration(r.Down), true }

func (r *Restart) strike(on Stage, host string) {
	on.Crash(host, r.Disk)
	on.StartAgain(host, time.Duration(r.Down))
}

func (r *Restart) disk() *string { return &r.Disk }

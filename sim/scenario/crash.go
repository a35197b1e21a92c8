package scenario

import (
	"time"

	"github.com/frayrpc/fray/faults"
)

// What a crash leaves of a host's disk.
const (
	DiskKept      = "kept"
	DiskLost      = "lost"
	DiskPowerLoss = "power-loss"
	DiskTorn      = "torn"
)

// Crash ends a host.
type Crash struct {
	Target string `yaml:"target" doc:"The host, or the target. With match, the default is who sends what matched (in the phases of a client) or gets it." example:"victim"`
	Disk   string `yaml:"disk" enum:"kept,lost,power-loss,torn" default:"kept" doc:"What is left of the disk of a controller that has one: what was written (kept); nothing (lost); what was synced and by chance some of the rest (power-loss); what was synced and a part of what was being written (torn)."`
}

func (*Crash) example() Action { return &Crash{Disk: DiskKept} }

func (*Crash) fault(victim string) faults.Action {
	return faults.Action{Kind: faults.Crash, Target: victim}
}

func (c *Crash) victim() *string { return &c.Target }

func (*Crash) endsHost() {}

func (*Crash) lasts() (time.Duration, bool) { return 0, false }

func (c *Crash) strike(on Stage, host string) { on.Crash(host, c.Disk) }

func (c *Crash) disk() *string { return &c.Disk }

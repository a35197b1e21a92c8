package scenario

import (
	"time"

	"github.com/frayrpc/fray/faults"
)

// DiskFull fills a host's disk.
type DiskFull struct {
	Target string   `yaml:"target" default:"controller" doc:"The host: a controller that has a disk."`
	For    Duration `yaml:"for" required:"true" doc:"How long." example:"20s"`
}

func (*DiskFull) example() Action { return &DiskFull{For: Duration(time.Second)} }

func (*DiskFull) fault(string) faults.Action { return faults.Action{} }

func (d *DiskFull) check(v *validator, _ *Fault) {
	if d.For == 0 {
		v.report(complain("a disk that is full for no time is not").suggest("write a time such as 20s"), &d.For)
	}
}

func (d *DiskFull) victim() *string { return &d.Target }

func (*DiskFull) realm() realm { return ofDisk }

func (d *DiskFull) lasts() (time.Duration, bool) { return time.Duration(d.For), true }

func (d *DiskFull) strike(on Stage, _ string) {
	on.FillDisk(true)
	on.Look(time.Duration(d.For))
	on.After(time.Duration(d.For), func() { on.FillDisk(false) })
}

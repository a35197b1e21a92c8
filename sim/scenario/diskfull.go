package scenario

import (
	"time"
)

// DiskFull fills a host's disk.
type DiskFull struct {
	Target string   `yaml:"target" default:"{disk}" doc:"The host, which has a disk."`
	For    Duration `yaml:"for" required:"true" doc:"How long." example:"20s"`
}

func (*DiskFull) example() Action {
	return &DiskFull{For: Duration(time.Second)}
}

func (d *DiskFull) check(v *Validator, _ *Fault) {
	v.NeedsTime(&d.For, "a disk that is full for no time is not", "20s")
}

func (d *DiskFull) victim() *string { return &d.Target }

func (*DiskFull) realm() realm { return ofDisk }

func (*DiskFull) onlySimulated() string {
	return "fills a host's disk, which is this machine's"
}

func (d *DiskFull) lasts() (time.Duration, bool) { return time.Duration(d.For), true }

func (d *DiskFull) strike(on Stage, host string) {
	on.FillDisk(host, true)
	on.Look(host, time.Duration(d.For))
	on.After(time.Duration(d.For), func() { on.FillDisk(host, false) })
}

package scenario

import (
	"time"
)

// What of a host's disk fails.
const (
	DiskReads  = "read"
	DiskWrites = "write"
	DiskSyncs  = "sync"
	DiskAll    = "all"
)

// DiskError has a host's disk fail.
type DiskError struct {
	Target string   `yaml:"target" default:"{disk}" doc:"The host, which has a disk."`
	On     string   `yaml:"on" required:"true" enum:"read,write,sync,all" doc:"What fails, with EIO: reads of files; writes; syncs, upon which what they were to sync is not on the disk, whatever is synced later; or everything, as when the directory is gone."`
	First  int      `yaml:"first" min:"1" doc:"How many of these operations fail, the first ones. Default: all." example:"1"`
	For    Duration `yaml:"for" doc:"How long. Default: until heal." example:"5s"`
	Down   Duration `yaml:"down" default:"1s" doc:"A host that ends because of it starts again after so long, as a supervisor has it."`
}

func (*DiskError) example() Action {
	return &DiskError{On: DiskAll, For: Duration(time.Second), Down: Duration(time.Second)}
}

func (d *DiskError) check(v *Validator, _ *Fault) {
	if v.Has(&d.For) {
		v.NeedsTime(&d.For, "a disk that fails for no time does not", "5s")
	}
	v.NeedsTime(&d.Down, "a host that is down for no time never left", "1s")
}

func (d *DiskError) victim() *string { return &d.Target }

func (*DiskError) realm() realm { return ofDisk }

func (*DiskError) onlySimulated() string { return "has a host's disk fail, which is this machine's" }

func (d *DiskError) lasts() (time.Duration, bool) { return time.Duration(d.For + d.Down), d.For > 0 }

func (d *DiskError) strike(on Stage, host string) {
	first := d.First
	if first == 0 {
		first = -1
	}
	on.Supervise(host, time.Duration(d.Down))
	on.FailDisk(host, d.On, first)
	if d.For > 0 {
		on.After(time.Duration(d.For), func() { on.FailDisk(host, d.On, 0) })
	}
}

package scenario

import (
	"time"
)

// SlowDisk makes a host's disk slow.
type SlowDisk struct {
	Target string   `yaml:"target" default:"{disk}" doc:"The host, which has a disk."`
	By     Duration `yaml:"by" required:"true" doc:"How much longer each sync takes." example:"200ms"`
	For    Duration `yaml:"for" required:"true" doc:"How long." example:"20s"`
}

func (*SlowDisk) example() Action {
	return &SlowDisk{By: Duration(time.Second), For: Duration(time.Second)}
}

func (s *SlowDisk) check(v *Validator, _ *Fault) {
	v.NeedsTime(&s.By, "a disk that takes no longer is not slow", "200ms")
	v.NeedsTime(&s.For, "a disk that is slow for no time is not", "20s")
}

func (s *SlowDisk) victim() *string { return &s.Target }

func (*SlowDisk) realm() realm { return ofDisk }

func (*SlowDisk) onlySimulated() string { return "slows a host's disk, which is this machine's" }

func (s *SlowDisk) lasts() (time.Duration, bool) { return time.Duration(s.For), true }

func (s *SlowDisk) strike(on Stage, host string) {
	on.SlowDisk(host, time.Duration(s.By))
	on.After(time.Duration(s.For), func() { on.SlowDisk(host, 0) })
}

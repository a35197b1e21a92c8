package scenario

import (
	"time"
)

// Suspend puts a host's machine to sleep.
type Suspend struct {
	Target string   `yaml:"target" doc:"The host, or the target." example:"victim"`
	For    Duration `yaml:"for" required:"true" doc:"How long." example:"20s"`
}

func (*Suspend) example() Action { return &Suspend{For: Duration(time.Second)} }

func (s *Suspend) check(v *Validator, _ *Fault) {
	v.NeedsTime(&s.For, "a machine that sleeps for no time does not", "20s")
}

func (s *Suspend) victim() *string { return &s.Target }

func (*Suspend) realm() realm { return ofClocks }

func (*Suspend) onlySimulated() string {
	return "puts the machine of a host to sleep, which is this one: write a pause"
}

func (s *Suspend) lasts() (time.Duration, bool) { return time.Duration(s.For), true }

func (s *Suspend) strike(on Stage, host string) {
	on.Suspend(host)
	on.After(time.Duration(s.For), func() { on.Resume(host) })
}

package scenario

import (
	"time"
)

// ClockStep sets a host's wall clock.
type ClockStep struct {
	Target string `yaml:"target" doc:"The host, or the target." example:"controller"`
	By     Step   `yaml:"by" required:"true" doc:"By how much: ahead, or with a minus sign back." example:"-1h"`
}

func (*ClockStep) example() Action { return &ClockStep{By: Step(time.Second)} }

func (c *ClockStep) check(v *Validator, _ *Fault) {
	if c.By == 0 {
		v.Report(Complain("a clock that is set by nothing is not set").Suggest("write a time such as -1h"), &c.By)
	}
}

func (c *ClockStep) victim() *string { return &c.Target }

func (*ClockStep) realm() realm { return ofClocks }

func (*ClockStep) lasts() (time.Duration, bool) { return 0, true }

func (c *ClockStep) strike(on Stage, host string) { on.StepClock(host, time.Duration(c.By)) }

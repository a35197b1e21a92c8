package sim

import (
	"errors"
	"fmt"
	"time"
)

// Defaults of a Config.
const (
	DefaultMaxSteps  = 10_000_000
	DefaultMaxTime   = time.Hour
	DefaultQuiet     = 10 * time.Minute
	DefaultLeakGrace = time.Minute
)

// Config is what a Sim is made of. Its zero value is a healthy network under seed 0.
type Config struct {
	// Seed is what all randomness of the run is drawn from.
	Seed uint64
	// Name is what a panic of a goroutine of the run names it, besides its seed: both are among the
	// labels of the goroutines, which the runtime prints once New has added tracebacklabels=1 to
	// GODEBUG. "": it is not named.
	Name string
	// Link is how messages travel where SetLink has said nothing else. A zero Latency is
	// DefaultLatency.
	Link Link
	// Judge is asked about every message that is sent. Nil: there are none but those of Link and of
	// the verbs.
	Judge Judge

	// MaxSteps bounds how many messages are released. 0: DefaultMaxSteps.
	MaxSteps int
	// MaxTime bounds how much virtual time passes. 0: DefaultMaxTime.
	MaxTime time.Duration
	// Quiet is for how much virtual time nobody may send, receive or end before the run counts as
	// deadlocked. It must be longer than the software's longest legitimate silence. 0:
	// DefaultQuiet.
	Quiet time.Duration
	// LeakGrace is how much virtual time the goroutines of a host may take to end after Close has
	// stopped it. 0: DefaultLeakGrace.
	LeakGrace time.Duration

	// Unmodified says that the software knows nothing of the simulation. A crash, and Close, stops the
	// goroutines of a host where they are, as kill -9 does: no deferred function runs, and no context
	// ends. That takes the overlay of fray-sim test; without it New panics.
	Unmodified bool
	// MayStay are globs of full names of functions, such as "github.com/hashicorp/raft.*": goroutines
	// that have one in their stacks may outlive Close. Without the overlay of fray-sim test, the bubble
	// cannot end before them all the same.
	MayStay []string

	// Watchdog sees to it that the run goes on in real time. Nil: nothing does, but in [Test],
	// which has one of its own.
	Watchdog *Watchdog
	// Stall is the limit of the watchdog that Test has, in real time. 0: DefaultStall. Below 0: it
	// has none.
	Stall time.Duration

	// OnEvent is told of every event of the trace, on the goroutine that steps. It may look at the
	// simulation but not change it. It may be nil.
	OnEvent func(Event)
}

// Validate returns what is wrong with c, all of it.
func (c Config) Validate() error {
	errs := []error{c.Link.validate()}
	if c.MaxSteps < 0 {
		errs = append(errs, fmt.Errorf("sim: MaxSteps must not be negative, is %d", c.MaxSteps))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"MaxTime", c.MaxTime}, {"Quiet", c.Quiet}, {"LeakGrace", c.LeakGrace}} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("sim: %s must not be negative, is %v", d.name, d.value))
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.Link.Latency == (Latency{}) {
		c.Link.Latency = DefaultLatency
	}
	if c.MaxSteps == 0 {
		c.MaxSteps = DefaultMaxSteps
	}
	if c.MaxTime == 0 {
		c.MaxTime = DefaultMaxTime
	}
	if c.Quiet == 0 {
		c.Quiet = DefaultQuiet
	}
	if c.LeakGrace == 0 {
		c.LeakGrace = DefaultLeakGrace
	}
	return c
}

package check

import "time"

// settleTime is how long after the last fault what it upset may go on: calls that are repeated less
// and less often, connections that wait for what was lost.
const settleTime = 30 * time.Second

// A calm knows since when nothing is faulty, for claims about how soon things happen. Before the
// first fault it is calm; after that it is once faults have ended, and no process has died since,
// for a settleTime. It is not any longer once workers are told to leave. Oracles share it.
type calm struct {
	firstFault time.Duration
	never      bool // after the first fault
	healed     bool
	from       time.Duration // when it is calm again, once healed
	over       bool
	travels    time.Duration // a message, at most
}

// messagesWithin is how many messages one after the other a bound on what takes calls allows for.
const messagesWithin = 8

// slack is a bound, and what messages take that are within it.
func (c *calm) slack(bound time.Duration) time.Duration { return bound + messagesWithin*c.travels }

func (c *calm) observe(e *Event) {
	switch e.Kind {
	case Heal:
		c.healed = !c.never
		c.from = max(c.from, e.At)
		if e.At > 0 {
			c.from = max(c.from, e.At+settleTime)
		}
	case WorkerCrash, ControllerCrash:
		c.firstFault = min(c.firstFault, e.At)
		c.from = max(c.from, e.At+settleTime)
	case LeaveOrder, Quiescent:
		c.over = true
	default:
	}
}

// between says whether it was calm from one time to another, which is now.
func (c *calm) between(from, now time.Duration) bool {
	return !c.over && (now < c.firstFault || c.healed && from >= c.from)
}

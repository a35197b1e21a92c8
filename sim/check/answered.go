package check

import (
	"fmt"
	"time"
)

// answerWithin is how long the controller may take, without faults, to answer a call that does not
// let it wait, or longer than that.
const answerWithin = 500 * time.Millisecond

// answered holds the controller to answer calls in time while it is calm, whoever makes them and
// whatever others ask for: within answerWithin and what the call lets it wait. It is vacuous where no
// call is made while it is calm, and with Config.MayStall.
type answered struct {
	oracle

	off     bool
	calm    *calm
	last    uint64          // the call that was judged last: its events come together
	workers map[string]bool // hosts
}

func newAnswered(cfg *Config, c *calm) *answered {
	return &answered{
		oracle: oracle{"answered-in-time", "Without faults, whoever calls is answered within a bound."},
		off:    cfg.MayStall, calm: c, workers: make(map[string]bool),
	}
}

// Observe implements Oracle.
func (o *answered) Observe(e *Event, j *Judge) {
	if e.Kind == RegisterCall {
		o.workers[e.Host] = true
	}
	if o.off || !e.Kind.Reply() || e.Call == 0 || e.Call == o.last || !o.calm.between(e.InvokedAt, e.At) {
		return
	}
	o.last = e.Call
	took, bound := e.At-e.InvokedAt, e.MayWait+o.calm.slack(answerWithin)
	switch late := took > bound; {
	case e.Kind == CallExpired && (!late || o.workers[e.Host]):
		// Its caller left, or it was of a task whose time is over.
	case e.Kind == CallExpired:
		j.Check()
		j.Violated(e.Task, fmt.Sprintf("%s of %s had no answer within %v", e.Detail, e.Host, took), e)
	default:
		j.Check()
		if late {
			j.Violated(e.Task, fmt.Sprintf("%s was answered after %v, and %v are enough", e.Host, took, bound), e)
		}
	}
}

package check

import (
	"fmt"
	"time"
)

// tellWithin is how long it may take, without faults, until a client is told of an end.
const tellWithin = 5 * time.Second

// endsTold holds the controller to tell the client that submitted a task of its end, while it is
// calm: within tellWithin of the acceptance of its value, or of the answer that it is cancelled. It
// is vacuous where no task ends while it is calm, and with Config.ClientsMiss. Nothing is owed to the
// hosts that are Config.Deaf.
type endsTold struct {
	oracle

	off     bool
	calm    *calm
	tasks   tasks[toldTask]
	workers map[string]bool // hosts
	deaf    map[string]bool // hosts
	// Ends that are to be told, in their order.
	awaited []*toldTask
}

type toldTask struct {
	owner string // a host
	ended *Event
	told  bool
}

func newEndsTold(cfg *Config, c *calm) *endsTold {
	return &endsTold{
		oracle: oracle{"ends-told", "Without faults, the client of a task is told of its end within a bound."},
		off:    cfg.ClientsMiss, calm: c, tasks: newTasks[toldTask](cfg), workers: make(map[string]bool), deaf: cfg.Deaf,
	}
}

// Observe implements Oracle.
func (o *endsTold) Observe(e *Event, j *Judge) {
	if o.off {
		return
	}
	for len(o.awaited) > 0 && (o.awaited[0].told || e.At-o.awaited[0].ended.At > o.calm.slack(tellWithin)) {
		if t := o.awaited[0]; !t.told && o.calm.between(t.ended.At, e.At) {
			t.told = true
			j.Violated(t.ended.Task, fmt.Sprintf("has ended, and client %s was not told within %v", t.owner, o.calm.slack(tellWithin)), t.ended, e)
		}
		o.awaited = o.awaited[1:]
	}
	if e.Kind == RegisterCall {
		o.workers[e.Host] = true
	}
	t := o.tasks.get(e)
	switch {
	case t == nil:
	case e.Kind == SubmitCall && t.owner == "" && !o.deaf[e.Host]:
		t.owner = e.Host
	case e.Kind == ReadReply && showsEnd(e) && e.Host == t.owner:
		if t.ended != nil && !t.told && o.calm.between(t.ended.At, e.At) {
			j.Check()
		}
		t.told = true
	case t.ended == nil && (commits(e) || e.Kind == CancelReply && e.Answer == Cancelled):
		t.ended = e
		if !t.told && t.owner != "" && !o.workers[t.owner] { // An attempt may have gone before its children.
			o.awaited = append(o.awaited, t)
		}
	}
}

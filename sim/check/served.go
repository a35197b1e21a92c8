package check

import (
	"fmt"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// servedWithin holds the controller to serve clients in time, whatever others ask of it: each task of a
// host that Config.Within has is told to that host as completed, within the host's bound from when it
// was first submitted. It is vacuous where no host has a bound.
type servedWithin struct {
	oracle

	within map[string]time.Duration
	tasks  tasks[servedTask]
	open   []*servedTask // in the order of their submission, and some that are not
}

type servedTask struct {
	offered *Event
	told    bool
}

func newServedWithin(cfg *Config) *servedWithin {
	return &servedWithin{
		oracle: oracle{"served-within", "Each task of a client with a bound is told to have completed within it, whatever others do."},
		within: cfg.Within, tasks: newTasks[servedTask](cfg),
	}
}

// Observe implements Oracle.
func (o *servedWithin) Observe(e *Event, j *Judge) {
	bound := o.within[e.Host]
	if bound == 0 || e.Kind != SubmitCall && e.Kind != ReadReply {
		return
	}
	t := o.tasks.get(e)
	switch {
	case t == nil:
	case e.Kind == SubmitCall && t.offered == nil:
		t.offered = e
		o.open = append(o.open, t)
	case e.Kind == ReadReply && showsEnd(e) && t.offered != nil && !t.told && t.offered.Host == e.Host:
		t.told = true
		j.Check()
		switch took := e.At - t.offered.At; {
		case e.View.Status != frayv1.TaskStatus_TASK_STATUS_COMPLETED:
			j.Violated(e.Task, fmt.Sprintf("was to complete for %s within %v, and ended as %s", e.Host, bound, statusName(e.View.Status)), t.offered, e)
		case took > bound:
			j.Violated(e.Task, fmt.Sprintf("was told to %s as completed after %v, and was to be within %v", e.Host, took, bound), t.offered, e)
		}
	}
}

// Finish implements Oracle.
func (o *servedWithin) Finish(end time.Duration, j *Judge) {
	for _, t := range o.open {
		bound := o.within[t.offered.Host]
		if t.told || end-t.offered.At <= bound {
			continue
		}
		j.Check()
		j.Violated(t.offered.Task, fmt.Sprintf("was not told to %s as completed within %v", t.offered.Host, bound), t.offered)
	}
}

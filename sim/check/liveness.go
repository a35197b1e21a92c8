package check

import (
	"fmt"
	"time"
)

// liveness holds every acknowledged task to end, once there are no more faults: a client sees its
// end within LivenessBound of Heal, or of its acknowledgement if that came later. Tasks that end
// before Heal are not measured, nor those that Config.MayStayOpen names. A history that ends
// earlier proves nothing against tasks that are still within their time. What counts is when a
// client is shown the end, so one has to watch. It is vacuous without Config.LivenessBound, and
// for tasks that may stay open.
type liveness struct {
	oracle

	cfg   *Config
	tasks tasks[liveTask]
	heal  *Event
	// The longest that any task took, counted in the same way.
	slowest time.Duration
}

type liveTask struct {
	ack   *Event
	ended bool
	lives bool // It is the life of an actor, or a schedule, which ends when somebody wants it to.
}

func newLiveness(cfg *Config) *liveness {
	return &liveness{
		oracle: oracle{"liveness", "Without faults, every task ends within a bound."},
		cfg:    cfg, tasks: newTasks[liveTask](cfg),
	}
}

// Observe implements Oracle.
func (o *liveness) Observe(e *Event, j *Judge) {
	if e.Kind == Heal {
		o.heal = e
	}
	t := o.tasks.get(e)
	if t == nil || o.cfg.LivenessBound == 0 || t.ended {
		return
	}
	switch {
	case e.Kind == SubmitCall:
		t.lives = t.lives || e.Spec.Actor != nil || e.Spec.Schedule != nil
	case e.Kind == SubmitReply && e.Answer.acknowledges() && t.ack == nil && !t.lives:
		t.ack = e
	case e.Kind == ReadReply && showsEnd(e):
		t.ended = true
		if o.heal != nil && t.ack != nil {
			o.check(t, e.At, e, j)
		}
	}
}

func (o *liveness) check(t *liveTask, at time.Duration, end *Event, j *Judge) {
	j.Check()
	took := at - max(o.heal.At, t.ack.At)
	o.slowest = max(o.slowest, took)
	switch {
	case took <= o.cfg.LivenessBound:
	case end != nil:
		j.Violated(t.ack.Task, fmt.Sprintf("took %v to end, and the bound is %v", took, o.cfg.LivenessBound), t.ack, o.heal, end)
	default:
		j.Violated(t.ack.Task, fmt.Sprintf("is open %v after it should have run undisturbed, and the bound is %v", took, o.cfg.LivenessBound), t.ack, o.heal)
	}
}

// Finish implements Oracle.
func (o *liveness) Finish(end time.Duration, j *Judge) {
	if o.heal == nil || o.cfg.LivenessBound == 0 {
		return
	}
	for id, t := range o.tasks.all() {
		if t.ack == nil || t.ended || o.cfg.MayStayOpen != nil && o.cfg.MayStayOpen(t.ack.Job, id) {
			continue
		}
		o.check(t, end, nil, j)
	}
}

package check

import "time"

// neverLost holds the controller to its acknowledgements.
//
// A task is acknowledged once a submission of it was answered with anything but a refusal. From
// then on, a call that is made later must not be told that the task is unknown (by a read or a
// cancellation), nor that it was only then created. Exempt is a task that may have ended a
// Retention ago: the clock for that starts when it was last seen open, or with its submission. At
// the end, every acknowledged task must have been seen at its end, or seen open by a read that was
// made after Quiesce; without Quiesce, by any read. That is not asked when the closing audit was
// cut short.
//
// With AllowLossAfterRestart, a crash of the controller takes back the acknowledgements of before.
// It is vacuous where nobody asks for a task after it was acknowledged.
type neverLost struct {
	oracle

	cfg   *Config
	tasks tasks[lostTask]
	audit uint64 // Seq of Quiescent
	// The audit was cut short: a task that it has not seen may just not have been asked for.
	unaudited bool
}

type lostTask struct {
	ack      *Event // the first
	openAt   time.Duration
	seen     *Event // last view
	ended    bool
	reported bool
}

func newNeverLost(cfg *Config) *neverLost {
	return &neverLost{
		oracle: oracle{"never-lost", "A task whose submission was acknowledged is known until its retention is over."},
		cfg:    cfg, tasks: newTasks[lostTask](cfg),
	}
}

// Observe implements Oracle.
func (o *neverLost) Observe(e *Event, j *Judge) {
	if e.Kind == Quiescent {
		o.audit = e.Seq
	}
	t := o.tasks.get(e)
	if t == nil {
		return
	}
	switch {
	case e.Kind == SubmitReply && e.Answer.acknowledges():
		if t.ack != nil && e.Answer == Created {
			o.check(t, e, j, "was acknowledged and is created again")
		}
		if t.ack == nil {
			t.ack = e
			t.openAt = max(t.openAt, e.InvokedAt)
		}
	case e.Answer == NotFound && (e.Kind == ReadReply || e.Kind == CancelReply):
		o.check(t, e, j, "was acknowledged and is unknown now")
	case e.Kind == ReadReply && e.View != nil:
		t.seen = e
		if t.ended = t.ended || e.View.Terminal(); !t.ended {
			t.openAt = max(t.openAt, e.InvokedAt)
		}
	}
}

// check looks at an answer that contradicts an acknowledgement.
func (o *neverLost) check(t *lostTask, e *Event, j *Judge, text string) {
	j.Check()
	if t.ack == nil || !e.follows(t.ack.Seq) || t.reported {
		return
	}
	if o.cfg.mayForget(e.At - t.openAt) {
		t.ended = true // And nobody looked in time.
		return
	}
	t.reported = true
	j.Violated(e.Task, text, t.ack, t.seen, e)
}

// Finish implements Oracle.
func (o *neverLost) Finish(_ time.Duration, j *Judge) {
	for id, t := range o.tasks.all() {
		if t.ack == nil || t.reported {
			continue
		}
		found := t.ended || t.seen != nil && t.seen.follows(max(o.audit, t.ack.Invoked))
		if !found && o.unaudited {
			continue
		}
		j.Check()
		switch {
		case found:
		case o.audit != 0:
			j.Violated(id, "was acknowledged, and neither ended nor was found in the closing audit", t.ack, t.seen)
		default:
			j.Violated(id, "was acknowledged and never seen since", t.ack, t.seen)
		}
	}
}

func (o *neverLost) unsettled() []string {
	var ids []string
	for id, t := range o.tasks.all() {
		if t.ack != nil && !t.ended {
			ids = append(ids, id)
		}
	}
	return ids
}

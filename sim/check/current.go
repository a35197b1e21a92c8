package check

import (
	"fmt"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// currentAttempt holds commits to come from a task's current attempt, once:
//
//   - no report of an attempt is accepted that was sent when a later attempt had been granted;
//   - an attempt's end is accepted once: a report sent after that is a duplicate or stale;
//   - at most one attempt commits a value; a task that has a committed value completed with that attempt;
//   - after a value was committed, nothing is accepted any more;
//   - an attempt whose value was judged stale is not the one that the task completed with. A crash of the controller between
//     its first report and that verdict, or a Retention, excuses that.
//
// The word of a stopped attempt counts as the end of nothing: it may be accepted whenever it
// comes. It is vacuous where no value is reported.
type currentAttempt struct {
	oracle

	cfg   *Config
	tasks tasks[currentTask]
	crash uint64
}

type currentTask struct {
	granted   *Event // the highest attempt, when it was first granted
	committed *Event
	ended     *Event // view of the end
	accepted  []*Event
	stale     []*Event // values
	called    []*Event // first report of each attempt whose value is not judged yet
}

func newCurrentAttempt(cfg *Config) *currentAttempt {
	return &currentAttempt{
		oracle: oracle{"current-attempt-commits", "A result is committed once, and by the attempt that is current."},
		cfg:    cfg, tasks: newTasks[currentTask](cfg),
	}
}

// Observe implements Oracle.
func (o *currentAttempt) Observe(e *Event, j *Judge) {
	if e.Kind == ControllerCrash {
		o.crash = e.Seq
	}
	t := o.tasks.get(e)
	if t == nil {
		return
	}
	switch e.Kind {
	case GrantReply:
		if t.granted == nil || e.Attempt > t.granted.Attempt {
			t.granted = e
		}
	case ReportCall:
		if e.Outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED && find(t.called, e.Token) == nil {
			t.called = append(t.called, e)
		}
	case ReportReply:
		o.verdict(t, e, j)
	case ReadReply:
		if showsEnd(e) && t.ended == nil {
			t.ended = e
			o.agree(t, j)
		}
	default:
	}
}

func (o *currentAttempt) verdict(t *currentTask, e *Event, j *Judge) {
	if !needsCurrent(e.Outcome) || e.Answer == Unanswered {
		return
	}
	j.Check()
	if e.Answer == Accepted {
		if t.granted != nil && t.granted.Attempt > e.Attempt && e.follows(t.granted.Seq) {
			j.Violated(e.Task, fmt.Sprintf("has a report of attempt %d accepted when attempt %d had been granted", e.Attempt, t.granted.Attempt), t.granted, e)
		}
		if first := find(t.accepted, e.Token); first != nil && e.follows(first.Seq) {
			j.Violated(e.Task, fmt.Sprintf("has the end of attempt %d accepted twice", e.Attempt), first, e)
		}
		if t.committed != nil && e.follows(t.committed.Seq) {
			j.Violated(e.Task, "has a report accepted after its value was committed", t.committed, e)
		}
		t.accepted = append(t.accepted, e)
	}
	switch {
	case commits(e) && t.committed == nil:
		t.committed = e
		o.agree(t, j)
	case commits(e) && t.committed.Token != e.Token:
		j.Violated(e.Task, fmt.Sprintf("has the values of attempts %d and %d committed", t.committed.Attempt, e.Attempt), t.committed, e)
	case e.Answer == Stale && e.Outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED:
		first := find(t.called, e.Token)
		if first == nil || o.crash > first.Seq || o.cfg.mayForget(e.At-first.At) {
			return
		}
		t.stale = append(t.stale, e)
		o.agree(t, j)
	}
}

// agree compares what is known of the end.
func (*currentAttempt) agree(t *currentTask, j *Judge) {
	j.Check()
	completed := t.ended != nil && t.ended.View.Status == frayv1.TaskStatus_TASK_STATUS_COMPLETED
	if t.ended != nil && t.committed != nil && (!completed || t.ended.View.Attempt != t.committed.Attempt) {
		j.Violated(t.ended.Task, "did not complete with the attempt whose value was accepted", t.committed, t.ended)
	}
	for _, stale := range t.stale {
		if t.committed != nil && t.committed.Token == stale.Token || completed && t.ended.View.Attempt == stale.Attempt {
			j.Violated(stale.Task, fmt.Sprintf("completed with attempt %d, whose value was judged stale", stale.Attempt), t.committed, stale, t.ended)
		}
	}
}

// find returns the event with a token, or nil.
func find(events []*Event, token uint64) *Event {
	for _, e := range events {
		if e.Token == token {
			return e
		}
	}
	return nil
}

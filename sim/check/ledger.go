package check

import (
	"fmt"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// effectLedger holds a task to one committed effect that really happened.
//
// The ledger has a line for each execution that returned a value: what it did to the world outside,
// under the name of its attempt. The line of the attempt that the task completed with is the
// committed one; a world that takes up an effect only when its attempt is named as the task's sees
// no other. So at most one attempt of a task may ever be named, by views or by accepted reports,
// its line must be in the ledger, and the value that clients are shown must be that line's.
// Executions are at least once: lines without a commit are legal.
//
// Nothing is checked unless executions are recorded. It is vacuous where no value is shown.
type effectLedger struct {
	oracle

	tasks tasks[ledgerTask]
	used  bool
}

type ledgerTask struct {
	lines     []*Event
	committed *Event
}

func newEffectLedger(cfg *Config) *effectLedger {
	return &effectLedger{
		oracle: oracle{"one-effect", "A task commits at most one effect: that of an execution that returned the value that clients are shown."},
		tasks:  newTasks[ledgerTask](cfg),
	}
}

// Observe implements Oracle.
func (o *effectLedger) Observe(e *Event, j *Judge) {
	o.used = o.used || e.Kind == ExecutionStart
	t := o.tasks.get(e)
	if t == nil || !o.used {
		return
	}
	switch {
	case e.Kind == ExecutionEnd && e.Outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED:
		t.lines = append(t.lines, e)
	case commits(e), e.Kind == ReadReply && e.View != nil && e.View.Status == frayv1.TaskStatus_TASK_STATUS_COMPLETED:
		o.commit(t, e, j)
	}
}

func (o *effectLedger) commit(t *ledgerTask, e *Event, j *Judge) {
	j.Check()
	attempt := attemptOf(e)
	if t.committed == nil {
		t.committed = e
	} else if first := attemptOf(t.committed); first != attempt {
		j.Violated(e.Task, fmt.Sprintf("has the effects of attempts %d and %d committed", first, attempt), t.committed, e)
		return
	}
	var line *Event
	for _, l := range t.lines {
		if l.Attempt != attempt {
			continue
		}
		if line = l; e.Digest == 0 || l.Digest == e.Digest {
			return
		}
	}
	if line == nil {
		j.Violated(e.Task, fmt.Sprintf("completed with attempt %d, which never returned a value", attempt), e)
		return
	}
	j.Violated(e.Task, fmt.Sprintf("completed with a value that attempt %d did not return", attempt), line, e)
}

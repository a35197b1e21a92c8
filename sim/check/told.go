package check

import (
	"fmt"
	"slices"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// valueTold holds a client to tell nothing but what is true: a future that ends with a value has
// the one that the attempt returned which its task completed with. What is not known is no value,
// whatever the controller has kept of the task. Values are those that functions returned, or that
// workers reported; a crash of the controller takes none of them back. Where one that keeps
// everything in memory may run a task again, any attempt that it completed with will do.
//
// It is vacuous where no future ends with a value.
type valueTold struct {
	oracle

	roster *roster
	tasks  []valuedTask // by their numbers
}

type valuedTask struct {
	returned  []*Event
	committed []*Event // one for each attempt
}

func newValueTold(cfg *Config) *valueTold {
	return &valueTold{
		oracle: oracle{"value-told", "A future that ends with a value has the value that its task's attempt returned."},
		roster: cfg.roster,
	}
}

// Observe implements Oracle.
func (o *valueTold) Observe(e *Event, j *Judge) {
	succeeded := e.Outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED
	returns := (e.Kind == ReportCall || e.Kind == ExecutionEnd) && succeeded
	completes := commits(e) || e.Kind == ReadReply && e.View != nil && e.View.Status == frayv1.TaskStatus_TASK_STATUS_COMPLETED
	if !returns && !completes && e.Kind != FutureEnd {
		return
	}
	n := o.roster.numberOf(e)
	if n >= len(o.tasks) {
		o.tasks = slices.Grow(o.tasks, n+1-len(o.tasks))[:n+1]
	}
	t := &o.tasks[n]
	switch {
	case e.Kind == FutureEnd:
		t.told(e, j)
	case returns:
		if !slices.ContainsFunc(t.returned, func(r *Event) bool { return r.Attempt == e.Attempt && r.Digest == e.Digest }) {
			t.returned = append(t.returned, e)
		}
	case !slices.ContainsFunc(t.committed, func(c *Event) bool { return attemptOf(c) == attemptOf(e) }):
		t.committed = append(t.committed, e)
	}
}

func (t *valuedTask) told(e *Event, j *Judge) {
	j.Check()
	i := slices.IndexFunc(t.returned, func(r *Event) bool { return r.Digest == e.Digest })
	if i < 0 {
		j.Violated(e.Task, "is told to have a value that no attempt of it returned", e)
		return
	}
	completed := slices.ContainsFunc(t.committed, func(c *Event) bool {
		return slices.ContainsFunc(t.returned, func(r *Event) bool { return r.Attempt == attemptOf(c) && r.Digest == e.Digest })
	})
	if len(t.committed) > 0 && !completed {
		proof := append(slices.Clone(t.committed), t.returned[i], e)
		j.Violated(e.Task, fmt.Sprintf("is told to have the value of attempt %d, and completed with another", t.returned[i].Attempt), proof...)
	}
}

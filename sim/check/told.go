package check

import (
	"slices"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// valueTold holds a client to tell nothing but what is true: a future that ends with a value has
// one that an attempt of its task returned. What is not known is no value, whatever the controller
// has kept of the task. Values are those that functions returned, or that workers reported; a crash
// of the controller takes none of them back.
type valueTold struct {
	oracle

	roster   *roster
	returned [][]uint64 // digests, by the numbers of tasks
}

func newValueTold(cfg *Config) *valueTold {
	return &valueTold{
		oracle: oracle{"value-told", "A future that ends with a value has the value that an attempt of its task returned."},
		roster: cfg.roster,
	}
}

// Observe implements Oracle.
func (o *valueTold) Observe(e *Event, j *Judge) {
	switch {
	case e.Kind == FutureEnd:
	case (e.Kind == ReportCall || e.Kind == ExecutionEnd) && e.Outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED:
	default:
		return
	}
	n := o.roster.numberOf(e)
	for len(o.returned) <= n {
		o.returned = append(o.returned, nil)
	}
	known := slices.Contains(o.returned[n], e.Digest)
	switch {
	case e.Kind != FutureEnd && !known:
		o.returned[n] = append(o.returned[n], e.Digest)
	case e.Kind == FutureEnd:
		j.Check()
		if !known {
			j.Violated(e.Task, "is told to have a value that no attempt of it returned", e)
		}
	}
}

package check

import (
	"slices"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// ValueTold holds a client to tell nothing but what is true: a future that ends with a value has one that an attempt of its task returned.
// What is not known is no value, whatever the controller has kept of the task. Values are those that functions returned, or that
// workers reported; a crash of the controller takes none of them back.
type ValueTold struct {
	roster   *roster
	returned [][]uint64 // digests, by the numbers of tasks
}

func newValueTold(cfg *Config) *ValueTold { return &ValueTold{roster: cfg.roster} }

// Name implements Oracle.
func (*ValueTold) Name() string { return "value-told" }

// Claim implements Oracle.
func (*ValueTold) Claim() string {
	return "A future that ends with a value has the value that an attempt of its task returned."
}

// Observe implements Oracle.
func (o *ValueTold) Observe(e *Event, j *Judge) {
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

// Finish implements Oracle.
func (*ValueTold) Finish(time.Duration, *Judge) {}

package check

import "time"

// An oracle is what all oracles are: a name and a claim. It looks at nothing.
type oracle struct{ name, claim string }

// Name implements Oracle.
func (o *oracle) Name() string { return o.name }

// Claim implements Oracle.
func (o *oracle) Claim() string { return o.claim }

// Observe implements Oracle.
func (*oracle) Observe(*Event, *Judge) {}

// Finish implements Oracle.
func (*oracle) Finish(time.Duration, *Judge) {}

// perTask is an oracle that judges each task by itself, by what it knows of it.
type perTask[T any] struct {
	oracle

	tasks tasks[T]
	look  func(t *T, e *Event, j *Judge)
}

func newPerTask[T any](cfg *Config, name, claim string, look func(t *T, e *Event, j *Judge)) Oracle {
	return &perTask[T]{oracle{name, claim}, newTasks[T](cfg), look}
}

// Observe implements Oracle.
func (o *perTask[T]) Observe(e *Event, j *Judge) {
	if t := o.tasks.get(e); t != nil {
		o.look(t, e, j)
	}
}

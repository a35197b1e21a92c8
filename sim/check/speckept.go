package check

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// specKept holds a task to be what was submitted: what a worker is granted, and what clients are
// shown of it, is the specification of a submission; a function sees the input of one. And a grant
// goes to a worker that has what the task asks for: the function, the labels, the resources. It is
// vacuous where nobody is granted or shown a task.
type specKept struct{ workers map[string]*Event } // their registrations

type specTask struct {
	offered []*Event // submissions that differ
	granted *Event
}

func newSpecKept(cfg *Config) Oracle {
	o := &specKept{workers: make(map[string]*Event)}
	return &specKeeper{newPerTask(cfg, "spec-kept", "A task is granted, shown and run as it was submitted, on a worker that has what it asks for.", o.observe), o}
}

// specKeeper looks at registrations, too.
type specKeeper struct {
	Oracle

	kept *specKept
}

// Observe implements Oracle.
func (o *specKeeper) Observe(e *Event, j *Judge) {
	if e.Kind == RegisterCall {
		o.kept.workers[e.Worker] = e
	}
	o.Oracle.Observe(e, j)
}

func (o *specKept) observe(t *specTask, e *Event, j *Judge) {
	switch e.Kind {
	case SubmitCall:
		if !slices.ContainsFunc(t.offered, func(s *Event) bool { return sameSpec(s.Spec, e.Spec) }) {
			t.offered = append(t.offered, e)
		}
	case GrantReply:
		t.granted = e
		o.grant(t, e, j)
	case ReadReply:
		if e.View != nil && len(t.offered) > 0 {
			j.Check()
			if !slices.ContainsFunc(t.offered, func(s *Event) bool { return s.Spec.Priority == e.View.Priority && s.Spec.Function == e.Function }) {
				j.Violated(e.Task, fmt.Sprintf("is shown as function %q with priority %d, and was not submitted so", e.Function, e.View.Priority), append(slices.Clone(t.offered), e)...)
			}
		}
	case ExecutionStart:
		if g := t.granted; g != nil && g.Token == e.Token && e.Token != 0 {
			j.Check()
			if e.Digest != 0 && e.Digest != g.Spec.Input || e.Function != g.Spec.Function {
				j.Violated(e.Task, fmt.Sprintf("is run as function %q with an input that was not submitted", e.Function), g, e)
			}
		}
	default:
	}
}

func sameSpec(a, b *Spec) bool { return reflect.DeepEqual(a, b) }

// grant compares what a worker was given with what was submitted, and with what it has.
func (o *specKept) grant(t *specTask, e *Event, j *Judge) {
	j.Check()
	if len(t.offered) > 0 && !slices.ContainsFunc(t.offered, func(s *Event) bool { return sameSpec(s.Spec, e.Spec) }) {
		j.Violated(e.Task, fmt.Sprintf("is granted with a specification or an input that was not submitted: %v and not %v", *e.Spec, *t.offered[0].Spec),
			append(slices.Clone(t.offered), e)...)
	}
	w := o.workers[e.Worker]
	if w == nil {
		return
	}
	if lack := w.Capacity.lacks(e.Spec); lack != "" {
		j.Violated(e.Task, fmt.Sprintf("is granted to worker %s, which lacks what it asks for: %s", e.Worker, lack), w, e)
	}
}

// lacks says what a task asks for that a worker does not have; "" if it can run the task.
func (c *Capacity) lacks(s *Spec) string {
	if !slices.Contains(c.Functions, s.Function) {
		return fmt.Sprintf("function %q", s.Function)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		if c.Labels[name] != s.Labels[name] {
			return fmt.Sprintf("label %s=%q", name, s.Labels[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Resources)) {
		if c.Resources[name] < s.Resources[name] {
			return fmt.Sprintf("resource %s=%d", name, s.Resources[name])
		}
	}
	return ""
}

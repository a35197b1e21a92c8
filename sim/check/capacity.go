package check

import (
	"fmt"
	"maps"
	"slices"
)

// capacityKept holds workers to what they registered, and the controller as well.
//
// Functions that run at once on one worker, from their call to their real return, take no more than
// its slots and its resources. An attempt that was abandoned counts until its function returns.
// Config.Lending names functions that are not counted, against slots nor against resources.
//
// Attempts that ask for resources are not granted ahead, so that with each grant all those of the
// session that cannot be over yet, as far as leaseBook can tell, fit the worker's resources
// together. It is vacuous where nothing runs.
type capacityKept struct {
	oracle

	book    *leaseBook
	lending map[string]bool
	workers map[string]*workerUse
}

type workerUse struct {
	has     *Event // the registration
	running int
	used    map[string]int64
	leases  []*lease // that take resources, of the last session
}

func newCapacityKept(cfg *Config, book *leaseBook) *capacityKept {
	lending := make(map[string]bool)
	for _, f := range cfg.Lending {
		lending[f] = true
	}
	return &capacityKept{
		oracle{"capacity-kept", "What runs on a worker takes no more than its slots and resources."},
		book, lending, make(map[string]*workerUse),
	}
}

// Observe implements Oracle.
func (o *capacityKept) Observe(e *Event, j *Judge) {
	switch e.Kind {
	case RegisterCall:
		w := o.worker(e.Worker)
		w.has = e
	case WorkerCrash:
		delete(o.workers, e.Worker)
	case ExecutionStart:
		o.start(e, j)
	case RegisterReply:
		o.worker(e.Worker).leases = nil
	case ReportCall:
		if endsAttempt(e.Outcome) { // Also of a task that ended without it, and is in the book no more.
			w := o.worker(e.Worker)
			w.leases = slices.DeleteFunc(w.leases, func(l *lease) bool { return l.grant.Token == e.Token })
		}
	case GrantReply:
		if len(e.Spec.Resources) > 0 && !o.lending[e.Function] {
			o.granted(e, j)
		}
	case ExecutionEnd:
		w := o.worker(e.Worker)
		w.occupy(e, -1, o.lending[e.Function])
	default:
	}
}

func (o *capacityKept) worker(id string) *workerUse {
	w := o.workers[id]
	if w == nil {
		w = &workerUse{used: make(map[string]int64)}
		o.workers[id] = w
	}
	return w
}

func (o *capacityKept) start(e *Event, j *Judge) {
	w := o.worker(e.Worker)
	w.occupy(e, 1, o.lending[e.Function])
	if w.has == nil {
		return
	}
	j.Check()
	has := w.has.Capacity
	if w.running > has.Slots {
		j.Violated(e.Task, fmt.Sprintf("starts on worker %s as number %d, which has %d slots", e.Worker, w.running, has.Slots), w.has, e)
	}
	if e.Spec == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(e.Spec.Resources)) {
		if w.used[name] > has.Resources[name] {
			j.Violated(e.Task, fmt.Sprintf("starts on worker %s, which then uses %d of %d %s", e.Worker, w.used[name], has.Resources[name], name), w.has, e)
		}
	}
}

func (w *workerUse) occupy(e *Event, sign int, lends bool) {
	if lends {
		return
	}
	w.running += sign
	if e.Spec != nil {
		for name, amount := range e.Spec.Resources { // order-free: each counts for itself
			w.used[name] += int64(sign) * amount
		}
	}
}

// granted checks that what a session was given fits together.
func (o *capacityKept) granted(e *Event, j *Judge) {
	w, l := o.worker(e.Worker), o.book.last[e.Task]
	if w.has == nil || l.grant != e {
		return
	}
	w.leases = slices.DeleteFunc(w.leases, func(l *lease) bool { return o.book.over(l, e.Seq, e.At) })
	w.leases = append(w.leases, l)
	j.Check()
	for _, name := range slices.Sorted(maps.Keys(e.Spec.Resources)) {
		var sum int64
		proof := []*Event{w.has}
		for _, l := range w.leases {
			if amount := l.grant.Spec.Resources[name]; amount > 0 {
				sum += amount
				proof = append(proof, l.grant)
			}
		}
		if has := w.has.Capacity.Resources[name]; sum > has {
			j.Violated(e.Task, fmt.Sprintf("is granted to worker %s, which then holds %d of %d %s", e.Worker, sum, has, name), proof...)
		}
	}
}

package check

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// keptGrants is how many of the last grants of a priority are compared with.
const keptGrants = 16

// priorityKept holds higher priorities to go first, among tasks that a worker can run.
//
// A task that was acknowledged, and is granted for the first time to a poll that was sent after a
// task of lower priority had been granted, must not have been waiting when the poll was sent that
// brought that one, if its worker could run both. And of two attempts that one worker holds, the
// one of higher priority starts first. Only tasks that ask for the same resources are compared:
// what does not fit may have to wait. Calls of actors are not, which can go nowhere else. It is vacuous where
// all tasks have one priority.
type priorityKept struct {
	oracle

	cfg     *Config
	tasks   tasks[rankedTask]
	grants  map[string]map[int32][]*Event // the last ones, by requirements and priority
	workers map[string]*rankingWorker
	passed  []passedBy // in order, of the last instant
}

type rankedTask struct {
	acked   *Event
	granted bool
}

type rankingWorker struct {
	has  *Event            // its registration
	held map[uint64]*Event // grants that have not started
}

// passedBy is a start before that of an attempt of higher priority.
type passedBy struct{ start, grant, waits *Event }

func newPriorityKept(cfg *Config) *priorityKept {
	return &priorityKept{
		oracle: oracle{"priority-kept", "Of the tasks that a worker can run, those of higher priority go first."},
		cfg:    cfg, tasks: newTasks[rankedTask](cfg), grants: make(map[string]map[int32][]*Event), workers: make(map[string]*rankingWorker),
	}
}

// Observe implements Oracle.
func (o *priorityKept) Observe(e *Event, j *Judge) {
	o.settle(e.At, j)
	switch e.Kind {
	case RegisterCall:
		o.worker(e).has = e
	case WorkerCrash, SessionStale:
		clear(o.worker(e).held) // What was queued there may be over.
	case ControllerCrash:
		if o.cfg.AllowLossAfterRestart {
			clear(o.grants)
		}
	case HeartbeatCall:
		if e.Listed != nil { // What has ended without a start may be reported much later.
			maps.DeleteFunc(o.worker(e).held, func(_ uint64, grant *Event) bool { return slices.Contains(e.Listed.Finished, grant.Task) })
		}
	case ReportCall, StopOrder:
		delete(o.worker(e).held, e.Token)
	default:
	}
	t := o.tasks.get(e)
	if t == nil {
		return
	}
	switch {
	case e.Kind == SubmitReply && e.Answer.acknowledges() && t.acked == nil:
		t.acked = e
	case e.Kind == GrantReply && e.Spec.Call == nil:
		o.granted(t, e, j)
	case e.Kind == ExecutionStart:
		o.started(e, j)
	}
}

func (o *priorityKept) worker(e *Event) *rankingWorker {
	w := o.workers[e.Worker]
	if w == nil {
		w = &rankingWorker{held: make(map[uint64]*Event)}
		o.workers[e.Worker] = w
	}
	return w
}

func (o *priorityKept) granted(t *rankedTask, e *Event, j *Judge) {
	first := !t.granted && e.Attempt == 1 && !e.Spec.waitsFirst()
	t.granted = true
	for _, key := range sortedKeys(o.grants) {
		for _, priority := range slices.Sorted(maps.Keys(o.grants[key])) {
			last := o.grants[key][priority]
			if priority == e.Spec.Priority || !maps.Equal(last[0].Spec.Resources, e.Spec.Resources) {
				continue
			}
			j.Check()
			if first && t.acked != nil && priority < e.Spec.Priority {
				o.compare(t, last, e, j)
			}
		}
	}
	key := fmt.Sprintf("%q %v %v", e.Spec.Function, e.Spec.Resources, e.Spec.Labels)
	grants := o.grants[key]
	if grants == nil {
		grants = make(map[int32][]*Event)
		o.grants[key] = grants
	}
	grants[e.Spec.Priority] = append(grants[e.Spec.Priority], e)
	if last := grants[e.Spec.Priority]; len(last) > keptGrants {
		grants[e.Spec.Priority] = slices.Delete(last, 0, 1)
	}
	if e.Spec.Actor == nil { // When one starts to be constructed is not seen.
		o.worker(e).held[e.Token] = e
	}
}

// compare looks for a grant of lower priority that passed a task by.
func (o *priorityKept) compare(t *rankedTask, lower []*Event, e *Event, j *Judge) {
	for _, low := range lower {
		w := o.worker(low)
		if low.follows(t.acked.Seq) && e.follows(low.Seq) && w.has != nil && w.has.Capacity.lacks(e.Spec) == "" {
			j.Violated(e.Task, fmt.Sprintf("waited with priority %d while task %s was granted with priority %d", e.Spec.Priority, low.Task, low.Spec.Priority),
				t.acked, low, e)
			return
		}
	}
}

// started compares an attempt that starts with those that wait at its worker.
func (o *priorityKept) started(e *Event, j *Judge) {
	held := o.worker(e).held
	grant := held[e.Token]
	delete(held, e.Token)
	if grant == nil {
		return
	}
	o.passed = slices.DeleteFunc(o.passed, func(p passedBy) bool { return p.waits == grant })
	for _, token := range slices.Sorted(maps.Keys(held)) {
		w := held[token]
		if w.Spec.Priority == grant.Spec.Priority || !maps.Equal(w.Spec.Resources, grant.Spec.Resources) {
			continue
		}
		j.Check()
		if e.At-w.At >= givenBackAfter {
			continue // It may be on its way back.
		}
		if w.Spec.Priority > grant.Spec.Priority && w.At+startSlack < e.At {
			o.passed = append(o.passed, passedBy{e, grant, w})
		}
	}
}

// settle judges starts that have been over for an instant. Which of those of one instant is seen first
// says nothing, as of a worker that goes on after a pause.
func (o *priorityKept) settle(now time.Duration, j *Judge) {
	for len(o.passed) > 0 && now-o.passed[0].start.At > oneInstant {
		p := o.passed[0]
		o.passed = o.passed[1:]
		j.Violated(p.start.Task, fmt.Sprintf("starts with priority %d while task %s waits at its worker with priority %d", p.grant.Spec.Priority, p.waits.Task, p.waits.Spec.Priority),
			p.waits, p.grant, p.start)
	}
}

// oneInstant is how long after another an attempt may be seen to start that was started with it.
const oneInstant = time.Millisecond

// Finish implements Oracle.
func (o *priorityKept) Finish(_ time.Duration, j *Judge) { o.settle(math.MaxInt64, j) }

// givenBackAfter is how long a worker keeps what waits for a slot before it gives it back, which is seen
// once it reports it.
const givenBackAfter = time.Second

// startSlack is how long it may take until a start that a worker has decided upon is seen.
const startSlack = 50 * time.Millisecond

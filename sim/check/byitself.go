package check

import (
	"fmt"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// failsByItself holds the controller to charge nobody for its neighbours to the end: a task that had
// an attempt lost together with another that ran at the worker when this crashed fails as WORKER_LOST
// only by an attempt that ran alone from its start on. A budget of 0 leaves no room for that.
//
// Attempts run beside each other if they were granted in one session, and the end of neither had been
// reported. Those of Config.Lending wait for others, and are company for none. Those of gangs never run alone. Only
// tasks whose every attempt was charged as a loss are judged, because nothing shows which of the attempts were, and
// only what happened since the last crash of the controller. It is vacuous where no worker crashes under several
// attempts.
type failsByItself struct {
	oracle

	book    *leaseBook
	lending map[string]bool
	tasks   tasks[lonelyTask]
	// By lease token; and those that run on each worker, in the order of their starts.
	grants  map[uint64]*Event
	running map[string][]*execution
}

type lonelyTask struct {
	inCompany *execution // the first that was lost so
	last      *execution
}

type execution struct {
	grant, start *Event
	beside       *Event // the start of another that ran at the same time
}

func newFailsByItself(cfg *Config, book *leaseBook) *failsByItself {
	lending := make(map[string]bool)
	for _, f := range cfg.Lending {
		lending[f] = true
	}
	return &failsByItself{
		oracle{"fails-by-itself", "A task that lost a worker beside others fails for lost workers only by an attempt that ran alone."},
		book, lending, newTasks[lonelyTask](cfg), make(map[uint64]*Event), make(map[string][]*execution),
	}
}

// Observe implements Oracle.
func (o *failsByItself) Observe(e *Event, j *Judge) {
	t := o.tasks.get(e)
	switch e.Kind {
	case GrantReply:
		o.grants[e.Token] = e
	case ExecutionStart:
		if x := o.start(e); x != nil && t != nil {
			t.last = x
		}
	case ReportCall:
		if endsAttempt(e.Outcome) {
			o.end(e)
		}
	case ExecutionEnd:
		o.end(e)
	case WorkerCrash:
		o.crash(e)
	case ReadReply:
		if t != nil && e.View != nil {
			o.view(t, e, j)
		}
	default:
	}
}

// start notes what runs beside an attempt; nil where it says nothing.
func (o *failsByItself) start(e *Event) *execution {
	g := o.grants[e.Token]
	if g == nil || o.lending[e.Function] || e.Spec != nil && e.Spec.Call != nil {
		return nil
	}
	x := &execution{grant: g, start: e}
	for _, other := range o.running[e.Worker] {
		if other.grant.Session == g.Session {
			x.beside, other.beside = other.start, e
		}
	}
	o.running[e.Worker] = append(o.running[e.Worker], x)
	return x
}

func (o *failsByItself) end(e *Event) {
	delete(o.grants, e.Token)
	var left []*execution
	for _, x := range o.running[e.Worker] {
		if x.grant.Token != e.Token {
			left = append(left, x)
		}
	}
	o.running[e.Worker] = left
}

// crash ends all that ran on a worker.
func (o *failsByItself) crash(e *Event) {
	running := o.running[e.Worker]
	delete(o.running, e.Worker)
	for _, x := range running {
		for _, other := range running {
			if t := o.tasks.get(x.start); t != nil && t.inCompany == nil && other != x && other.grant.Session == x.grant.Session {
				t.inCompany = x
			}
		}
		delete(o.grants, x.grant.Token)
	}
}

func (o *failsByItself) view(t *lonelyTask, e *Event, j *Judge) {
	v, x := e.View, t.inCompany
	if x == nil || !v.Terminal() || x.grant.Spec.Gang != nil {
		return
	}
	j.Check()
	if v.Reason != frayv1.FailureReason_FAILURE_REASON_WORKER_LOST || v.Losses != v.Attempt || t.last.start.Attempt != v.Attempt {
		return
	}
	if x.start.Attempt < v.Attempt && x.grant.Invoked > o.book.crash && t.last.beside != nil {
		j.Violated(e.Task, fmt.Sprintf("failed when attempt %d was lost with its worker, beside another; so was attempt %d", v.Attempt, x.start.Attempt),
			x.start, x.beside, t.last.start, t.last.beside, e)
	}
}

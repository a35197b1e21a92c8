package check

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// callsInOrder holds the controller and workers to hand an actor the calls of each caller in their order,
// and no more at once than it takes:
//
//   - a call is granted for the first time only when all of its caller's with lower numbers have been, of those that ever are;
//   - of an incarnation that takes one call at a time, calls of a caller begin in the order of their numbers;
//   - no more functions run on an incarnation than it takes at once, from their call to their real return;
//   - a call is granted to the session that has the incarnation which it is for, once its worker has said that this takes calls.
//
// It is vacuous where there are no actors.
type callsInOrder struct {
	oracle

	lives map[uint64]*incarnated // by the token of the attempt
	calls map[uint64]*Event      // grants, by token
	// By actor and caller: the first grants, in the order of the numbers.
	first map[mailbox][]*Event
}

type mailbox struct{ actor, caller string }

type incarnated struct {
	grant   *Event
	ready   bool // as its worker says
	running int
	began   map[string]*Event // by caller: the last call's start
}

func newCallsInOrder() *callsInOrder {
	return &callsInOrder{
		oracle: oracle{"calls-in-order", "An actor is handed the calls of each caller in their order, and no more at once than it takes."},
		lives:  make(map[uint64]*incarnated), calls: make(map[uint64]*Event), first: make(map[mailbox][]*Event),
	}
}

// Observe implements Oracle.
func (o *callsInOrder) Observe(e *Event, j *Judge) {
	switch e.Kind {
	case GrantReply:
		switch {
		case e.Spec.Actor != nil && o.lives[e.Token] == nil:
			o.lives[e.Token] = &incarnated{grant: e, began: make(map[string]*Event)}
		case e.Spec.Call != nil && o.calls[e.Token] == nil:
			o.calls[e.Token] = e
			o.granted(e, j)
		}
	case ReportCall:
		if i := o.lives[e.Token]; i != nil && e.Outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_READY {
			i.ready = true
		}
	case ExecutionStart, ExecutionEnd:
		if g := o.calls[e.Token]; g != nil && o.lives[g.Life] != nil {
			o.execution(o.lives[g.Life], g, e, j)
		}
	case WorkerCrash:
		for token, i := range o.lives { // order-free: each for itself
			if i.grant.Worker == e.Worker {
				delete(o.lives, token)
			}
		}
	default:
	}
}

func (o *callsInOrder) granted(e *Event, j *Judge) {
	c := e.Spec.Call
	j.Check()
	if i := o.lives[e.Life]; i == nil || i.grant.Worker != e.Worker || i.grant.Task != c.Actor {
		j.Violated(e.Task, fmt.Sprintf("is granted to worker %s for an incarnation of actor %s that it was never granted", e.Worker, c.Actor), e)
	} else if !i.ready {
		j.Violated(e.Task, fmt.Sprintf("is granted for an incarnation of actor %s that takes no calls yet, as far as worker %s has said", c.Actor, e.Worker), i.grant, e)
	}
	box := mailbox{c.Actor, c.Caller}
	list := o.first[box]
	at := len(list)
	for at > 0 && list[at-1].Spec.Call.Number >= c.Number {
		at--
	}
	if at < len(list) && list[at].Task == e.Task {
		return // Not for the first time.
	}
	for _, later := range list[at:] {
		if e.follows(later.Seq) {
			j.Violated(e.Task, fmt.Sprintf("is call %d of caller %s to actor %s, and granted after call %d", c.Number, c.Caller, c.Actor, later.Spec.Call.Number), later, e)
			break
		}
	}
	list = append(list, nil)
	copy(list[at+1:], list[at:])
	list[at] = e
	o.first[box] = list
}

func (*callsInOrder) execution(i *incarnated, g, e *Event, j *Judge) {
	if e.Kind == ExecutionEnd {
		i.running--
		return
	}
	c, most := g.Spec.Call, i.grant.Spec.Actor.Concurrency
	j.Check()
	if i.running++; i.running > most {
		j.Violated(e.Task, fmt.Sprintf("begins as number %d at once on an incarnation of actor %s, which takes %d", i.running, c.Actor, most), i.grant, e)
	}
	if last := i.began[c.Caller]; most == 1 && last != nil && last.Spec.Call.Number > c.Number {
		j.Violated(e.Task, fmt.Sprintf("is call %d of caller %s to actor %s, and begins after call %d", c.Number, c.Caller, c.Actor, last.Spec.Call.Number), last, e)
	}
	i.began[c.Caller] = e
}

// callsOnce holds a call to be executed no more often than its specification allows: once, and once more for each
// failure and each lost incarnation that it says it may be tried again for. It is vacuous where there are no
// actors.
type callsOnce struct{}

type calledTask struct{ starts []*Event }

func newCallsOnce(cfg *Config) Oracle {
	return newPerTask(cfg, "calls-at-most-once", "A call is executed once at most, unless it says that it may be tried again.", callsOnce{}.observe)
}

func (callsOnce) observe(t *calledTask, e *Event, j *Judge) {
	if e.Kind != ExecutionStart || e.Spec == nil || e.Spec.Call == nil {
		return
	}
	t.starts = append(t.starts, e)
	j.Check()
	if most := 1 + int(e.Spec.MaxRetries) + int(e.Spec.MaxWorkerLosses); len(t.starts) > most {
		j.Violated(e.Task, fmt.Sprintf("is executed %d times, and may be %d", len(t.starts), most), t.starts...)
	}
}

// actorState holds an actor whose state outlives its incarnations to have one: calls of the functions
// Config.Counters add 1 to what it counts, and have the sum for a value. Each call that completed has its effect
// once, between its submission and the moment at which somebody was shown its end, and no other is seen. An
// execution whose value came to nothing may have had its effect, if its incarnation went on.
//
// It is vacuous where nothing counts.
type actorState struct {
	oracle

	cfg      *Config
	counters map[string]bool
	values   map[uint64]int64 // sums, by digest
	calls    map[string]*countedCall
	actors   map[string][]*countedCall
	lives    map[uint64]uint64 // by token: that of the life which a call is granted for
	latest   map[uint64]*Event // by that: the last start of a call
	failed   map[uint64]bool   // by token: those whose function returned an error, and counted nothing
	lost     bool              // the controller forgot everything: there is no telling what is of before
}

type countedCall struct {
	submitted *Event
	end       *Event // that was shown first
	sum       int64
	starts    []*Event
}

func newActorState(cfg *Config) *actorState {
	o := &actorState{
		oracle: oracle{"actor-state-kept", "What calls do to the state of an actor with checkpoints is done once and in one order, and outlives its incarnations."},
		cfg:    cfg, counters: make(map[string]bool), values: make(map[uint64]int64), calls: make(map[string]*countedCall), actors: make(map[string][]*countedCall),
		lives: make(map[uint64]uint64), latest: make(map[uint64]*Event), failed: make(map[uint64]bool),
	}
	for _, f := range cfg.Counters {
		o.counters[f] = true
	}
	return o
}

// CountedValue is the value of a call that a counter answers.
func CountedValue(sum int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(sum)) //nolint:gosec // Read back as it was.
}

// Observe implements Oracle.
func (o *actorState) Observe(e *Event, _ *Judge) {
	switch {
	case len(o.counters) == 0:
	case e.Kind == ControllerCrash:
		o.lost = o.lost || o.cfg.AllowLossAfterRestart
	case e.Kind == SubmitCall && e.Spec.Call != nil && o.counters[e.Spec.Function] && o.calls[e.Task] == nil:
		c := &countedCall{submitted: e}
		o.calls[e.Task] = c
		actor := e.Spec.Call.Actor
		o.actors[actor] = append(o.actors[actor], c)
		n := int64(len(o.calls))
		for _, sum := range []int64{2*n - 1, 2 * n} { // Executions that came to nothing count, too.
			o.values[DigestValue("raw", CountedValue(sum))] = sum
		}
	case e.Kind == GrantReply && e.Life != 0:
		o.lives[e.Token] = e.Life
	case e.Kind == ExecutionStart:
		if c := o.calls[e.Task]; c != nil {
			c.starts = append(c.starts, e)
			o.latest[o.lives[e.Token]] = e
		}
	case e.Kind == ExecutionEnd && e.Outcome != frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED && o.calls[e.Task] != nil:
		o.failed[e.Token] = true
	case e.Kind == ReadReply && showsEnd(e):
		if c := o.calls[e.Task]; c != nil && c.end == nil && (e.Digest != 0 || e.View.Status != frayv1.TaskStatus_TASK_STATUS_COMPLETED) {
			c.end = e
		}
	}
}

// Finish implements Oracle.
func (o *actorState) Finish(_ time.Duration, j *Judge) {
	if o.lost {
		return
	}
	for _, actor := range sortedKeys(o.actors) {
		o.check(actor, o.actors[actor], j)
	}
}

// check looks for an order of an actor's calls that all can have been told of. The sums say in which the calls
// go that completed, and how many others are between two of them, which can be any that had begun. Each goes as
// early as it can: then whatever is possible later is still possible.
func (o *actorState) check(actor string, calls []*countedCall, j *Judge) {
	j.Check()
	var done []*countedCall
	var others []*Event // starts
	for _, c := range calls {
		completed := c.end != nil && c.end.View.Status == frayv1.TaskStatus_TASK_STATUS_COMPLETED
		for _, s := range c.starts {
			if goesOn := o.latest[o.lives[s.Token]] != s; goesOn && !o.failed[s.Token] && (!completed || s.Attempt != c.end.View.Attempt) {
				others = append(others, s)
			}
		}
		if !completed {
			continue
		}
		sum, known := o.values[c.end.Digest]
		if !known {
			j.Violated(c.end.Task, fmt.Sprintf("completed with a value that actor %s cannot have counted to", actor), c.submitted, c.end)
			return
		}
		c.sum = sum
		done = append(done, c)
	}
	slices.SortStableFunc(done, func(a, b *countedCall) int { return cmp.Compare(a.sum, b.sum) })
	slices.SortFunc(others, func(a, b *Event) int { return cmp.Compare(a.Seq, b.Seq) })
	last := &countedCall{}
	var now int64          // No earlier than this,
	var since *countedCall // which is when that was submitted; nil: another had begun.
	for _, c := range done {
		between := c.sum - last.sum - 1
		switch {
		case between < 0:
			j.Violated(c.end.Task, fmt.Sprintf("counted actor %s to %d, as another call did", actor, c.sum), last.end, c.end)
			return
		case now > after(c.end) && since != nil:
			j.Violated(since.end.Task, fmt.Sprintf("counted actor %s to %d, and is of after the call that counted it to %d", actor, since.sum, c.sum), c.end, since.submitted, since.end)
			return
		}
		if between > 0 && between <= int64(len(others)) {
			if at := before(others[between-1]); at > now {
				now, since = at, nil
			}
			others = others[between:]
			between = 0
		}
		if between > 0 || now > after(c.end) {
			j.Violated(c.end.Task, fmt.Sprintf("counted actor %s to %d, and nothing can have counted it so far", actor, c.sum), c.submitted, c.end)
			return
		}
		if at := before(c.submitted); at > now {
			now, since = at, c
		}
		last = c
	}
}

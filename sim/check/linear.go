package check

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// linearizable holds what clients and workers were answered about one task to have an order: each
// operation at an instant between its call and its reply, and each answer what a controller gives
// that handles them in that order. An operation without an answer may have its effect at any
// instant after its call, or never.
//
// The order is searched for with Wing and Gong's algorithm as extended by Lowe (porcupine), for
// each task alone: when it has been done for a while, or at the end. The search is bounded by
// steps; one that is given up is Undecided, which is a violation. It is vacuous where calls about
// a task never overlap with others.
type linearizable struct {
	oracle

	cfg   *Config
	model model
	tasks map[string]*linearTask
	// Cancellations of whole jobs, any of which may or may not have reached a task.
	jobs map[string][]*op
	// The first cancellation of something with all that needs it, which may have reached any task that needs
	// another.
	along  *op
	newest incarnation
	// Tasks that are done, in the order in which they were.
	settling []settling
}

type linearTask struct {
	job string
	ops []*op
	// It needs others; and it is of a gang, which may be cancelled because another of it has ended, see gangsWhole.
	needy, gang bool
	done        bool
	// It was checked, and its operations are gone.
	checked bool
}

type settling struct {
	id string
	at time.Duration
}

// settleAfter is how long after its end a task is checked, so that most of what was under way has
// been answered.
const settleAfter = 5 * time.Minute

func newLinearizable(cfg *Config) *linearizable {
	return &linearizable{
		oracle: oracle{"linearizable", "What clients and workers are told of a task is what one controller could say that does one thing at a time."},
		cfg:    cfg, model: model{cfg.Redelivery}, tasks: make(map[string]*linearTask), jobs: make(map[string][]*op),
	}
}

// Observe implements Oracle.
func (o *linearizable) Observe(e *Event, j *Judge) {
	o.settle(e.At, j)
	o.newest = max(o.newest, incarnation(e.Incarnation))
	if e.Kind == ControllerCrash && o.cfg.AllowLossAfterRestart {
		o.crash(e) // One that keeps its records is as if there had been none.
	}
	if e.Kind == CancelCall && e.Dependants && o.along == nil {
		o.along = &op{event: e, kind: opCancel, answer: Unanswered, call: before(e), ret: math.MaxInt64}
	}
	if e.Task == "" {
		o.cancelJob(e)
		return
	}
	switch e.Kind {
	case SubmitCall, CancelCall:
		o.call(e)
	case ReportCall:
		if endsAttempt(e.Outcome) {
			o.call(e)
		}
	case SubmitReply, CancelReply, ReportReply:
		o.reply(e)
	case GrantReply:
		t := o.task(e)
		t.add(&op{event: e, kind: opGrant, attempt: e.Attempt, token: e.Token, from: incarnation(e.Incarnation), call: before(e), ret: after(e)})
	case ReadReply:
		o.read(e)
	default:
	}
}

func before(e *Event) int64 { return int64(2*e.Invoked + 1) } //nolint:gosec // No history is that long.

func after(e *Event) int64 { return int64(2 * e.Seq) } //nolint:gosec // No history is that long.

func (o *linearizable) task(e *Event) *linearTask {
	t := of(o.tasks, e.Task)
	if t.job == "" { // Of a submission that is refused because the task is there, the job is another.
		t.job = e.Job
	}
	return t
}

func (t *linearTask) add(o *op) {
	if !t.checked {
		t.ops = append(t.ops, o)
	}
}

func (o *linearizable) call(e *Event) {
	p := &op{event: e, answer: Unanswered, attempt: e.Attempt, token: e.Token, from: incarnation(e.Incarnation), outcome: e.Outcome, digest: e.Digest, id: e.Call}
	p.call, p.ret = before(e), math.MaxInt64
	switch e.Kind {
	case SubmitCall:
		p.kind = opSubmit
	case CancelCall:
		p.kind = opCancel
	default:
		p.kind = opReport
	}
	t := o.task(e)
	t.needy = t.needy || e.Spec != nil && len(e.Spec.Needs) > 0
	t.add(p)
	if !t.gang && e.Spec != nil && e.Spec.Gang != nil {
		t.gang = true
		t.add(&op{event: e, kind: opCancel, answer: Unanswered, call: p.call, ret: math.MaxInt64})
	}
}

func (o *linearizable) reply(e *Event) {
	t := o.task(e)
	for i := len(t.ops) - 1; i >= 0; i-- {
		p := t.ops[i]
		if p.id != e.Call || p.id == 0 || p.token != e.Token {
			continue
		}
		p.event = e
		switch {
		case e.Answer == Unanswered || e.Answer == Refused:
			// The first of several that may happen any time stands for all.
			if t.stands(p, i) {
				t.ops = append(t.ops[:i], t.ops[i+1:]...)
			}
		case e.Answer == Stale && o.cfg.mayForget(e.At-t.ops[0].event.At):
			// The task may be forgotten.
			t.ops = append(t.ops[:i], t.ops[i+1:]...)
		default:
			p.answer, p.ret = e.Answer, after(e)
			// Another copy of the call may have had its effect, and not this one.
			if e.Kind == CancelReply && (e.Answer == NotFound || e.Answer == AlreadyTerminal) && o.cfg.Redelivery {
				t.add(&op{event: e, kind: opCancel, answer: Unanswered, call: p.call, ret: math.MaxInt64})
			}
		}
		return
	}
}

// stands says whether the operations before place i have one that is like p, without an answer.
func (t *linearTask) stands(p *op, i int) bool {
	for k := i - 1; k >= 0; k-- {
		q := t.ops[k]
		if q.kind == opCrash {
			return false // It may take one for each life of the controller.
		}
		if q.kind == p.kind && q.token == p.token && q.answer == Unanswered && q.event.Kind.Reply() {
			return true
		}
	}
	return false
}

func (o *linearizable) read(e *Event) {
	t := o.task(e)
	if t.checked {
		return
	}
	if e.Answer == NotFound && len(t.ops) > 0 && o.cfg.mayForget(e.At-t.ops[0].event.At) {
		return
	}
	p := &op{event: e, kind: opRead, answer: e.Answer, view: e.View, digest: e.Digest, call: before(e), ret: after(e)}
	// Of equal reads in a row the first and the last say all.
	if n := len(t.ops); n >= 2 && sameRead(t.ops[n-1], p) && sameRead(t.ops[n-2], p) && p.call > t.ops[n-1].ret {
		t.ops[n-1] = p
		return
	}
	t.add(p)
	if e.View != nil && e.View.Terminal() && !t.done {
		t.done = true
		o.settling = append(o.settling, settling{e.Task, e.At + settleAfter})
	}
}

func sameRead(a, b *op) bool {
	if a.kind != opRead || b.kind != opRead || a.digest != b.digest || (a.view == nil) != (b.view == nil) {
		return false
	}
	return a.view == nil || *a.view == *b.view
}

func (o *linearizable) cancelJob(e *Event) {
	switch e.Kind {
	case CancelCall:
		o.jobs[e.Job] = append(o.jobs[e.Job], &op{
			event: e, kind: opCancel, answer: Unanswered, call: before(e), ret: math.MaxInt64, id: e.Call,
		})
	case CancelReply:
		ops := o.jobs[e.Job]
		i := slices.IndexFunc(ops, func(p *op) bool { return p.id == e.Call })
		switch open := func(p *op) bool { return p.event.Kind == CancelReply && p.ret == math.MaxInt64 }; {
		case i < 0:
		case e.Answer != Unanswered && !o.cfg.Redelivery:
			ops[i].event, ops[i].ret = e, after(e)
		case slices.ContainsFunc(ops[:i], open):
			o.jobs[e.Job] = slices.Delete(ops, i, i+1) // The first of several that may happen any time stands for all.
		default:
			ops[i].event = e
		}
	default:
	}
}

// crash puts the death of a controller that keeps no records into the history of each task.
func (o *linearizable) crash(e *Event) {
	o.along = nil
	for _, t := range o.tasks { // order-free: each gets its own
		if len(t.ops) > 0 {
			t.ops = append(t.ops, &op{event: e, kind: opCrash, over: o.newest, call: before(e), ret: after(e)})
			if o.cfg.Redelivery {
				t.repeat(opSubmit)
			}
			if o.cfg.Redelivery || t.gang {
				t.repeat(opCancel)
			}
		}
		t.done = false
	}
}

// repeat has an operation that was there before a crash perhaps be delivered again after it, by
// then to a controller that has not seen it.
func (t *linearTask) repeat(kind opKind) {
	i := slices.IndexFunc(t.ops, func(p *op) bool { return p.kind == kind })
	if i >= 0 {
		t.ops = append(t.ops, &op{event: t.ops[i].event, kind: kind, answer: Unanswered, call: t.ops[len(t.ops)-1].call, ret: math.MaxInt64})
	}
}

// settle checks what has been done for a while.
func (o *linearizable) settle(now time.Duration, j *Judge) {
	for len(o.settling) > 0 && o.settling[0].at <= now {
		id := o.settling[0].id
		o.settling = o.settling[1:]
		if t := o.tasks[id]; t.done && !t.checked {
			o.check(id, t, j)
		}
	}
}

// Finish implements Oracle.
func (o *linearizable) Finish(_ time.Duration, j *Judge) {
	for _, id := range sortedKeys(o.tasks) {
		if t := o.tasks[id]; !t.checked && len(t.ops) > 0 {
			o.check(id, t, j)
		}
	}
}

// check searches for an order of a task's operations, and lets go of them.
func (o *linearizable) check(id string, t *linearTask, j *Judge) {
	j.Check()
	t.checked = true
	ops := t.ops
	for _, job := range o.above(t.job) {
		for _, p := range o.jobs[job] {
			if len(ops) > 0 && p.ret > ops[0].call {
				ops = append(ops, p)
			}
		}
	}
	ops = append(ops, o.failures(t)...)
	if t.needy && o.along != nil {
		ops = append(ops, o.along)
	}
	t.ops = nil
	steps := 0
	m := porcupine.Model{
		Init: func() any { return taskState{} },
		Step: func(state, input, _ any) (bool, any) {
			if steps++; steps > o.cfg.LinearSteps {
				return false, state
			}
			after, ok := o.model.step(state.(taskState), input.(*op)) //nolint:errcheck // The model's own.
			return ok, after
		},
	}
	operations := make([]porcupine.Operation, len(ops))
	for i, p := range ops {
		operations[i] = porcupine.Operation{Input: p, Call: p.call, Return: p.ret}
	}
	if porcupine.CheckOperations(m, operations) {
		return
	}
	if steps > o.cfg.LinearSteps {
		j.Undecided(id, fmt.Sprintf("no order of its %d operations was found in %d steps", len(ops), o.cfg.LinearSteps))
		return
	}
	steps = 0
	_, info := porcupine.CheckOperationsVerbose(m, operations, 0)
	text := "what was said of it cannot all be true"
	proof := longest(info)
	if p := firstWithout(ops, proof); p != nil {
		text = fmt.Sprintf("%v cannot be true, whatever the order", p)
		proof = append(proof, p)
	}
	events := make([]*Event, 0, len(proof))
	for _, p := range proof[max(0, len(proof)-maxProof):] {
		events = append(events, p.event)
	}
	j.Violated(id, text, events...)
}

// above returns a job and those above it.
func (o *linearizable) above(job string) []string {
	all := []string{job}
	for _, j := range o.cfg.jobs.lineage(job) {
		if j.id != job {
			all = append(all, j.id)
		}
	}
	return all
}

// failures returns the cancellations of a task that may have come of the failure of its job, or of one above that:
// one for each life of the controller.
func (o *linearizable) failures(t *linearTask) []*op {
	jobs := o.cfg.jobs.lineage(t.job)
	if len(t.ops) == 0 || !anyCanFail(jobs) {
		return nil
	}
	from := t.ops[0].call
	if !o.cfg.AllowLossAfterRestart {
		at := mayHaveFailedFrom(jobs)
		if at == never {
			return nil
		}
		from = int64(2*at + 1) //nolint:gosec // No history is that long.
	}
	cancel := func(call int64) *op {
		return &op{event: t.ops[0].event, kind: opCancel, answer: Unanswered, call: call, ret: math.MaxInt64}
	}
	all := []*op{cancel(from)}
	for _, p := range t.ops {
		if p.kind == opCrash {
			all = append(all, cancel(p.call))
		}
	}
	return all
}

// maxProof is how many operations a violation shows.
const maxProof = 24

// longest returns the longest order that was found.
func longest(info porcupine.LinearizationInfo) []*op {
	var best []*op
	for _, partition := range info.PartialLinearizationsOperations() {
		for _, order := range partition {
			if len(order) <= len(best) {
				continue
			}
			best = best[:0]
			for _, p := range order {
				best = append(best, p.Input.(*op)) //nolint:errcheck // The model's own.
			}
		}
	}
	return best
}

// firstWithout returns the operation that was answered first of those that have no place in the
// order.
func firstWithout(ops, order []*op) *op {
	placed := make(map[*op]bool, len(order))
	for _, p := range order {
		placed[p] = true
	}
	var first *op
	for _, p := range ops {
		if !placed[p] && (first == nil || p.ret < first.ret) {
			first = p
		}
	}
	return first
}

package core_test

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/frayrpc/fray/fray/core"
)

// modelCaller is whose calls to an actor come in an order of their own, while any of them is known.
type modelCaller struct{ life, id string }

// modelTurn is when a caller was handed a call last, and since when another could be handed, as counts of
// calls that were handed; 0: none.
type modelTurn struct{ handed, waits int }

func (t *modelTask) life() bool { return t.actor != nil }
func (t *modelTask) call() bool { return t.mail != nil }

func (t *modelTask) mailbox() modelCaller { return modelCaller{t.mail.Actor, t.mail.Caller} }

// callsTo are the open calls of an actor whose life is known.
func (m *model) callsTo(life *modelTask) (calls []*modelTask) {
	for _, t := range m.known {
		if t.call() && t.to == life && !t.status.Terminal() {
			calls = append(calls, t)
		}
	}
	return calls
}

// hand are those of them that workers have.
func (m *model) hand(life *modelTask) []*modelTask {
	return slices.DeleteFunc(m.callsTo(life), func(t *modelTask) bool { return t.cur == nil })
}

// busy is how many attempts of calls an incarnation was handed that are not over, be it that they count no longer.
func (m *model) busy(life *modelTask) int {
	n := 0
	for _, a := range m.attempts { // order-free: a count
		if a.task.call() && a.task.to == life && !a.over && life.cur != nil && a.life == life.cur.token {
			n++
		}
	}
	return n
}

func (t *modelTask) concurrency() int { return max(t.actor.Concurrency, 1) }

// first says whether no earlier open call of its caller waits.
func (m *model) first(t *modelTask) bool {
	return !slices.ContainsFunc(m.callsTo(t.to), func(o *modelTask) bool {
		return o.mail.Caller == t.mail.Caller && o.mail.Number < t.mail.Number && o.cur == nil
	})
}

// handable says whether a call could be handed to a session now, if that asks for it.
func (m *model) handable(t *modelTask, s *modelSession) bool {
	return t.call() && t.status == core.Pending && t.pending == core.Mailed && m.first(t) &&
		t.to.live && t.to.cur != nil && t.to.cur.session == s && !t.to.cancel && m.busy(t.to) < t.to.concurrency() &&
		!s.drain && m.now.Sub(s.heard) <= m.cfg.SessionTTL/2
}

// ownerToBe is who a job belongs to once it has had a task.
func (m *model) ownerToBe(e *core.Submit) string {
	if j := m.jobs[e.Job]; j != nil && (j.owner != "" || e.By == "" || !m.fresh(j)) {
		return j.owner
	}
	return e.By
}

// named is the actor that lives under a name.
func (m *model) named(owner, name string) *modelTask {
	i := slices.IndexFunc(m.known, func(t *modelTask) bool {
		return t.life() && name != "" && t.actor.Name == name && !t.status.Terminal() && m.jobs[t.job].owner == owner
	})
	if i < 0 {
		return nil
	}
	return m.known[i]
}

// receiver is the life that an offered call is for, or what is wrong with it.
func (m *model) receiver(e *core.Submit, n *core.NewCall) (*modelTask, core.SubmitVerdict) {
	life := m.task(n.Actor)
	switch {
	case life == nil || !life.life():
		return nil, core.SubmitUnknownActor
	case !m.admits(life.job, e.Owner):
		return nil, core.SubmitActorOfOther
	case n.Number <= m.numbers[modelCaller{n.Actor, n.Caller}]:
		return nil, core.SubmitCallLate
	}
	return life, core.SubmitCreated
}

// taken notes that a call was taken.
func (m *model) taken(t *modelTask) {
	m.numbers[t.mailbox()] = max(m.numbers[t.mailbox()], t.mail.Number)
}

// forgotten notes that a task is known no longer.
func (m *model) forgotten(t *modelTask) {
	for box := range m.numbers {
		if !slices.ContainsFunc(m.known, func(o *modelTask) bool { return o.call() && o.to != nil && o.mailbox() == box }) {
			delete(m.numbers, box)
			delete(m.turns, box)
		}
	}
	for _, o := range m.known {
		if o.to == t { // It has ended.
			o.to = nil
		}
	}
}

// mourned says whether open calls keep the life of a dead actor.
func (m *model) mourned(t *modelTask) bool { return t.life() && len(m.callsTo(t)) > 0 }

// gone notes that a task's attempt is over, or goes on without it. With a life the calls go that its
// incarnation has in hand.
func (m *model) gone(t *modelTask) {
	if t.life() && t.cur != nil {
		t.live = false
		m.lostLives = append(m.lostLives, t)
	}
	t.cur = nil
}

// loseHands charges the calls that incarnations had in hand which are gone, the last handed first.
func (m *model) loseHands() {
	for len(m.lostLives) > 0 {
		life := m.lostLives[0]
		m.lostLives = m.lostLives[1:]
		hand := m.hand(life)
		slices.SortFunc(hand, func(a, b *modelTask) int { return cmp.Compare(b.cur.handed, a.cur.handed) })
		for _, t := range hand {
			a := t.cur
			t.cur = nil
			m.disarm(a.timer)
			if a.timer = nil; !a.stopping {
				a.stopping = true
				m.beats[a.session] = true
			}
			m.lost(t, false)
		}
	}
}

// bury ends the calls of dead actors that no worker may have, in an order that is the scheduler's to choose,
// and says whether there were any.
func (m *model) bury() bool {
	var dead []*modelTask
	for _, t := range m.known {
		if t.call() && !t.status.Terminal() && t.to.status.Terminal() && t.pending != core.Recovering {
			dead = append(dead, t)
		}
	}
	slices.SortStableFunc(dead, func(a, b *modelTask) int {
		return cmp.Compare(slices.Index(m.order, a.num), slices.Index(m.order, b.num))
	})
	for _, t := range dead {
		m.finish(t, core.Failed, core.ActorDead)
	}
	return len(dead) > 0
}

// endings has all go on, or end, for whom it matters what has ended.
func (m *model) endings() {
	m.move()
	for m.bury() {
		m.move()
	}
}

// isReady judges that a worker says of a life that it takes calls.
func (m *model) isReady(a *modelAttempt) core.ReportVerdict {
	t := a.task
	if !t.life() || !a.current() {
		return core.Stale
	}
	if t.live {
		return core.Duplicate
	}
	m.running(a)
	t.live = true
	return core.Accepted
}

// handed judges the grant of a call.
func (d *modelDriver) handed(s *modelSession, t *modelTask, g core.Grant, free, i int) {
	m := d.m
	if !m.handable(t, s) {
		d.t.Fatalf("worker %s may not be handed call %d of caller %s to %s, %s (%v %v)", s.reg.WorkerID, t.mail.Number, t.mail.Caller, t.mail.Actor, t.id, t.status, t.pending)
	}
	if i >= free {
		d.t.Fatalf("call %s is handed ahead of a free slot", t.id)
	}
	if g.Life != t.to.cur.token {
		d.t.Fatalf("call %s is handed to the incarnation %x, want %x", t.id, g.Life, t.to.cur.token)
	}
	if most := t.shape.MaxRetries + t.shape.MaxWorkerLosses; t.mayHaveRun > most {
		d.t.Fatalf("call %s may have run %d times, and is handed again", t.id, t.mayHaveRun)
	}
	own, waiting := m.turns[t.mailbox()], m.waiting()
	for box, o := range m.turns { // One whose next call was put back in this step waits no longer.
		if waiting[box] && box.life == t.mail.Actor && box.id != t.mail.Caller && o.waits != 0 && own.handed > o.waits {
			d.t.Fatalf("call %s of %s is handed before its turn: %s waits", t.id, t.mail.Caller, box.id)
		}
	}
	m.handedCalls++
	m.turns[t.mailbox()] = modelTurn{handed: m.handedCalls + 1}
}

// waiting returns the callers whose next call could be handed.
func (m *model) waiting() map[modelCaller]bool {
	waits := make(map[modelCaller]bool)
	for _, t := range m.known {
		if t.call() && t.pending == core.Mailed && !t.to.status.Terminal() && m.first(t) {
			waits[t.mailbox()] = true
		}
	}
	return waits
}

// waitTurns notes which callers wait for their turn at the end of a step.
func (m *model) waitTurns() {
	waits := m.waiting()
	for box := range m.numbers {
		turn := m.turns[box]
		switch {
		case !waits[box]:
			turn.waits = 0
		case turn.waits == 0:
			turn.waits = m.handedCalls + 1
		}
		m.turns[box] = turn
	}
}

// actorView is what the model takes an actor for.
func (m *model) actorView(t *modelTask) core.ActorView {
	v := core.ActorView{
		Num: t.num, ID: t.id, Name: t.actor.Name, Function: t.shape.Function, Job: t.job, State: core.ActorRestarting, WorkerID: t.worker,
		Allowed: t.shape.MaxWorkerLosses, Restarts: min(t.failures+t.losses, t.shape.MaxWorkerLosses), Open: len(m.callsTo(t)), Handed: len(m.hand(t)),
	}
	switch {
	case t.status.Terminal():
		v.State = core.ActorIsDead
	case t.live:
		v.State = core.ActorLive
	case t.cur != nil:
		v.State = core.ActorPlaced
	case t.failures+t.losses == 0 && !t.started:
		v.State = core.ActorPending
	}
	return v
}

func (m *model) listActors(e *core.ListActors) {
	var r core.ActorsReply
	for _, t := range m.known {
		is := t.life() && t.num > e.After
		if e.Name != "" {
			is = t == m.named(e.By, e.Name) && !t.cancel
		}
		switch {
		case !is || !m.admits(t.job, e.Owner):
		case e.Name == "" && len(r.Actors) == e.Max:
			r.More = true
		default:
			r.Actors = append(r.Actors, m.actorView(t))
		}
	}
	m.replies[e.Call] = r
}

// actors compares every actor, and sees that no poll waits beside a call that it could be handed.
func (d *modelDriver) actors() {
	m := d.m
	var out core.Effects
	d.s.Idle(m.now, &out, &core.ListActors{Max: 1000})
	var want core.ActorsReply
	for _, t := range m.known {
		if t.life() {
			want.Actors = append(want.Actors, m.actorView(t))
		}
	}
	if have := out.Replies[0].Body; !reflect.DeepEqual(have, want) {
		d.t.Fatalf("actors are told as\n%+v, want\n%+v", have, want)
	}
	for _, c := range m.parked {
		if c.poll == nil || c.poll.Max <= 0 && c.poll.Free <= 0 || c.free() <= 0 || m.keepsClear(c) {
			continue
		}
		for _, t := range m.known {
			if m.handable(t, c.session) {
				d.t.Fatalf("worker %s waits beside call %s", c.session.reg.WorkerID, t.id)
			}
		}
	}
	for _, t := range m.known {
		if t.life() && t.live && max(len(m.hand(t)), m.busy(t)) > t.concurrency() {
			d.t.Fatalf("actor %s has %d calls in hand, and %d attempts of them are not over", t.id, len(m.hand(t)), m.busy(t))
		}
	}
}

// keepsClear says whether a worker that asks is granted nothing for a task that runs alone there, or is to.
func (m *model) keepsClear(c *modelCall) bool {
	s := c.session
	return s.aside && !m.whole(s) ||
		slices.ContainsFunc(s.attempts, func(a *modelAttempt) bool { return a.alone }) && c.poll.Free < s.reg.Slots
}

// checkpoints compares what is written of actors' states.
func (d *modelDriver) checkpoints(got []core.Record) {
	var have, forgotten []core.TaskNum
	for _, r := range got {
		switch r.Kind {
		case core.RecordCheckpoint:
			have = append(have, r.Task)
		case core.RecordForgetCheckpoint:
			forgotten = append(forgotten, r.Task)
		}
	}
	var want []core.TaskNum
	for _, t := range d.m.forgets {
		if t.life() {
			want = append(want, t.num)
		}
	}
	if !slices.Equal(have, d.m.checkpoints) || !slices.Equal(forgotten, want) {
		d.t.Fatalf("checkpoints are written of %v and forgotten of %v, want %v and %v", have, forgotten, d.m.checkpoints, want)
	}
}

// life offers an actor.
func (d *modelDriver) life(sh *core.Shape, n *core.NewTask) {
	sh.Role, sh.ExecutionTimeout = core.Life, 0
	sh.MaxWorkerLosses = uint32(d.int("restarts", 0, 3))
	sh.MaxRetries = sh.MaxWorkerLosses
	if d.chance("anywhere", 70) {
		sh.Resources, sh.Labels, sh.SchedulingTimeout = nil, nil, 0
	}
	n.Actor = &core.NewActor{Name: pick(d, "actor name", []string{"", "", "x", "y"}), Concurrency: d.int("concurrency", 0, 3)}
	d.lives = append(d.lives, n.ID)
}

// mailed offers a call to one of the latest actors, mostly with a number that rises.
func (d *modelDriver) mailed(sh *core.Shape, n *core.NewTask) {
	sh.Role, sh.Resources, sh.Labels = core.ActorCall, nil, nil
	sh.MaxWorkerLosses = uint32(d.int("call losses", 0, 1))
	to := "nobody's"
	switch {
	case d.chance("odd actor", 4) && len(d.ids) > 0:
		to = pick(d, "id", d.ids)
	case len(d.lives) > 0:
		to = d.lives[max(0, len(d.lives)-1-d.int("before", 0, 3))]
	}
	box := modelCaller{to, pick(d, "caller", []string{"p", "q", "r"})}
	number := d.numbers[box]
	switch {
	case d.chance("too low", 8):
		number -= min(number, uint64(d.int("by", 0, 3)))
	case d.chance("gap", 15):
		number += uint64(d.int("gap", 2, 4))
	default:
		number++
	}
	number = max(number, 1)
	d.numbers[box] = max(d.numbers[box], number)
	n.ActorCall = &core.NewCall{Actor: to, Caller: box.id, Number: number}
}

func (d *modelDriver) listActors() {
	d.step(&core.ListActors{
		Call: d.call(), After: core.TaskNum(d.int("after", 0, 20)), Max: d.int("max", 1, 4), Name: pick(d, "actor name", []string{"", "x", "y"}),
		Owner: d.owner(), By: d.owner(),
	})
}

// host has a worker ask for work, and say of all actors that it holds that they take calls.
func (d *modelDriver) host() {
	w := d.worker()
	if w.session == 0 || d.m.session(w.session) == nil {
		d.registered(w, &core.Register{WorkerID: w.id, Slots: 4, Functions: []string{"f", "g"}, Held: d.held(w)})
	}
	e := &core.Report{Call: d.call(), Session: w.session}
	for _, a := range w.held {
		if a.task.life() {
			e.Items = append(e.Items, core.ReportItem{Task: a.task.id, Attempt: a.n, Token: a.token, Outcome: core.ReadyOutcome})
		}
	}
	if len(e.Items) > 0 {
		d.step(e)
	}
	d.pollFor(w, 4, 4+d.int("prefetch", 0, 1))
}

// cancelActor has an actor end, or a call of one, such as one that a worker has.
func (d *modelDriver) cancelActor() {
	var ids []string
	handed := d.chance("handed", 60)
	for _, t := range d.m.known {
		if (t.life() && !handed || t.call() && (!handed || t.cur != nil)) && !t.status.Terminal() {
			ids = append(ids, t.id)
		}
	}
	if len(ids) > 0 {
		d.step(&core.Cancel{Call: d.call(), IDs: []string{pick(d, "id", ids)}, WithDependants: d.chance("with dependants", 30)})
	}
}

// stuck says whether an open task waits for what only the end of an actor brings.
func (m *model) stuck(t *modelTask) bool {
	switch {
	case t.life():
		return t.cur != nil || m.waitsInVain(t)
	case t.call():
		return m.waitsInVain(t) || t.to.cur == nil && m.stuck(t.to) || slices.ContainsFunc(m.callsTo(t.to), func(o *modelTask) bool {
			return o.mail.Caller == t.mail.Caller && o.mail.Number < t.mail.Number && m.stuck(o)
		})
	default:
		return m.waitsInVain(t)
	}
}

func (m *model) waitsInVain(t *modelTask) bool {
	return t.pending == core.Blocked && slices.ContainsFunc(t.waits, m.stuck)
}

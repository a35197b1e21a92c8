package core

import (
	"slices"

	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

// An actor is state that lives at one worker and takes calls. Its life is a task: granting it places the
// actor, its attempts are the actor's incarnations, and its end is the actor's. Calls are tasks, too, and
// wait in the actor's mailbox instead of a queue; they are granted to the session that has the life, once
// the worker has said of that incarnation that it takes calls.
//
// The calls of one caller go one after the other, in the order of their numbers: one that is not Mailed, as
// it needs others or was backed off, keeps those behind it waiting. Callers take turns.
//
// A call that was handed to an incarnation which is gone is charged with the loss, as a task is with that of
// its worker. Calls allow for none unless their shape says so: then it is handed to the next, in its place.

// Role says what a task is besides work for any worker.
type Role uint8

// Most tasks are Plain; a life and a call are those of actors.
const (
	Plain Role = iota
	Life
	ActorCall
	// Schedule creates tasks, see schedule.go.
	Schedule
)

// NewActor is what a life has besides.
type NewActor struct {
	// Its name among those of its owner's that live; empty: it has none.
	Name string
	// How many calls it is handed at once; 0 means 1.
	Concurrency int
}

// NewCall is what a call has besides.
type NewCall struct {
	// The id of the life, and whose call it is.
	Actor, Caller string
	// From 1, rising with each call of the caller to the actor.
	Number uint64
}

// actor is one whose life is known, or which has open calls.
type actor struct {
	life        *task
	id          string
	name        string
	owner       *owner // among whose names that is
	concurrency int
	// Its current incarnation takes calls.
	live bool
	dead bool
	// What calls of it end with once it is dead; nil: it is not known yet, see deathOf.
	death []byte
	// Those who have known calls of it, also in the order in which they came.
	callers map[string]*caller
	list    []*caller
	// The callers whose next call can be handed, in turn; of a dead one those that may have open calls.
	turns reuse.Queue[*caller]
	// The calls that it is handed, and how many have not ended, these included.
	hand []*task
	open int
	// How many attempts its incarnation was handed that count no longer, and that its worker has not said to be over.
	lingering int
	// Its incarnation is in session.mail; it is in Scheduler.dying.
	mailed, dying bool
}

type nameKey struct{ owner, name string }

// findActor returns the actor of an offered call and SubmitCreated, or else what is wrong.
func (c *Scheduler) findActor(e *Submit, n *NewCall) (*actor, SubmitVerdict) {
	t := c.find(n.Actor)
	if t == nil || c.actors[t] == nil {
		return nil, SubmitUnknownActor
	}
	if !t.job.admits(e.Owner) {
		return nil, SubmitActorOfOther
	}
	a := c.actors[t]
	if k := a.callers[n.Caller]; k != nil && n.Number <= k.last {
		return nil, SubmitCallLate
	}
	return a, SubmitCreated
}

// named returns the task that has the name of an offered one, of those of who submits; nil: it is free.
func (c *Scheduler) named(e *Submit, n *NewTask) *task {
	switch {
	case n.Actor != nil && n.Actor.Name != "":
		if a := c.actorByName[nameKey{c.ownerToBe(c.jobs[e.Job], e.By).name, n.Actor.Name}]; a != nil {
			return a.life
		}
	case n.Unique != nil:
		return c.uniqueOf(nameKey{c.ownerToBe(c.jobs[e.Job], e.By).name, n.Unique.Key})
	case n.Schedule != nil:
		if s := c.scheduleByName[nameKey{c.ownerToBe(c.jobs[e.Job], e.By).name, n.Schedule.Name}]; s != nil {
			return s.task
		}
	}
	return nil
}

// born has a life be that of an actor.
func (c *Scheduler) born(t *task, n *NewActor, id string, dead bool) {
	a := &actor{life: t, id: id, name: n.Name, owner: t.job.owner, concurrency: max(n.Concurrency, 1), callers: make(map[string]*caller), dead: dead}
	c.actors[t] = a
	if n.Name != "" && !dead {
		c.actorByName[nameKey{a.owner.name, n.Name}] = a
	}
}

// moved follows a life or a call that has gone from one status to another.
func (c *Scheduler) moved(t *task, from Status) {
	had, has := from.leased(), t.status.leased()
	if t.shape.Role == Life {
		if a := c.actors[t]; a != nil && had && !has {
			a.live, a.mailed, a.lingering = false, false, 0
			c.lost = append(c.lost, a)
		}
		return
	}
	m, ok := c.calls[t]
	if !ok {
		return
	}
	k, a := m.caller, m.caller.actor
	switch {
	case had == has:
	case has:
		a.hand = append(a.hand, t)
	default:
		a.hand = slices.DeleteFunc(a.hand, func(o *task) bool { return o == t })
	}
	switch {
	case t.status.Terminal():
		if a.open--; a.open == 0 && a.dead {
			c.unread(a.life)
		}
		k.unfile(m.number)
	case has:
		k.unfile(m.number)
	case had:
		k.file(t, m.number)
		if a.dead {
			c.startDying(k)
		}
	}
	c.turn(k)
	c.deliver(a)
}

// busy says whether the actor's incarnation has all the calls that it takes. One that was told to stop, and may run
// still, is among these.
func (a *actor) busy() bool { return len(a.hand)+a.lingering >= a.concurrency }

// linger notes that an attempt will count no longer, and may run still.
func (c *Scheduler) linger(l *lease) {
	if l.life != 0 && l.ofLife() {
		l.lingers = true
		l.actor.lingering++
	}
}

// lingered notes that an attempt which lingers is over.
func (c *Scheduler) lingered(l *lease) {
	if l.lingers && l.ofLife() {
		l.actor.lingering--
		c.deliver(l.actor)
	}
}

// ofLife says whether a call's attempt was handed to its actor's incarnation of now.
func (l *lease) ofLife() bool {
	life := l.actor.life.lease()
	return life != nil && life.token == l.life
}

// loseHands sees to the calls that incarnations had in hand which are gone.
func (c *Scheduler) loseHands() {
	for len(c.lost) > 0 {
		a := c.lost[0]
		c.lost = c.lost[1:]
		if a.live || a.life.lease() != nil {
			continue // It has the next already, and no call before.
		}
		for _, t := range slices.Backward(slices.Clone(a.hand)) {
			l := t.run.lease
			t.run.lease = nil
			c.timers.cancel(l.timer) // Its task waits for it no longer.
			l.timer = nil
			c.stop(l)
			c.workerLost(t, l.ran(c.now), false)
		}
	}
	c.lost = nil
}

// ready notes that an incarnation takes calls.
func (c *Scheduler) ready(l *lease) ReportVerdict {
	a := c.actors[l.task]
	if a == nil || l.task.shape.Role != Life || !l.current() {
		return Stale
	}
	if a.live {
		return Duplicate
	}
	c.running(l)
	a.live = true
	c.deliver(a)
	return Accepted
}

// die ends an actor whose life has ended. Its calls follow, some in each step; until then its life is
// known.
func (c *Scheduler) die(t *task, result []byte) {
	a := c.actors[t]
	a.dead, a.live = true, false
	if c.cfg.Death != nil {
		a.death = c.cfg.Death(a.id, t.status == Cancelled, result)
	}
	if key := (nameKey{a.owner.name, a.name}); a.name != "" && c.actorByName[key] == a {
		delete(c.actorByName, key)
	}
	if a.open > 0 {
		c.holdLife(a)
		for _, k := range a.list {
			if len(k.queue) > 0 {
				c.startDying(k)
			}
		}
	}
}

// holdLife keeps the life of a dead actor as long as calls of it are open, as if a call read its result; unread
// ends that.
func (c *Scheduler) holdLife(a *actor) {
	t := a.life
	t.next++
	if len(t.job.done) > 0 && t.job.done[0] == t {
		c.place(t.job)
	}
}

// startDying has the calls end that a caller has to a dead actor.
func (c *Scheduler) startDying(k *caller) {
	a := k.actor
	if !k.waiting {
		k.waiting = true
		a.turns.Push(k)
	}
	if !a.dying {
		a.dying = true
		c.dying = append(c.dying, a)
	}
}

// bury ends calls of actors that are dead, as many as are left of what a step may move, and returns how
// many are left then. Those that may be at a worker end by themselves.
func (c *Scheduler) bury(left int) int {
	for left > 0 && len(c.dying) > 0 {
		a := c.dying[0]
		for a.turns.Len() > 0 {
			k := *a.turns.At(0)
			if left = c.buryOf(k, left); left == 0 {
				return 0
			}
			k.waiting = false
			a.turns.Drop(1)
		}
		a.dying = false
		c.dying[0] = nil
		c.dying = c.dying[1:]
	}
	return left
}

// buryOf ends calls of one caller.
func (c *Scheduler) buryOf(k *caller, left int) int {
	left--
	for i := 0; i < len(k.queue) && left > 0; {
		t, n := k.queue[i].task, len(k.queue)
		c.looks++
		if t == nil || t.pending == Recovering {
			i++
			continue
		}
		left--
		c.finish(t, Failed, ActorDead, c.deathOf(k.actor))
		i = max(i+1-(n-len(k.queue)), 0)
	}
	return left
}

// deleted says whether an actor is deleted, or is to be. Then calls that are lost with it are charged to nobody.
func (a *actor) deleted() bool { return a.life.status == Cancelled || a.life.cancelRequested() }

// deathOf is what a call of a dead actor ends with, or of one that is deleted.
func (c *Scheduler) deathOf(a *actor) []byte {
	if a.death == nil && c.cfg.Death != nil {
		a.death = c.cfg.Death(a.id, a.deleted(), nil)
	}
	return a.death
}

// forgetActor forgets what a life or a call was to an actor.
func (c *Scheduler) forgetActor(t *task) {
	if t.shape.Role == Life {
		delete(c.actors, t)
		c.out.Records = append(c.out.Records, Record{Kind: RecordForgetCheckpoint, Task: t.num, Lazy: true})
		return
	}
	m, ok := c.calls[t]
	if !ok {
		return
	}
	delete(c.calls, t)
	k, a := m.caller, m.caller.actor
	if k.known--; k.known > 0 {
		return
	}
	delete(a.callers, k.id)
	last := a.list[len(a.list)-1]
	a.list[k.at], last.at = last, k.at
	a.list[len(a.list)-1] = nil
	a.list = a.list[:len(a.list)-1]
}

// spent says whether a task was lost, or a life failed, more often than it may be.
func (c *Scheduler) spent(t *task) bool {
	n := t.run.losses
	if t.shape.Role == Life {
		n += t.run.failures
	}
	return n > t.shape.MaxWorkerLosses
}

// keepCheckpoint has it written what the next incarnation of a call's actor is made from.
func (c *Scheduler) keepCheckpoint(t *task, data []byte) {
	if m, ok := c.calls[t]; ok && data != nil {
		c.out.Records = append(c.out.Records, Record{Kind: RecordCheckpoint, Task: m.caller.actor.life.num, Data: data})
	}
}

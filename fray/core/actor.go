package core

import (
	"cmp"
	"slices"

	"github.com/frayrpc/fray/fray/core/internal/enum"
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

// Role says what a task is to an actor.
type Role uint8

// Most tasks have nothing to do with actors.
const (
	Plain Role = iota
	Life
	ActorCall
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

// ActorState is where an actor stands.
type ActorState uint8

// What each of them is, the wire says.
const (
	ActorPending ActorState = iota + 1
	ActorPlaced
	ActorLive
	ActorRestarting
	ActorIsDead
	actorStateCount
)

var actorStateNames = [actorStateCount]string{"NONE", "PENDING", "PLACED", "LIVE", "RESTARTING", "DEAD"}

func (s ActorState) String() string { return enum.Name(actorStateNames[:], s) }

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
	// Its incarnation is in session.mail; it is in Scheduler.dying.
	mailed, dying bool
}

// caller is who calls an actor.
type caller struct {
	actor *actor
	id    string
	// The number of the last call that was taken, and how many calls are known.
	last  uint64
	known int
	// Its open calls that are not handed, in the order of their numbers, with gaps in between.
	queue []letter
	gaps  int
	// It is in actor.turns; its place in actor.list.
	waiting bool
	at      int
}

// mail is what the scheduler knows of a call.
type mail struct {
	caller *caller
	number uint64
}

// letter is a call in its caller's queue; without a task it is a gap.
type letter struct {
	task   *task
	number uint64
}

// delivery says that an incarnation can be handed calls.
type delivery struct {
	actor *actor
	life  Token
}

type nameKey struct{ owner, name string }

// mailbox is where the calls of a caller to an actor go, by their ids.
type mailbox struct{ actor, caller string }

func (n *NewTask) mailbox() mailbox { return mailbox{n.ActorCall.Actor, n.ActorCall.Caller} }

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

// named returns the actor that lives under a name, of those of who submits.
func (c *Scheduler) named(e *Submit, n *NewTask) *actor {
	if n.Actor == nil || n.Actor.Name == "" {
		return nil
	}
	return c.actorByName[nameKey{c.ownerToBe(c.jobs[e.Job], e.By).name, n.Actor.Name}]
}

// born has a life be that of an actor.
func (c *Scheduler) born(t *task, n *NewActor, id string, dead bool) {
	a := &actor{life: t, id: id, name: n.Name, owner: t.job.owner, concurrency: max(n.Concurrency, 1), callers: make(map[string]*caller), dead: dead}
	c.actors[t] = a
	if n.Name != "" && !dead {
		c.actorByName[nameKey{a.owner.name, n.Name}] = a
	}
}

// address has a call be one of a caller's.
func (c *Scheduler) address(t *task, a *actor, n *NewCall, open bool) {
	k := a.callers[n.Caller]
	if k == nil {
		k = &caller{actor: a, id: n.Caller, at: len(a.list)}
		a.callers[n.Caller] = k
		a.list = append(a.list, k)
	}
	k.known++
	k.last = max(k.last, n.Number)
	c.calls[t] = mail{k, n.Number}
	if open {
		if a.open++; a.open == 1 && a.dead {
			c.holdLife(a)
		}
		k.file(t, n.Number)
		if a.dead {
			c.startDying(k)
		}
	}
}

// file puts an open call that is not handed in its place.
func (k *caller) file(t *task, number uint64) {
	l := letter{t, number}
	if n := len(k.queue); n == 0 || k.queue[n-1].number < number {
		k.queue = append(k.queue, l)
		return
	}
	switch at, there := k.find(number); {
	case there: // Its own place.
		k.queue[at].task = t
		k.gaps--
	case at == 0 && cap(k.queue) == len(k.queue):
		k.queue = append(append(make([]letter, 0, 2*len(k.queue)+1), l), k.queue...)
	default:
		k.queue = slices.Insert(k.queue, at, l)
	}
}

// unfile takes a call out, if it is there.
func (k *caller) unfile(number uint64) {
	at, there := k.find(number)
	if !there || k.queue[at].task == nil {
		return
	}
	k.queue[at].task = nil
	k.gaps++
	for len(k.queue) > 0 && k.queue[0].task == nil {
		k.queue = k.queue[1:]
		k.gaps--
	}
	switch {
	case len(k.queue) == 0:
		k.queue = nil
	case k.gaps > len(k.queue)/2+16:
		k.queue = slices.DeleteFunc(k.queue, func(l letter) bool { return l.task == nil })
		k.gaps = 0
	}
}

func (k *caller) find(number uint64) (at int, there bool) {
	return slices.BinarySearchFunc(k.queue, number, func(l letter, n uint64) int { return cmp.Compare(l.number, n) })
}

// next returns the caller's next call, or nil.
func (k *caller) next() *task {
	if len(k.queue) == 0 {
		return nil
	}
	return k.queue[0].task
}

// post has a call wait in its mailbox.
func (c *Scheduler) post(t *task) {
	c.waitAside(t, Mailed)
	k := c.calls[t].caller
	if k.actor.dead {
		c.startDying(k)
		return
	}
	c.turn(k)
}

// turn has a caller take its turn if its next call can be handed.
func (c *Scheduler) turn(k *caller) {
	if t := k.next(); t != nil && t.pending == Mailed && !k.waiting {
		k.waiting = true
		k.actor.turns.Push(k)
		c.deliver(k.actor)
	}
}

// deliver has an actor's worker be handed calls, if it may be.
func (c *Scheduler) deliver(a *actor) {
	if !a.live || a.mailed || a.turns.Len() == 0 || len(a.hand) >= a.concurrency || a.life.cancelRequested() {
		return
	}
	l := a.life.lease()
	a.mailed = true
	l.session.mail.Push(delivery{a, l.token})
	c.stirMail(l.session)
}

// stirMail has a worker that asks for work be handed the calls that there are for it, when this step hands
// out work.
func (c *Scheduler) stirMail(s *session) {
	if !s.mailStirred && s.mail.Len() > 0 && c.takesMail(s) {
		s.mailStirred = true
		c.mailed = append(c.mailed, s)
	}
}

// takesMail says whether a worker can be handed calls now. One that is backed off can: they can go nowhere
// else.
func (c *Scheduler) takesMail(s *session) bool {
	return s.poll != nil && s.poll.max > 0 && s.poll.freeSlots() > 0 && s.kind != nil && !s.keepsClear() && !c.silent(s)
}

// handOut serves the workers for which there are calls.
func (c *Scheduler) handOut() {
	if len(c.mailed) > 0 {
		c.steps++ // They are granted tasks, too.
	}
	for i := 0; i < len(c.mailed); i++ { //nolint:intrange // Some come while others are served.
		s := c.mailed[i]
		s.mailStirred = false
		if s.mail.Len() > 0 && c.takesMail(s) {
			c.serve(s)
		}
	}
	c.mailed = reuse.Emptied(c.mailed)
}

// nextCall takes the next call for a worker out of its mailbox; nil: there is none.
func (c *Scheduler) nextCall(s *session) *task {
	for s.mail.Len() > 0 {
		d := *s.mail.At(0)
		s.mail.Drop(1)
		c.looks++
		a := d.actor
		if !a.live || a.life.lease().token != d.life {
			continue // That incarnation is gone.
		}
		a.mailed = false
		if len(a.hand) >= a.concurrency || a.life.cancelRequested() {
			continue // It is delivered anew once that is over.
		}
		for a.turns.Len() > 0 {
			k := *a.turns.At(0)
			a.turns.Drop(1)
			k.waiting = false
			c.looks++
			if t := k.next(); t != nil && t.pending == Mailed {
				return t
			}
		}
	}
	return nil
}

// moved follows a life or a call that has gone from one status to another.
func (c *Scheduler) moved(t *task, from Status) {
	at := func(s Status) bool { return s == Leased || s == Running }
	if t.shape.Role == Life {
		if a := c.actors[t]; a != nil && at(from) && !at(t.status) {
			a.live, a.mailed = false, false
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
	case at(from) == at(t.status):
	case at(t.status):
		a.hand = append(a.hand, t)
	default:
		a.hand = slices.DeleteFunc(a.hand, func(o *task) bool { return o == t })
	}
	switch {
	case t.status.Terminal():
		if a.open--; a.open == 0 && a.dead {
			c.letLifeGo(a)
		}
		k.unfile(m.number)
	case at(t.status):
		k.unfile(m.number)
	case at(from):
		k.file(t, m.number)
		if a.dead {
			c.startDying(k)
		}
	}
	c.turn(k)
	c.deliver(a)
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

// holdLife keeps the life of a dead actor as long as calls of it are open, as if a call read its result.
func (c *Scheduler) holdLife(a *actor) {
	t := a.life
	t.next++
	if len(t.job.done) > 0 && t.job.done[0] == t {
		c.place(t.job)
	}
}

// letLifeGo ends holdLife.
func (c *Scheduler) letLifeGo(a *actor) {
	c.unread(a.life)
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

// deleted says whether the actor of a call is deleted, or is to be. Then what is lost with it is charged to
// nobody.
func (c *Scheduler) deleted(t *task) bool {
	a := c.calls[t].caller.actor
	return a.life.status == Cancelled || a.life.cancelRequested()
}

// deathOf is what a call of a dead actor ends with, or of one that is deleted.
func (c *Scheduler) deathOf(a *actor) []byte {
	if a.death == nil && c.cfg.Death != nil {
		a.death = c.cfg.Death(a.id, a.life.status == Cancelled || a.life.cancelRequested(), nil)
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

// explainMailed says what a call waits for.
func (c *Scheduler) explainMailed(t *task) string {
	a := c.calls[t].caller.actor
	switch state := a.state(); {
	case state != ActorLive:
		return "its actor is " + state.String()
	case len(a.hand) >= a.concurrency:
		return "its actor is busy with others"
	default:
		return "it waits for its turn, or for a free slot at its actor's worker"
	}
}

func (a *actor) state() ActorState {
	switch t := a.life; {
	case a.dead:
		return ActorIsDead
	case a.live:
		return ActorLive
	case t.status == Leased || t.status == Running:
		return ActorPlaced
	case t.run == nil || t.run.failures+t.run.losses == 0 && !t.started:
		return ActorPending
	default:
		return ActorRestarting
	}
}

// ActorView is an actor as it stands. It shares no memory with the scheduler.
type ActorView struct {
	Num               TaskNum
	ID, Name          string
	Function, Job     string
	State             ActorState
	WorkerID          string
	Restarts, Allowed uint32
	Open, Handed      int
}

func (a *actor) view() ActorView {
	t := a.life
	v := ActorView{
		Num: t.num, ID: a.id, Name: a.name, Function: t.shape.Function, Job: t.job.id, State: a.state(),
		Allowed: t.shape.MaxWorkerLosses, Open: a.open, Handed: len(a.hand),
	}
	if r := t.run; r != nil {
		v.WorkerID, v.Restarts = r.workerID, min(r.failures+r.losses, v.Allowed)
	}
	return v
}

// ListActors asks for actors whose life has a greater number than After, Max of them at most, or for the one
// that lives under a Name, and is not being deleted. Replied with ActorsReply.
type ListActors struct {
	Call  CallID
	After TaskNum
	Max   int
	Name  string
	// As in Get, and whose name it is.
	Owner, By string
}

// ActorsReply answers ListActors, in the order of their numbers.
type ActorsReply struct {
	Actors []ActorView
	// There are more.
	More bool
}

// apply tells what may not be durable yet, in turn with the records.
func (e *ListActors) apply(c *Scheduler) {
	var r ActorsReply
	if e.Name != "" {
		if a := c.actorByName[nameKey{e.By, e.Name}]; a != nil && a.life.job.admits(e.Owner) && !a.life.cancelRequested() {
			r.Actors = append(r.Actors, a.view())
		}
		c.reply(e.Call, r)
		return
	}
	var after []*actor
	for t, a := range c.actors { // order-free: sorted below
		if t.num > e.After && t.job.admits(e.Owner) {
			after = append(after, a)
		}
	}
	c.looks += uint64(len(c.actors))
	slices.SortFunc(after, func(a, b *actor) int { return cmp.Compare(a.life.num, b.life.num) })
	if r.More = len(after) > e.Max; r.More {
		after = after[:e.Max]
	}
	for _, a := range after {
		r.Actors = append(r.Actors, a.view())
	}
	c.reply(e.Call, r)
}

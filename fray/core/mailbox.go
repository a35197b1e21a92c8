package core

import (
	"cmp"
	"slices"

	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

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

// mailbox is where the calls of a caller to an actor go, by their ids.
type mailbox struct{ actor, caller string }

func (n *NewTask) mailbox() mailbox { return mailbox{n.ActorCall.Actor, n.ActorCall.Caller} }

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
	if !a.live || a.mailed || a.turns.Len() == 0 || a.busy() || a.life.cancelRequested() {
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
		if a.busy() || a.life.cancelRequested() {
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

// explainMailed says what a call waits for.
func (c *Scheduler) explainMailed(t *task) string {
	a := c.calls[t].caller.actor
	switch state := a.state(); {
	case state != ActorLive:
		return "its actor is " + state.String()
	case a.busy():
		return "its actor is busy with others"
	default:
		return "it waits for its turn, or for a free slot at its actor's worker"
	}
}

package core

import "slices"

// actors: each call is in just one place, callers take turns that have something to hand, and what is at a
// worker is the current incarnation's.
func (k *checker) actors() {
	c := k.c
	for t := range c.log.all() {
		if t.shape.Role == Life {
			k.want(c.actors[t] != nil, "life %s is an actor's", k.id(t))
		}
		_, known := c.calls[t]
		k.want(t.shape.Role == ActorCall && (known || t.status.Terminal()) || !known, "task %s is known as a call: %v", k.id(t), known)
		k.want(t.pending != Mailed || known, "task %s, which waits in a mailbox, is a call", k.id(t))
	}
	known, open := make(map[*caller]int), make(map[*actor]int)
	for t, m := range c.calls { // order-free: sums, and each for itself
		k.want(c.find(c.id(t)) == t, "call %s is known", k.id(t))
		known[m.caller]++
		k.want(m.number <= m.caller.last, "call %s has number %d, its caller's last is %d", k.id(t), m.number, m.caller.last)
		if t.status.Terminal() {
			continue
		}
		a := m.caller.actor
		open[a]++
		k.want(c.actors[a.life] == a, "the actor of open call %s is known", k.id(t))
		at, there := m.caller.find(m.number)
		there = there && m.caller.queue[at].task == t
		held := t.status.leased()
		k.want(there != held && slices.Contains(a.hand, t) == held, "call %s is %v, and queued %v", k.id(t), t.status, there)
		if held {
			k.want(a.life.lease() != nil && a.life.lease().session == t.run.lease.session, "call %s is at its actor's worker", k.id(t))
		}
	}
	living, mailed := 0, make(map[*actor]int)
	for t, a := range c.actors { // order-free: each is checked for itself
		k.want(a.life == t && a.id == c.id(t) && c.find(a.id) == t, "life %s is known", k.id(t))
		k.want(a.dead == t.status.Terminal() && (!a.live || t.status == Running), "actor %s is %v, its life %v", a.id, a.state(), t.status)
		k.want(a.open == open[a], "actor %s has %d open calls, counted %d", a.id, open[a], a.open)
		lingering := 0
		for _, l := range c.leases { // order-free: a count
			if l.lingers && l.actor == a && l.ofLife() {
				lingering++
			}
		}
		k.want(lingering == a.lingering, "actor %s has %d calls that linger, counted %d", a.id, lingering, a.lingering)
		k.want(len(a.hand) <= a.concurrency, "actor %s has %d calls in hand", a.id, len(a.hand))
		k.want(!a.dead || len(a.hand) == 0, "dead actor %s has calls in hand", a.id)
		if a.name != "" && !a.dead {
			living++
			k.want(c.actorByName[nameKey{a.owner.name, a.name}] == a, "actor %s has its name", a.id)
		}
		k.want(len(a.callers) == len(a.list), "actor %s has %d callers, listed %d", a.id, len(a.callers), len(a.list))
		for i, r := range a.list {
			k.caller(a, r, i, known[r])
		}
	}
	k.want(living == len(c.actorByName), "%d actors live under a name, known %d", living, len(c.actorByName))
	for _, s := range c.sessions { // order-free: each is checked for itself
		for i := range s.mail.Len() {
			if d := s.mail.At(i); d.actor.live && d.actor.life.lease().token == d.life {
				mailed[d.actor]++
			}
		}
	}
	for _, a := range c.actors { // order-free: each is checked for itself
		k.want(mailed[a] <= 1 && (mailed[a] == 1) == a.mailed, "actor %s is delivered to %d times", a.id, mailed[a])
		if !a.live || a.turns.Len() == 0 || a.busy() || a.life.cancelRequested() {
			continue
		}
		k.want(mailed[a] == 1, "calls of actor %s are delivered", a.id)
	}
	k.want(len(c.lost) == 0 && len(c.mailed) == 0, "nothing is left over of the step")
}

// caller: its queue is in order, and it takes its turn if it has something to hand.
func (k *checker) caller(a *actor, r *caller, at, known int) {
	k.want(r.actor == a && a.callers[r.id] == r && r.at == at, "caller %s of actor %s is listed", r.id, a.id)
	k.want(r.known == known && known > 0, "caller %s of actor %s has %d known calls, counted %d", r.id, a.id, known, r.known)
	gaps := 0
	for i, l := range r.queue {
		k.want(i == 0 || l.number > r.queue[i-1].number, "the queue of caller %s of actor %s is in order", r.id, a.id)
		if l.task == nil {
			gaps++
			continue
		}
		k.want(k.c.calls[l.task] == mail{r, l.number} && l.task.status == Pending, "call %s is in its caller's queue", k.id(l.task))
	}
	k.want(gaps == r.gaps && (len(r.queue) == 0 || r.queue[0].task != nil), "the queue of caller %s of actor %s has %d gaps, counted %d", r.id, a.id, gaps, r.gaps)
	waits := 0
	for i := range a.turns.Len() {
		if *a.turns.At(i) == r {
			waits++
		}
	}
	t := r.next()
	k.want(waits <= 1 && (waits == 1) == r.waiting, "caller %s of actor %s takes %d turns", r.id, a.id, waits)
	k.want(t == nil || t.pending != Mailed || r.waiting || a.dead, "caller %s of actor %s takes its turn", r.id, a.id)
	for _, l := range r.queue {
		ends := l.task == nil || l.task.pending == Recovering || a.dying && r.waiting
		k.want(!a.dead || ends, "the calls of caller %s of dead actor %s end", r.id, a.id)
	}
}

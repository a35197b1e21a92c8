package core

import "slices"

// What watchers need is kept past the bound on bytes. So that one who does not take it stops nobody
// else, it is the jobs with much of it that are held: nothing of theirs is granted until some of it
// is taken. The more is kept for all, the less is much, so that together they stay near twice the
// bound; there everything is held but the jobs of owners with next to nothing. A job is held when its
// turn comes, and let go of when watchers have taken enough.

const (
	// heldLooks is how many held jobs a step looks at.
	heldLooks = 64
	// heldSpare is which part of the bound on bytes must be to spare before a job is let go of, and
	// keptAlways which part of it an owner may have whatever others have.
	heldSpare, keptAlways = 16, 64
)

// explainHeld says what the ready tasks of held jobs wait for.
const explainHeld = "results of its job, or of other jobs of its owner, fill the controller, and their watchers have yet to take them"

// holdsUp says whether nothing of a job may be granted.
func (c *Scheduler) holdsUp(j *job) bool {
	if j.held {
		return c.keepsMuch(j.owner, j.doneBytes, c.cfg.MaxRetainedBytes/heldSpare)
	}
	return c.keepsMuch(j.owner, j.doneBytes, 0)
}

// keepsMuch says whether the bytes that are kept of a job's ends, or of all its owner's, are more than
// what is left to keep, with so many to spare. Jobs that are everybody's are no owner's.
func (c *Scheduler) keepsMuch(o *owner, much, spare int64) bool {
	bound, all := c.cfg.MaxRetainedBytes, c.retainedBytes+spare
	if o.name != "" {
		much = max(much, o.kept)
	}
	much += spare
	if all <= bound {
		return false
	}
	left := bound - (all - bound) // Twice the bound may be more than there are numbers for.
	switch {
	case o.name != "" && left < bound/keptAlways:
		return much > bound/keptAlways
	case left < 0:
		return true
	default:
		return len(c.free) == 0 && much > left // What nobody needs goes first.
	}
}

// hold keeps a job's ready tasks from being granted.
func (c *Scheduler) hold(j *job) {
	j.held = true
	c.held = append(c.held, j)
	for _, t := range j.turns {
		t.group.turns.remove(&t.place, &c.looks)
		c.countTurn(t, -1)
	}
}

// countTurn counts the tasks of a turn among those that may be granted, or with -1 off.
func (c *Scheduler) countTurn(t *turn, sign int) {
	for q := range t.queues.all {
		cl := q.item.class
		cl.ready += sign * q.item.tasks.size
		t.group.ready += sign * q.item.tasks.size
		c.spareAsides(cl)
	}
}

// letGo lets go of held jobs that need be held no longer, of some in a step: there are more to look at
// if heldToSee says so.
func (c *Scheduler) letGo() {
	n := min(c.heldToSee, heldLooks, len(c.held))
	for _, j := range c.held[:n] {
		c.looks++
		if c.holdsUp(j) {
			c.held = append(c.held, j) // Behind those that are still to be seen.
			continue
		}
		j.held = false
		for _, t := range j.turns {
			c.settle(t)
			c.countTurn(t, 1)
			c.stir(t.group)
		}
	}
	c.held = slices.Delete(c.held, 0, n)
	c.heldToSee = min(c.heldToSee-n, len(c.held))
}

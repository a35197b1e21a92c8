package core

import "time"

// A task may be the only one of a key among those of its owner. It has the key while it is open, and, if it
// completes, for its period from its submission, as long as it is known. Who submits another of the key
// meanwhile is told of it.

// Unique is what a task has besides that is the only one of a key.
type Unique struct {
	Key    string
	Period time.Duration
}

// unique is who has a key, and until when if it completes.
type unique struct {
	task  *task
	until Time
}

// unify has a task have its key.
func (c *Scheduler) unify(t *task, u *Unique) {
	if u == nil {
		return
	}
	key := nameKey{t.job.owner.name, u.Key}
	delete(c.uniqueKeys, c.uniques[key].task) // Which has it no longer, however long it is known.
	c.uniques[key] = unique{t, t.submitted.Add(u.Period)}
	c.uniqueKeys[t] = key
}

// uniqueOf returns who has a key now, or nil.
func (c *Scheduler) uniqueOf(key nameKey) *task {
	u := c.uniques[key]
	switch t := u.task; {
	case t == nil, t.status.Terminal() && (t.status != Completed || u.until <= c.now):
		return nil
	default:
		return t
	}
}

// ununify forgets what a task was as one with a key.
func (c *Scheduler) ununify(t *task) {
	if key, has := c.uniqueKeys[t]; has {
		delete(c.uniqueKeys, t)
		delete(c.uniques, key)
	}
}

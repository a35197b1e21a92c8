package core

import (
	"fmt"
	"iter"
	"slices"
)

// RestoreObjects takes in the objects that an earlier scheduler had recorded, after Restore and before the
// first Step, in the order of their numbers. Uploads go on, and those that were going go. Jobs hold the
// others for Config.ObjectGrace at least.
func (c *Scheduler) RestoreObjects(records iter.Seq2[*ObjectRecord, error]) error {
	var forTasks []*object
	for r, err := range records {
		if err == nil {
			err = c.restoreObject(r)
		}
		if err != nil {
			return err
		}
		if len(r.ForTasks) > 0 {
			forTasks = append(forTasks, c.objects.byNum[r.Num])
		}
	}
	for _, u := range c.unlinked {
		x := c.dependencies[u.task]
		for _, id := range u.ids {
			o := u.task.job.objects.of(id)
			if o == nil {
				return fmt.Errorf("%w: task %q needs object %x, which its job does not hold", ErrBadRecord, c.id(u.task), id[:6])
			}
			c.needObject(u.task.job, o)
			x.objects = append(x.objects, o)
		}
	}
	c.unlinked = nil
	for _, o := range forTasks {
		for _, j := range o.holders {
			if h := &j.objects; h.forTasks[o.id] && h.tasks[o.id] == 0 {
				c.overdue = append(c.overdue, overdueHold{o, j})
			}
		}
	}
	return nil
}

// unlinkedNeeds are the objects that a restored task needs, until these are restored, too.
type unlinkedNeeds struct {
	task *task
	ids  []ObjectID
}

// overdueHold is the hold of a job whose last task that needed the object had ended, as what was written of
// it does not tell.
type overdueHold struct {
	object *object
	job    *job
}

// endOverdue ends the holds that were overdue when the scheduler was restored.
func (c *Scheduler) endOverdue() {
	for _, h := range c.overdue {
		if h.job.objects.of(h.object.id) == h.object && h.job.objects.forTasks[h.object.id] && h.job.objects.tasks[h.object.id] == 0 {
			c.releaseObject(h.object, h.job)
			c.dropJob(h.job)
		}
	}
	c.overdue = nil
}

func (c *Scheduler) restoreObject(r *ObjectRecord) error {
	v, o := &r.View, c.ownerOf(r.Owner)
	defer c.dropOwner(o)
	switch {
	case r.Num <= c.objects.last:
		return badObject(r, "it follows number %d", c.objects.last)
	case v.Size < 0 || v.Pieces > MaxPieces || v.Size > int64(v.Pieces)*PieceBytes:
		return badObject(r, "it has %d bytes in %d pieces", v.Size, v.Pieces)
	case len(r.Jobs) > maxHolders || r.Upload != "" && len(r.Jobs) != 1:
		return badObject(r, "%d jobs have it", len(r.Jobs))
	}
	x := &object{num: r.Num, id: v.ID, owner: o, encoding: v.Encoding, size: v.Size, pieces: v.Pieces}
	c.objects.last = x.num
	c.objects.byNum[x.num] = x
	c.countObject(x, c.cost(x))
	if len(r.Jobs) == 0 {
		c.objects.going = append(c.objects.going, x)
		return nil
	}
	for _, id := range r.Jobs {
		j := c.job(id)
		if j.owner != o && j.ownable(o.name) {
			c.give(j, o.name)
			c.changedJob(j)
		}
		if j.owner != o {
			return badObject(r, "job %q is another's", id)
		}
		if err := c.restoreHold(x, j, r); err != nil {
			return err
		}
	}
	if r.Upload == "" {
		c.objects.byID[objectKey{o.name, x.id}] = x
	}
	return nil
}

// restoreHold gives a job what it held, or an upload of it.
func (c *Scheduler) restoreHold(x *object, j *job, r *ObjectRecord) error {
	if r.Upload != "" {
		if c.objects.uploads[uploadKey{j, r.Upload}] != nil {
			return badObject(r, "upload %q of job %q is there twice", r.Upload, j.id)
		}
		x.chain = r.Chain
		j.objectBytes += c.cost(x)
		c.comes(x, j, r.Upload)
		return nil
	}
	if j.objects.of(x.id) != nil {
		return badObject(r, "job %q holds two of the same", j.id)
	}
	c.holds(x, j)
	if slices.Contains(r.ForTasks, j.id) {
		j.objects.onlyForTasks(x.id)
	}
	c.touchObjects(j)
	c.dropJob(j) // Which begins the grace of one that is known for nothing else.
	return nil
}

func badObject(r *ObjectRecord, format string, args ...any) error {
	return fmt.Errorf("%w: object number %d: %s", ErrBadRecord, r.Num, fmt.Sprintf(format, args...))
}

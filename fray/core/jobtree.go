package core

import "fmt"

// Jobs are trees. A parent had begun when its child did, so nothing is above itself. A job that is forgotten leaves
// its children as roots.

// adoptChild makes a job a child of another.
func (c *Scheduler) adoptChild(parent, j *job) {
	if parent.ties == nil {
		parent.ties = &ties{}
	}
	x := parent.ties
	j.ties.parent, j.ties.at = parent, len(x.children)
	x.children, x.childrenAsOf = append(x.children, j), c.step
}

// untie takes a job that is forgotten out of its tree.
func (c *Scheduler) untie(j *job) {
	x := j.ties
	if x == nil {
		return
	}
	for _, child := range x.children {
		child.ties.parent, child.ties.orphaned = nil, true
		c.changedJob(child) // Or a job that has the name later would be its parent after a restart.
	}
	if p := x.parent; p != nil {
		list := p.ties.children
		last := list[len(list)-1]
		list[x.at], last.ties.at = last, x.at
		list[len(list)-1] = nil
		p.ties.children, p.ties.childrenAsOf = list[:len(list)-1], c.step
	}
	x.children, x.parent = nil, nil
	c.charge(j.owner, usage{bytes: -x.bytes})
	x.bytes = 0
}

// above returns the job's parent, or nil.
func (j *job) above() *job {
	if j == nil || j.ties == nil {
		return nil
	}
	return j.ties.parent
}

// depth is how many jobs there are from the root of its tree to itself.
func (j *job) depth() int {
	n := 0
	for ; j != nil; j = j.above() {
		n++
	}
	return n
}

// family returns a job and its descendants that have the same owner.
func (c *Scheduler) family(j *job) []*job {
	all, rest := []*job{j}, []*job{j}
	for len(rest) > 0 {
		last := len(rest) - 1
		next := rest[last]
		rest = rest[:last]
		if next.ties == nil {
			continue
		}
		for _, child := range next.ties.children {
			c.looks++
			rest = append(rest, child)
			if child.owner == j.owner {
				all = append(all, child)
			}
		}
	}
	return all
}

// cancelTree cancels all open tasks of a job and its family, and returns how many.
func (c *Scheduler) cancelTree(j *job, withDependants bool) int {
	if j.ties == nil {
		return c.cancelOpen(j, withDependants)
	}
	n := 0
	for _, j := range c.family(j) {
		n += c.cancelOpen(j, withDependants)
	}
	return n
}

func (c *Scheduler) cancelOpen(j *job, withDependants bool) int {
	if j.open == 0 {
		return 0
	}
	open := j.openTasks(&c.log)
	for _, t := range open {
		c.cancel(t, withDependants)
	}
	return len(open)
}

// restoreTree makes jobs again what they were to each other, once all are known.
func (c *Scheduler) restoreTree(jobs []RestoredJob) error {
	for i := range jobs {
		j := c.jobs[jobs[i].ID]
		if j.ties == nil || j.ties.options == nil || j.ties.options.Parent == "" || j.ties.orphaned {
			continue
		}
		if parent := c.jobs[j.ties.options.Parent]; parent != nil {
			c.adoptChild(parent, j)
		} else {
			j.ties.orphaned = true
			c.changedJob(j)
		}
	}
	for i := range jobs {
		j := c.jobs[jobs[i].ID]
		n := 0
		for p := j.above(); p != nil; p = p.above() {
			if n++; n >= MaxJobDepth {
				return fmt.Errorf("%w: job %q, number %d, has more than %d jobs above it", ErrBadRecord, j.id, j.num,
					MaxJobDepth-1)
			}
		}
	}
	return nil
}

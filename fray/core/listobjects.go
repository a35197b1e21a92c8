package core

import (
	"cmp"
	"slices"
)

// maxToldHolders is how many of the jobs that hold an object are named in a list.
const maxToldHolders = 16

// ListObjects asks for a page of the objects that are whole and held, the latest first. Replied with ObjectsReply. It
// costs a look at each object and at who holds it.
type ListObjects struct {
	Call CallID
	// Only what this job holds; empty: all.
	Job string
	// Only objects with smaller numbers; 0: all.
	Before ObjectNum
	Max    int
	// As in Get. Without a Job, what only jobs of others hold is left out, and these are not named.
	Owner string
}

// ObjectsReply answers ListObjects.
type ObjectsReply struct {
	Objects []HeldObject
	// There are more.
	More bool
}

// HeldObject is an object and who holds it.
type HeldObject struct {
	ObjectView

	// Whose it is; empty: everybody's.
	Owner string
	// The first jobs that hold it, by name, and how many do.
	Jobs    []string
	Holders int
}

func (e *ListObjects) apply(c *Scheduler) {
	var r ObjectsReply
	objects := selectFirst(e.Max, func(a, b *object) int { return cmp.Compare(b.num, a.num) })
	offer := func(o *object) {
		if c.looks++; o != nil && o.upload == nil && (e.Before == 0 || o.num < e.Before) && slices.ContainsFunc(o.holders, e.reads) {
			objects.add(o)
		}
	}
	if e.Job != "" {
		j := c.jobs[e.Job]
		if !j.admits(e.Owner) {
			c.notOwner(e.Call)
			return
		}
		if j != nil {
			for _, o := range j.objects.list {
				offer(o)
			}
		}
	} else {
		for _, o := range c.objects.byNum { // order-free: the page is by their numbers
			offer(o)
		}
	}
	var page []*object
	page, r.More = objects.page()
	for _, o := range page {
		r.Objects = append(r.Objects, e.held(o))
	}
	c.reply(e.Call, r) // Not settled: what it tells is of this step.
}

// reads says whether who asks may know of a job.
func (e *ListObjects) reads(j *job) bool { return j.admits(e.Owner) }

func (e *ListObjects) held(o *object) HeldObject {
	h := HeldObject{ObjectView: o.view(), Owner: o.owner.name}
	for _, j := range o.holders {
		if e.reads(j) {
			h.Jobs = append(h.Jobs, j.id)
		}
	}
	slices.Sort(h.Jobs)
	h.Holders = len(h.Jobs)
	h.Jobs = slices.Clip(h.Jobs[:min(len(h.Jobs), maxToldHolders)])
	return h
}

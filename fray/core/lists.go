package core

import (
	"cmp"
	"slices"
)

// What operators ask for: who is there, how it does, and what it waits for. Each looks at all that there is of
// its kind once, for each page.

// ListLimits asks for limits that open tasks name, after one, Max of them at most. Replied with LimitsReply.
type ListLimits struct {
	Call  CallID
	After LimitName
	Max   int
	// As in Get. Others' limits are left out.
	Owner string
}

// LimitName is what a limit is known by.
type LimitName struct{ Owner, Name, Key string }

func (n LimitName) compare(o LimitName) int {
	return cmp.Or(cmp.Compare(n.Name, o.Name), cmp.Compare(n.Key, o.Key), cmp.Compare(n.Owner, o.Owner))
}

// LimitsReply answers ListLimits, by name, key and owner.
type LimitsReply struct {
	Limits []LimitView
	// There are more.
	More bool
}

// LimitView is a limit as it stands.
type LimitView struct {
	Limit

	Owner string
	// Tasks that have a place, and those that wait at it.
	Held, Waiting int
	// Attempts that may be granted now, if it bounds them.
	Tokens int
}

func (e *ListLimits) apply(c *Scheduler) {
	var names []LimitName
	for k, b := range c.buckets { // order-free: sorted below
		if name := (LimitName{k.owner, k.name, k.key}); b.open > 0 && (e.Owner == "" || k.owner == "" || k.owner == e.Owner) && e.After.compare(name) < 0 {
			names = append(names, name)
		}
	}
	c.looks += uint64(len(c.buckets))
	slices.SortFunc(names, LimitName.compare)
	var r LimitsReply
	for i, n := range names {
		if i == max(e.Max, 1) {
			r.More = true
			break
		}
		b := c.buckets[limitKey{n.Owner, n.Name, n.Key}]
		r.Limits = append(r.Limits, LimitView{Limit: b.Limit, Owner: n.Owner, Held: b.held, Waiting: len(b.waiting), Tokens: b.tokens(c.now)})
	}
	c.reply(e.Call, r)
}

// tokens is how many there are besides those that are set aside.
func (b *bucket) tokens(now Time) int {
	if b.Starts == 0 {
		return 0
	}
	missing := 0
	if d := b.full.Sub(now); d > 0 {
		missing = int((d + b.interval() - 1) / b.interval())
	}
	return max(0, b.Starts-missing-b.ready)
}

// ListObjects asks for objects that jobs hold, the latest first, Max of them at most. Replied with ObjectsReply.
type ListObjects struct {
	Call CallID
	// Those that this job holds only; empty: all.
	Job string
	// Those with smaller numbers only; 0: all.
	Before ObjectNum
	Max    int
	// As in Get. Others' objects are left out.
	Owner string
}

// ObjectsReply answers ListObjects.
type ObjectsReply struct {
	Objects []HeldView
	// What Before is for the next page; 0: there is none.
	Next ObjectNum
}

// HeldView is an object and who holds it.
type HeldView struct {
	ObjectView

	Owner string
	// The jobs that hold it, by name.
	Jobs []string
}

func (e *ListObjects) apply(c *Scheduler) {
	if j := c.jobs[e.Job]; j != nil && !j.admits(e.Owner) {
		c.fail(e.Call, ErrNotOwner)
		return
	}
	selected := newest[*object](e.Max)
	for num, o := range c.objects.byNum { // order-free: those with the greatest numbers
		switch {
		case len(o.holders) == 0 || e.Before > 0 && num >= e.Before:
		case e.Owner != "" && o.owner.name != "" && o.owner.name != e.Owner:
		case e.Job != "" && !slices.ContainsFunc(o.holders, func(j *job) bool { return j.id == e.Job }):
		default:
			selected.add(uint64(num), o)
		}
	}
	c.looks += uint64(len(c.objects.byNum))
	var r ObjectsReply
	page, more := selected.page()
	for _, o := range page {
		v := HeldView{ObjectView: o.view(), Owner: o.owner.name}
		for _, j := range o.holders {
			v.Jobs = append(v.Jobs, j.id)
		}
		slices.Sort(v.Jobs)
		r.Objects = append(r.Objects, v)
	}
	if more {
		r.Next = page[len(page)-1].num
	}
	c.reply(e.Call, r)
}

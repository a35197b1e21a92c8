package core

import (
	"cmp"
	"time"
)

// ListLimits asks for a page of the limits that open tasks name, by name, key and owner. Replied with LimitsReply. It
// costs a look at each limit.
type ListLimits struct {
	Call CallID
	// Only limits after this one; the zero value: all.
	After LimitPlace
	Max   int
	// As in Get. Limits of others' tasks are left out.
	Owner string
}

// LimitPlace is what limits are in the order of.
type LimitPlace struct{ Name, Key, Owner string }

// LimitsReply answers ListLimits.
type LimitsReply struct {
	Limits []LimitView
	// There are more.
	More bool
}

// LimitView is a limit as it stands.
type LimitView struct {
	Limit

	// Whose tasks it bounds; empty: everybody's.
	Owner string
	// Tasks that have a place, and those that wait for room.
	InUse, Waiting int
	// Attempts that may be granted now; of no meaning where Starts is 0.
	Tokens int
}

func (k limitKey) place() LimitPlace { return LimitPlace{k.name, k.key, k.owner} }

func (p LimitPlace) compare(o LimitPlace) int {
	return cmp.Or(cmp.Compare(p.Name, o.Name), cmp.Compare(p.Key, o.Key), cmp.Compare(p.Owner, o.Owner))
}

func (e *ListLimits) apply(c *Scheduler) {
	var r LimitsReply
	limits := selectFirst(e.Max, func(a, b *bucket) int { return a.limitKey.place().compare(b.limitKey.place()) })
	c.looks += uint64(len(c.buckets))
	for _, b := range c.buckets { // order-free: the page is by their names
		if b.open > 0 && (e.Owner == "" || b.owner == "" || b.owner == e.Owner) && b.limitKey.place().compare(e.After) > 0 {
			limits.add(b)
		}
	}
	var page []*bucket
	page, r.More = limits.page()
	for _, b := range page {
		r.Limits = append(r.Limits, LimitView{Limit: b.Limit, Owner: b.owner, InUse: b.held, Waiting: len(b.waiting), Tokens: b.tokens(c.now)})
	}
	c.reply(e.Call, r) // Not settled: what it tells is of this step.
}

// tokens returns how many attempts may be granted now, those of ready tasks included.
func (b *bucket) tokens(now Time) int {
	if b.Starts == 0 {
		return 0
	}
	empty := time.Duration(0)
	if b.full > now {
		empty = (b.full.Sub(now) + b.interval() - 1) / b.interval()
	}
	return max(b.Starts-int(empty), 0) // within: at most Starts
}

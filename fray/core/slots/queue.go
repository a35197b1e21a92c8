package slots

import "slices"

// queue holds the attempts that wait for a slot: the highest priority first, and of one, first in,
// first out.
type queue struct {
	levels []*level // none is empty; the highest first
	n      int
}

// level is the attempts of one priority.
type level struct {
	priority int32
	list     list
}

// find returns where the level of a priority is, or belongs.
func (q *queue) find(priority int32) (int, bool) {
	return slices.BinarySearchFunc(q.levels, priority, func(l *level, p int32) int { return int(p) - int(l.priority) })
}

func (q *queue) push(a *attempt) {
	i, found := q.find(a.Priority)
	if !found {
		q.levels = slices.Insert(q.levels, i, &level{priority: a.Priority, list: list{link: linkQueue}})
	}
	q.levels[i].list.push(a)
	q.n++
}

func (q *queue) remove(a *attempt) {
	i, _ := q.find(a.Priority)
	q.levels[i].list.remove(a)
	if q.levels[i].list.n == 0 {
		q.levels = slices.Delete(q.levels, i, i+1)
	}
	q.n--
}

// head returns the attempt that comes first, or nil.
func (q *queue) head() *attempt {
	if len(q.levels) == 0 {
		return nil
	}
	return q.levels[0].list.head
}

// after returns the attempt behind a, which is in the queue, or nil.
func (q *queue) after(a *attempt) *attempt {
	if next := a.links[linkQueue].next; next != nil {
		return next
	}
	if i, _ := q.find(a.Priority); i+1 < len(q.levels) {
		return q.levels[i+1].list.head
	}
	return nil
}

package core

import "slices"

// slotQueue holds the attempts that wait for a slot: the highest priority first, and of one, first in, first out.
type slotQueue struct {
	levels []*slotLevel // none is empty; the highest first
	n      int
}

// slotLevel is the attempts of one priority.
type slotLevel struct {
	priority int32
	list     slotList
}

// find returns where the level of a priority is, or belongs.
func (q *slotQueue) find(priority int32) (int, bool) {
	return slices.BinarySearchFunc(q.levels, priority, func(l *slotLevel, p int32) int { return int(p) - int(l.priority) })
}

func (q *slotQueue) push(a *slotAttempt) {
	i, found := q.find(a.Priority)
	if !found {
		q.levels = slices.Insert(q.levels, i, &slotLevel{priority: a.Priority, list: slotList{link: slotLinkQueue}})
	}
	q.levels[i].list.push(a)
	q.n++
}

func (q *slotQueue) remove(a *slotAttempt) {
	i, _ := q.find(a.Priority)
	q.levels[i].list.remove(a)
	if q.levels[i].list.n == 0 {
		q.levels = slices.Delete(q.levels, i, i+1)
	}
	q.n--
}

// head returns the attempt that comes first, or nil.
func (q *slotQueue) head() *slotAttempt {
	if len(q.levels) == 0 {
		return nil
	}
	return q.levels[0].list.head
}

// after returns the attempt behind a, which is in the queue, or nil.
func (q *slotQueue) after(a *slotAttempt) *slotAttempt {
	if next := a.links[slotLinkQueue].next; next != nil {
		return next
	}
	if i, _ := q.find(a.Priority); i+1 < len(q.levels) {
		return q.levels[i+1].list.head
	}
	return nil
}

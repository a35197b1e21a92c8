package core

import "iter"

// taskList is a list threaded through known tasks; a task is in at most one.
type taskList struct {
	head, tail *task
	size       int
}

func (l *taskList) pushBack(t *task) {
	t.prev, t.next = 0, 0
	if l.tail == nil {
		l.head = t
	} else {
		l.tail.next, t.prev = t.spot, l.tail.spot
	}
	l.tail = t
	l.size++
}

func (l *taskList) pushFront(t *task) {
	t.prev, t.next = 0, 0
	if l.head == nil {
		l.tail = t
	} else {
		l.head.prev, t.next = t.spot, l.head.spot
	}
	l.head = t
	l.size++
}

func (l *taskList) remove(log *taskLog, t *task) {
	prev, next := log.at(t.prev), log.at(t.next)
	if prev == nil {
		l.head = next
	} else {
		prev.next = t.next
	}
	if next == nil {
		l.tail = prev
	} else {
		next.prev = t.prev
	}
	t.prev, t.next = 0, 0
	l.size--
}

// all yields the tasks in their order.
func (l *taskList) all(log *taskLog) iter.Seq[*task] {
	return func(yield func(*task) bool) {
		for t := l.head; t != nil; t = log.at(t.next) {
			if !yield(t) {
				return
			}
		}
	}
}

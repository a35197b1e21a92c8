package fray

import "container/heap"

// readyQueue holds the tasks that wait for a slot: the highest priority first, and within one,
// first in, first out.
type readyQueue struct {
	items readyHeap
	seq   uint64
}

func (q *readyQueue) push(t *poolTask) {
	q.seq++
	t.seq, t.queued = q.seq, true
	heap.Push(&q.items, t)
}

// first returns the task that pop would.
func (q *readyQueue) first() (*poolTask, bool) {
	if len(q.items) == 0 {
		return nil, false
	}
	return q.items[0], true
}

func (q *readyQueue) pop() (*poolTask, bool) {
	if len(q.items) == 0 {
		return nil, false
	}
	t := heap.Pop(&q.items).(*poolTask) //nolint:errcheck // Only tasks are pushed.
	t.queued = false
	return t, true
}

// readyHeap is a heap of tasks in the order of a readyQueue.
type readyHeap []*poolTask

func (h *readyHeap) Len() int { return len(*h) }

func (h *readyHeap) Less(i, j int) bool {
	a, b := (*h)[i], (*h)[j]
	if a.config.priority != b.config.priority {
		return a.config.priority > b.config.priority
	}
	return a.seq < b.seq
}

func (h *readyHeap) Swap(i, j int) { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push is for container/heap.
func (h *readyHeap) Push(x any) {
	*h = append(*h, x.(*poolTask)) //nolint:errcheck // Only tasks are pushed.
}

// Pop is for container/heap.
func (h *readyHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return t
}

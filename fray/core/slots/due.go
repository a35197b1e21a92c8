package slots

import (
	"container/heap"

	"github.com/frayrpc/fray/fray/core"
)

// dueHeap is a heap of attempts, the one that is due first on top. Among those due together the
// elder comes first.
type dueHeap []*attempt

// schedule puts a where its next due time belongs.
func (s *Machine) schedule(a *attempt) {
	due := a.dueAt(&s.cfg)
	switch {
	case due == core.Never && a.dueIndex < 0:
	case due == core.Never:
		heap.Remove(&s.due, a.dueIndex)
	case a.dueIndex < 0:
		a.due = due
		heap.Push(&s.due, a)
	default:
		a.due = due
		heap.Fix(&s.due, a.dueIndex)
	}
}

func (h *dueHeap) Len() int { return len(*h) }

func (h *dueHeap) Less(i, j int) bool {
	a, b := (*h)[i], (*h)[j]
	return a.due < b.due || a.due == b.due && a.order < b.order
}

func (h *dueHeap) Swap(i, j int) {
	a, b := (*h)[i], (*h)[j]
	(*h)[i], (*h)[j] = b, a
	a.dueIndex, b.dueIndex = j, i
}

// Push is for container/heap.
func (h *dueHeap) Push(x any) {
	a := x.(*attempt) //nolint:errcheck // Only attempts are pushed.
	a.dueIndex = len(*h)
	*h = append(*h, a)
}

// Pop is for container/heap.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	a.dueIndex = -1
	return a
}

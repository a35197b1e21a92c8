package slots

import (
	"github.com/frayrpc/fray/fray/core"
)

// dueHeap is a binary heap of attempts, the one that is due first on top. Among those due together the
// elder comes first.
type dueHeap []*attempt

// schedule puts a where its next due time belongs.
func (s *Machine) schedule(a *attempt) {
	due := a.dueAt(&s.cfg)
	switch {
	case due == core.Never && a.dueIndex < 0:
	case due == core.Never:
		s.due.remove(a)
	case a.dueIndex < 0:
		a.due, a.dueIndex = due, len(s.due)
		s.due = append(s.due, a)
		s.due.up(a.dueIndex)
	default:
		a.due = due
		s.due.down(a.dueIndex)
		s.due.up(a.dueIndex)
	}
}

func (h *dueHeap) less(i, j int) bool {
	a, b := (*h)[i], (*h)[j]
	if a.due != b.due {
		return a.due < b.due
	}
	return a.order < b.order
}

func (h *dueHeap) swap(i, j int) {
	a, b := (*h)[i], (*h)[j]
	(*h)[i], (*h)[j] = b, a
	a.dueIndex, b.dueIndex = j, i
}

func (h *dueHeap) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *dueHeap) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(*h); child++ {
			if h.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

func (h *dueHeap) remove(a *attempt) {
	i, last := a.dueIndex, len(*h)-1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	a.dueIndex = -1
	if i < last {
		h.down(i)
		h.up(i)
	}
}

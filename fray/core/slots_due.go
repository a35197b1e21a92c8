package core

// slotHeap is a binary heap of attempts, the one that is due first on top. Among those due together the
// elder comes first.
type slotHeap []*slotAttempt

// schedule puts a where its next due time belongs.
func (s *Slots) schedule(a *slotAttempt) {
	due := a.dueAt(&s.cfg)
	switch {
	case due == Never && a.dueIndex < 0:
	case due == Never:
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

func (h *slotHeap) less(i, j int) bool {
	a, b := (*h)[i], (*h)[j]
	if a.due != b.due {
		return a.due < b.due
	}
	return a.order < b.order
}

func (h *slotHeap) swap(i, j int) {
	a, b := (*h)[i], (*h)[j]
	(*h)[i], (*h)[j] = b, a
	a.dueIndex, b.dueIndex = j, i
}

func (h *slotHeap) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *slotHeap) down(i int) {
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

func (h *slotHeap) remove(a *slotAttempt) {
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

package core

import "container/heap"

// selection selects a page of the first of many that come in any order, without putting all in order.
type selection[T any] struct {
	most int
	// It says which comes first; no two are equal.
	compare func(a, b T) int
	// One more than the page has at most, the last first.
	heap []T
}

// selectFirst returns a selection of so many, one at least.
func selectFirst[T any](most int, compare func(a, b T) int) *selection[T] {
	return &selection[T]{most: max(most, 1), compare: compare}
}

func (s *selection[T]) add(item T) {
	switch {
	case len(s.heap) <= s.most:
		heap.Push(s, item)
	case s.compare(item, s.heap[0]) < 0:
		s.heap[0] = item
		heap.Fix(s, 0)
	}
}

// page returns what was selected, in order, and whether there was more. It empties the selection.
func (s *selection[T]) page() (page []T, more bool) {
	if more = len(s.heap) > s.most; more {
		heap.Pop(s)
	}
	page = make([]T, len(s.heap))
	for i := len(page) - 1; i >= 0; i-- {
		page[i] = heap.Pop(s).(T) //nolint:errcheck // Only those are pushed.
	}
	return page, more
}

// Len is for container/heap, as what follows.
func (s *selection[T]) Len() int           { return len(s.heap) }
func (s *selection[T]) Less(i, j int) bool { return s.compare(s.heap[i], s.heap[j]) > 0 }
func (s *selection[T]) Swap(i, j int)      { s.heap[i], s.heap[j] = s.heap[j], s.heap[i] }

// Push is for container/heap.
func (s *selection[T]) Push(x any) {
	s.heap = append(s.heap, x.(T)) //nolint:errcheck // Only those are pushed.
}

// Pop is for container/heap.
func (s *selection[T]) Pop() any {
	last := len(s.heap) - 1
	x := s.heap[last]
	s.heap = s.heap[:last]
	return x
}

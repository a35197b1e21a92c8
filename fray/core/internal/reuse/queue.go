package reuse

// Queue is a first-in, first-out queue in one piece of memory, which it goes round. It keeps room for
// what it held, as long as that is little or a good part of it is used. The zero value is empty.
type Queue[T any] struct {
	ring        []T // a power of two, or none
	first, size int
}

// Len returns how many elements there are.
func (q *Queue[T]) Len() int { return q.size }

// At returns element i, where 0 is the oldest. It is good until the next Push or Drop.
func (q *Queue[T]) At(i int) *T { return &q.ring[(q.first+i)&(len(q.ring)-1)] }

// Push adds an element.
func (q *Queue[T]) Push(x T) {
	if q.size == len(q.ring) {
		q.move(max(2*q.size, 16))
	}
	q.size++
	*q.At(q.size - 1) = x
}

// Drop takes out the oldest n elements.
func (q *Queue[T]) Drop(n int) {
	var zero T
	for i := range n {
		*q.At(i) = zero
	}
	q.size -= n
	if q.size == 0 {
		q.first = 0
	} else {
		q.first = (q.first + n) & (len(q.ring) - 1)
	}
	if len(q.ring) > maxKept && q.size <= len(q.ring)/4 {
		q.move(len(q.ring) / 2)
	}
}

// move gives the queue room for n elements.
func (q *Queue[T]) move(n int) {
	ring := make([]T, n)
	for i := range q.size {
		ring[i] = *q.At(i)
	}
	q.ring, q.first = ring, 0
}

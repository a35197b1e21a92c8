package sim

import "container/heap"

// queue is what is under way: a heap by time of arrival, and for the same time in the order of
// sending.
type queue []*packet

func (q *queue) push(p *packet) { heap.Push(q, p) }

func (q *queue) pop() *packet {
	return heap.Pop(q).(*packet) //nolint:errcheck // Only packets are pushed.
}

func (q *queue) Len() int { return len(*q) }

func (q *queue) Less(i, j int) bool {
	a, b := (*q)[i], (*q)[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

func (q *queue) Swap(i, j int) { (*q)[i], (*q)[j] = (*q)[j], (*q)[i] }

// Push is for container/heap.
func (q *queue) Push(x any) {
	*q = append(*q, x.(*packet)) //nolint:errcheck // Only packets are pushed.
}

// Pop is for container/heap.
func (q *queue) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return p
}

package fray

// readyQueue holds the tasks that wait for a slot: the highest priority first, and within one, first in, first out.
// It is a binary heap.
type readyQueue struct {
	items []*poolTask
	seq   uint64
}

func (q *readyQueue) push(t *poolTask) {
	q.seq++
	t.seq = q.seq
	q.items = append(q.items, t)
	for i := len(q.items) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.before(i, parent) {
			break
		}
		q.items[i], q.items[parent] = q.items[parent], q.items[i]
		i = parent
	}
}

func (q *readyQueue) pop() (*poolTask, bool) {
	if len(q.items) == 0 {
		return nil, false
	}
	t, last := q.items[0], len(q.items)-1
	q.items[0], q.items[last] = q.items[last], nil
	q.items = q.items[:last]
	for i := 0; ; {
		first := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if q.before(child, first) {
				first = child
			}
		}
		if first == i {
			return t, true
		}
		q.items[i], q.items[first] = q.items[first], q.items[i]
		i = first
	}
}

func (q *readyQueue) before(i, j int) bool {
	a, b := q.items[i], q.items[j]
	if a.config.priority != b.config.priority {
		return a.config.priority > b.config.priority
	}
	return a.seq < b.seq
}

package sim

// queue is what is under way: a binary heap by time of arrival, and for the same time in the order of sending.
type queue []*packet

func (p *packet) before(q *packet) bool {
	return p.at < q.at || p.at == q.at && p.seq < q.seq
}

func (q *queue) push(p *packet) {
	h := append(*q, p)
	*q = h
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h[i].before(h[parent]) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (q *queue) pop() *packet {
	h := *q
	top, n := h[0], len(h)-1
	h[0], h[n] = h[n], nil
	h = h[:n]
	*q = h
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < n; child++ {
			if h[child].before(h[least]) {
				least = child
			}
		}
		if least == i {
			return top
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

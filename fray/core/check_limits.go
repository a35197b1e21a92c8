package core

// limits: each open task has its places or waits at one limit, and nobody waits where there is room.
func (k *checker) limits() {
	c := k.c
	held, open, ready, waiting := make(map[*bucket]int), make(map[*bucket]int), make(map[*bucket]int), 0
	for t, x := range c.limits { // order-free: sums, and each for itself
		k.want(c.find(c.id(t)) == t && !t.status.Terminal(), "task %s, which has limits, is open", k.id(t))
		places := t.pending == Ready || t.pending == Recovering || t.status.leased()
		k.want(x.held == places, "task %s is %v %v, and has its places: %v", k.id(t), t.status, t.pending, x.held)
		k.want((x.at != nil) == (t.pending == Throttled), "task %s is %v %v, and waits at a limit: %v", k.id(t), t.status, t.pending, x.at != nil)
		k.want(x.at == nil || x.index < len(x.at.waiting) && x.at.waiting[x.index] == (throttled{t, x}), "task %s waits at its limit", k.id(t))
		k.want(x.ready == (t.pending == Ready), "task %s is %v %v, and has tokens set aside: %v", k.id(t), t.status, t.pending, x.ready)
		if x.at != nil {
			waiting++
		}
		for _, b := range x.buckets {
			k.want(c.buckets[b.limitKey] == b, "limit %q of task %s is known", b.name, k.id(t))
			open[b]++
			if x.held {
				held[b]++
			}
			if x.ready {
				ready[b]++
			}
		}
	}
	for t := range c.log.all() {
		k.want(t.pending != Throttled || c.limits[t] != nil, "task %s is throttled by a limit", k.id(t))
	}
	relieved := 0
	for _, b := range c.buckets { // order-free: each is checked for itself
		k.want(b.open == open[b] && b.held == held[b] && b.ready == ready[b], "%d tasks name limit %q, %d have a place and %d are ready, counted %d, %d and %d",
			open[b], b.name, held[b], ready[b], b.open, b.held, b.ready)
		k.want(b.open > 0 || b.refill != nil, "limit %q is forgotten in time", b.name)
		if b.relieved {
			relieved++
		}
		waiting -= len(b.waiting)
		full := !b.place() || b.Starts > 0 && b.ready >= b.Starts
		k.want(len(b.waiting) == 0 || full || b.relieved || b.refill != nil && b.refill.at <= max(b.token(), c.now), "tasks that wait at limit %q go on", b.name)
	}
	k.want(waiting == 0, "%d more tasks wait at limits than are listed there", waiting)
	k.want(relieved == c.relieved.Len(), "%d limits have room, %d listed", relieved, c.relieved.Len())
	k.want(len(c.unplaced) == 0, "nothing is left over of the restart")
}

package core

// pollPlace is where a worker that asks for work stands among those that could be granted some of a
// group.
type pollPlace struct {
	group *group
	place node[*session]
}

// before says who waits longer.
func (s *session) before(other *session) bool { return s.poll.order < other.poll.order }

// sessionList is a list threaded through sessions that ask for work.
type sessionList struct {
	head, tail *session
	size       int
}

func (l *sessionList) push(s *session) {
	s.prevAsking = l.tail
	if l.tail == nil {
		l.head = s
	} else {
		l.tail.nextAsking = s
	}
	l.tail = s
	l.size++
}

func (l *sessionList) remove(s *session) {
	if s.prevAsking == nil {
		l.head = s.nextAsking
	} else {
		s.prevAsking.nextAsking = s.nextAsking
	}
	if s.nextAsking == nil {
		l.tail = s.prevAsking
	} else {
		s.nextAsking.prevAsking = s.prevAsking
	}
	s.nextAsking, s.prevAsking = nil, nil
	l.size--
}

// offer has the worker's waiting poll, if there is one, looked at when this step hands out work: it
// is new, or the worker may take more than before.
func (c *Scheduler) offer(s *session) {
	c.stirMail(s)
	k := s.kind
	if s.poll == nil || s.poll.max <= 0 || k == nil || s.keepsClear() {
		return
	}
	if c.keptFor(s) {
		c.withdraw(s)
		return
	}
	if !s.asking {
		s.asking = true
		k.asking.push(s)
		if s.placesAsOf != k.changes {
			s.places = s.places[:0]
			for _, g := range k.groups {
				s.places = append(s.places, newPlace(s, g))
			}
			s.placesAsOf = k.changes
		}
		for _, p := range s.places {
			p.place.setNeed(c.roomOf(s, p.group))
			p.group.polls.insert(&p.place, &c.looks)
		}
	} else {
		for _, p := range s.places {
			if room := c.roomOf(s, p.group); len(room) > 0 {
				p.place.setNeed(room)
				p.place.gatherUp(&c.looks)
			}
		}
	}
	for _, p := range s.places {
		if p.group.ready > 0 {
			c.stir(p.group)
		}
	}
}

func newPlace(s *session, g *group) *pollPlace {
	p := &pollPlace{group: g}
	p.place.item = s
	return p
}

// ask has a worker that asks stand among those of a group that is new.
func (c *Scheduler) ask(s *session, g *group) {
	p := newPlace(s, g)
	s.places = append(s.places, p)
	s.placesAsOf = s.kind.changes
	p.place.setNeed(c.roomOf(s, g))
	g.polls.insert(&p.place, &c.looks)
}

// withdraw takes a worker away from those that ask, if it is one.
func (c *Scheduler) withdraw(s *session) {
	if !s.asking {
		return
	}
	s.asking = false
	s.kind.asking.remove(s)
	for _, p := range s.places {
		p.group.polls.remove(&p.place, &c.looks)
		if p.group.rivalsStep == c.steps {
			p.group.rivals--
		}
	}
}

// roomOf returns what the worker has free for a group with resources, as what its poll needs: the
// more is free, the less. It is valid until the next call.
func (c *Scheduler) roomOf(s *session, g *group) []int64 {
	c.asks = c.asks[:0]
	if len(g.names) == 0 {
		return c.asks
	}
	c.asks = append(c.asks, 0)
	if s.poll.freeSlots() > 0 {
		c.asks[0] = -1
	}
	for _, name := range g.names {
		c.asks = append(c.asks, -s.freeNow(name))
	}
	return c.asks
}

// candidate returns the worker that has waited longest of those that can be granted some of a group
// now, or nil. Those that are given nothing now are set aside until they are offered again.
func (c *Scheduler) candidate(g *group) *session {
	for g.ready > 0 && g.polls.root != nil && (len(c.gathering) < maxGathering || !g.leads()) {
		n := g.polls.first
		if len(g.names) > 0 {
			n = g.polls.find(c.leastOf(g), func(s *session) bool { return c.best(g, c.freeOf(s, g)) != nil }, &c.looks)
			if n == nil {
				return nil
			}
		}
		s := n.item
		if s.penalty == nil && !c.silent(s) {
			return s
		}
		c.withdraw(s)
	}
	return nil
}

// leastOf returns what a poll must offer at least so that it may be granted some of a group with
// resources.
func (c *Scheduler) leastOf(g *group) []int64 {
	least := append(make([]int64, 0, len(g.names)+1), -1)
	for _, n := range g.turns.root.need.least {
		least = append(least, -n)
	}
	return least
}

// freeOf returns how much the worker has free of each of the group's resources. It is valid until
// the next call.
func (c *Scheduler) freeOf(s *session, g *group) []int64 {
	c.spare = c.spare[:0]
	for _, name := range g.names {
		c.spare = append(c.spare, s.freeNow(name))
	}
	return c.spare
}

// freeNow returns how much of a resource the worker, which asks for work, has free.
func (s *session) freeNow(name string) int64 {
	switch {
	case name == gangPlace, name == wholeWorker && s.whole():
		return 1
	case name == wholeWorker:
		return 0
	}
	return s.left(s.resource(name))
}

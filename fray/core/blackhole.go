package core

// penalize backs a worker off that fails everything quickly, or that gets nothing delivered,
// provided that another could do the work: what fails everywhere is the tasks' fault.
func (c *Scheduler) penalize(s *session, cl *class) {
	s.quickFailures = 0
	if s.penalty != nil || !c.another(s, cl) {
		return
	}
	d := c.cfg.BlackHoleBackoff << min(s.penalties, 20)
	s.penalties++
	c.stats.WorkersBackedOff++
	s.penalty = c.timers.add(&timer{at: c.now.Add(min(d, c.cfg.BlackHoleCap)), kind: timerPenalty, session: s})
	if s.kind != nil {
		s.kind.penalized++
	}
	c.releaseAside(s)
	c.keepNoMore(s)
}

// endPenalty lets a worker have work again.
func (c *Scheduler) endPenalty(s *session) {
	s.penalty = nil
	if s.kind != nil {
		s.kind.penalized--
		c.offer(s)
	}
}

// another says whether a worker besides s, which is not backed off, could run tasks of cl now.
func (c *Scheduler) another(s *session, cl *class) bool {
	n := 0
	for _, k := range c.kindsFor(cl) {
		n += k.workers - k.penalized
		if k == s.kind {
			n--
		}
	}
	return n > 0
}

func (c *Scheduler) quickFailure(s *session, t *task, i *ReportItem) {
	if t.shape.Role == ActorCall {
		return // It can run nowhere else.
	}
	if i.Ran >= c.cfg.FastFailure {
		s.quickFailures = 0
		return
	}
	if s.quickFailures++; s.quickFailures >= c.cfg.BlackHoleFailures {
		c.penalize(s, t.shape.class)
	}
}

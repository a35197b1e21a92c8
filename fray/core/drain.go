package core

import "time"

type drainOrder struct {
	grace time.Duration
	// The worker decided so itself, and needs no telling.
	own bool
}

func (e *Drain) apply(c *Scheduler) {
	s := c.byWorker[e.WorkerID]
	if s == nil {
		c.fail(e.Call, ErrUnknownWorker)
		return
	}
	if s.drain == nil {
		c.drain(s, &drainOrder{grace: e.Grace})
		c.markBeat(s)
	}
	c.tell(e.Call, Done{})
}

// drain gives the session no further work.
func (c *Scheduler) drain(s *session, order *drainOrder) {
	c.leaveKind(s)
	s.drain = order
	c.fleet++
	c.dismissPoll(s)
}

// dismissPoll answers a waiting poll with nothing.
func (c *Scheduler) dismissPoll(s *session) {
	if w := s.poll; w != nil {
		c.unpark(w)
		c.answerPoll(w)
	}
}

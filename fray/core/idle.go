package core

// Idle applies an event that leaves no record, between two steps, and says whether it did; what it
// left alone is for a step. Without an event it answers what has waited long enough. So what only
// asks, and who only says that it is there, goes on being served while no step can be made because
// those before it cannot be committed. Nothing else happens: no other timer fires, nothing is
// granted, and no worker is told to stop anything.
//
// All replies are settled.
func (c *Scheduler) Idle(now Time, out *Effects, event Event) bool {
	last := c.now // The next step goes on from there, and sees how long none could be made.
	c.now, c.out, c.idling = max(c.now, now), out, true
	defer func() { c.now, c.out, c.idling = last, nil, false }()
	switch e := event.(type) {
	case nil:
		for t := c.waking.due(c.now); t != nil; t = c.waking.due(c.now) {
			c.expireWait(t.wait)
		}
	case *Committed, *Get, *GetJob, *ListJobs, *List, *ListPending, *ListWorkers, *ListActors, *ListSchedules, *Info, *Await, *AwaitAny, *Watch, *Drain:
		event.apply(c)
	case *Forsake:
		if c.waits[e.Call] == nil && c.reading[e.Call] == nil && c.objects.reading[e.Call] == nil {
			return false // Its call may be waiting for a step.
		}
		e.apply(c)
	case *Heartbeat:
		e.idle(c)
	case *Poll:
		if s := c.sessions[e.Session]; s != nil && (len(e.Items) > 0 || s.delivery != nil && e.Received < s.grantSeq) {
			return false // It tells something, or may ask for what it was granted, or have that taken back.
		}
		e.apply(c)
	default:
		return false
	}
	c.wakeWatchers()
	c.wakeAnys()
	return true
}

// NextIdle returns when Idle must be called at the latest if there is no step before, or Never.
func (c *Scheduler) NextIdle() Time {
	if len(c.waking.heap) == 0 {
		return Never
	}
	return c.waking.heap[0].at
}

// idle renews the session. What the worker holds is compared when the next heartbeat is part of a
// step.
func (e *Heartbeat) idle(c *Scheduler) {
	s := c.sessions[e.Session]
	if s == nil {
		c.fail(e.Call, ErrSessionStale)
		return
	}
	c.renew(s)
	if s.beat != nil {
		c.answerBeat(s)
	}
	s.beat = c.park(&wait{call: e.Call, kind: waitBeat, session: s, until: e.Until})
}

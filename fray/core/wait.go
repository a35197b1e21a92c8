package core

import "container/list"

type waitKind uint8

const (
	waitPoll waitKind = iota + 1
	waitBeat
	waitAwait
	waitWatch
	waitAny
)

// wait is a call that is not answered yet.
type wait struct {
	call    CallID
	kind    waitKind
	timer   *timer
	session *session
	// A poll's place among the polls, and what it asked for.
	place     *list.Element
	seq       uint64
	free, max int
	held      int // leases of the session when it came
	until     Time
	task      *task
	// Those of a waitAny, and whether it stands in Scheduler.dirtyAnys.
	tasks []*task
	dirty bool
	// A watch's.
	job    *job
	cursor uint64
	// Who watches; and whether what it is told is kept until it has read it.
	follower *follower
	read     bool
}

// park files a wait and sets its alarm.
func (c *Scheduler) park(w *wait) *wait {
	c.waits[w.call] = w
	w.timer = c.timers.add(&timer{at: w.until, kind: timerWait, wait: w})
	return w
}

// unpark takes a wait out of everything that refers to it. The caller answers it, if anybody listens.
func (c *Scheduler) unpark(w *wait) {
	delete(c.waits, w.call)
	c.timers.cancel(w.timer)
	switch w.kind {
	case waitPoll:
		w.session.poll = nil
		c.polls.Remove(w.place)
	case waitBeat:
		w.session.beat = nil
	case waitAwait:
		c.dropAwaiter(w.task, w)
	case waitAny:
		for _, t := range w.tasks {
			c.dropAwaiter(t, w)
		}
	case waitWatch:
		w.job.watchers = removeWait(w.job.watchers, w)
		c.followerAnswered(w.follower)
		c.dropJob(w.job)
	}
}

func (c *Scheduler) dropAwaiter(t *task, w *wait) {
	rest := removeWait(c.awaiters[t], w)
	if len(rest) == 0 {
		delete(c.awaiters, t)
	} else {
		c.awaiters[t] = rest
	}
}

func removeWait(ws []*wait, w *wait) []*wait {
	for i, x := range ws {
		if x == w {
			copy(ws[i:], ws[i+1:])
			ws[len(ws)-1] = nil
			return ws[:len(ws)-1]
		}
	}
	return ws
}

// expireWait answers a wait that was in vain.
func (c *Scheduler) expireWait(w *wait) {
	switch w.kind {
	case waitPoll:
		c.unpark(w)
		c.reply(w.call, PollReply{})
	case waitBeat:
		c.answerBeat(w.session)
	case waitAwait:
		c.unpark(w)
		c.askedFor(w.task)
		c.reply(w.call, TaskReply{View: c.view(w.task)})
	case waitAny:
		c.answerAny(w, nil)
	case waitWatch:
		c.answerWatch(w)
	}
}

func (e *Forsake) apply(c *Scheduler) {
	c.haveRead(e.Call)
	if w := c.waits[e.Call]; w != nil {
		c.unpark(w)
	}
}

package core

import "time"

// undurableRetry is when an answer is due again that rests on what is not durable yet.
const undurableRetry = time.Second

type waitKind uint8

const (
	waitPoll waitKind = iota + 1
	waitBeat
	waitAwait
	waitWatch
	waitAny
	waitJob
)

// wait is a call that is not answered yet.
type wait struct {
	call    CallID
	kind    waitKind
	timer   *timer
	session *session
	// A poll's number, which rises, and what it asked for.
	order     uint64
	seq       uint64
	free, max int
	// How many attempts the worker held when it asked.
	held int
	// How many leases its session had then.
	leases int
	// Leases that have lent their resources, some of which may have ended, and how much of each of its session's
	// resources those have that have not; nil: none.
	lenders []*lease
	lent    []int64
	// On what it told, and in which step.
	verdicts []ReportVerdict
	judged   uint64
	until    Time
	task     *task
	// Those of a waitAny, and whether it stands in Scheduler.dirtyAnys.
	tasks []*task
	dirty bool
	// Its places among those who wait for its tasks, or its job.
	places []*waitPlace
	// One of them has ended in this step.
	news bool
	// A watch's, and that of who waits for its end.
	job    *job
	cursor uint64
	// Who watches; and whether what it is told is kept until it has read it.
	follower *follower
	read     bool
	// What an await that is a submission, too, is answered with; nil: it is none.
	submitted *SubmitReply
	// Whose jobs it may be about; see Get.
	owner string
}

// park files a wait and sets its alarm.
func (c *Scheduler) park(w *wait) *wait {
	c.waits[w.call] = w
	w.timer = c.waking.add(&timer{at: w.until, kind: timerWait, wait: w})
	return w
}

// unpark takes a wait out of everything that refers to it. The caller answers it, if anybody
// listens.
func (c *Scheduler) unpark(w *wait) {
	delete(c.waits, w.call)
	c.waking.cancel(w.timer)
	switch w.kind {
	case waitPoll:
		c.withdraw(w.session)
		w.session.poll = nil
		for _, l := range w.lenders {
			l.lends = false
		}
		c.recount(w.session)
	case waitBeat:
		w.session.beat = nil
	case waitAwait:
		c.dropAwaiter(w.task, w.places[0])
		if w.follower != nil {
			c.followerAnswered(w.follower)
		}
	case waitAny:
		for i, t := range w.tasks {
			c.dropAwaiter(t, w.places[i])
		}
	case waitWatch:
		w.job.watchers.remove(w.places[0])
		c.followerAnswered(w.follower)
		c.dropJob(w.job)
	case waitJob:
		w.job.watchers.remove(w.places[0])
		c.dropJob(w.job)
	}
}

func (c *Scheduler) addAwaiter(t *task, w *wait) {
	l := c.awaiters[t]
	if l == nil {
		l = &waitList{}
		c.awaiters[t] = l
	}
	w.places = append(w.places, l.add(w))
}

func (c *Scheduler) dropAwaiter(t *task, p *waitPlace) {
	l := c.awaiters[t]
	if l.remove(p); l.size == 0 {
		delete(c.awaiters, t)
	}
}

// wakeAwaiters answers those who wait for a task that has ended. Those who wait for others, too,
// are answered at the end of the step.
func (c *Scheduler) wakeAwaiters(t *task, v View, settled bool) {
	l := c.awaiters[t]
	if l == nil {
		return
	}
	for p := l.head; p != nil; {
		w, next := p.wait, p.next
		if w.kind == waitAwait {
			c.unpark(w)
			if w.read {
				c.read(w.call, t)
			}
			switch {
			case w.submitted == nil:
				c.out.Replies = append(c.out.Replies, Reply{Call: w.call, Body: TaskReply{View: v}, Settled: settled})
			case settled: // It had ended before; its number is not known any longer.
				c.answerSubmitted(w, v, 0, settled)
			default:
				c.answerSubmitted(w, v, t.job.ends(), settled)
			}
		} else {
			c.markAny(w)
			w.news = w.news || !settled
		}
		p = next
	}
}

// waitPlace is a call's place among those who wait for the same.
type waitPlace struct {
	wait       *wait
	next, prev *waitPlace
}

// waitList is who waits for the same, in the order in which they came.
type waitList struct {
	head, tail *waitPlace
	size       int
}

func (l *waitList) add(w *wait) *waitPlace {
	p := &waitPlace{wait: w, prev: l.tail}
	if l.tail == nil {
		l.head = p
	} else {
		l.tail.next = p
	}
	l.tail = p
	l.size++
	return p
}

func (l *waitList) remove(p *waitPlace) {
	if p.prev == nil {
		l.head = p.next
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		l.tail = p.prev
	} else {
		p.next.prev = p.prev
	}
	l.size--
}

// mayAskAgain says whether what these wait for must be kept in case that an answer is lost. For watchers
// it is kept anyway.
func (l *waitList) mayAskAgain() bool {
	if l == nil {
		return false
	}
	for p := l.head; p != nil; p = p.next {
		if p.wait.follower == nil {
			return true
		}
	}
	return false
}

// expireWait answers a wait that was in vain.
func (c *Scheduler) expireWait(w *wait) {
	switch w.kind {
	case waitPoll:
		c.unpark(w)
		c.answerPoll(w)
	case waitBeat:
		c.answerBeat(w.session)
	case waitAwait:
		c.expireAwait(w)
	case waitAny:
		c.answerAny(w, TasksReply{}, true)
	case waitWatch:
		c.answerWatch(w, true)
	case waitJob:
		c.answerJob(w)
	}
}

func (c *Scheduler) expireAwait(w *wait) {
	v, known := c.told(w.task)
	switch {
	case w.submitted == nil:
		c.unpark(w)
		c.askedFor(w.task)
		c.tell(w.call, TaskReply{View: v})
	case !known && c.idling: // The task is not durable, and cannot be by what is done now.
		w.timer = c.waking.add(&timer{at: c.now.Add(undurableRetry), kind: timerWait, wait: w})
	default:
		c.unpark(w)
		if !known {
			v = c.view(w.task)
		}
		c.answerSubmitted(w, v, 0, known)
	}
}

func (e *Forsake) apply(c *Scheduler) {
	c.haveRead(e.Call)
	c.haveReadObject(e.Call)
	if w := c.waits[e.Call]; w != nil {
		c.unpark(w)
	}
}

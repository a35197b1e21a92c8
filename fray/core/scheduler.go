package core

import (
	"container/list"
	"time"
)

// Scheduler decides which worker runs which task and what becomes of it. Not safe for concurrent use: one
// goroutine owns it.
type Scheduler struct {
	cfg   Config
	now   Time
	out   *Effects
	stats Stats

	tasks  map[string]*task
	log    taskLog
	counts [statusCount]int
	jobs   map[string]*job
	// Of all ended tasks; and the jobs that may forget one, see retain.go.
	retainedBytes int64
	free          freeJobs
	followers     int
	awaitedJobs   map[*job]bool
	reading       map[CallID][]*task
	// Until when it is likely that somebody asks for these open tasks again.
	asked map[*task]Time
	// Until then nothing is forgotten.
	quietUntil  Time
	queuedBytes int64

	shapes     map[string]*shape
	classByKey map[string]*class
	keyBuf     []byte
	// Classes with ready tasks, in no order that matters.
	ready      []*class
	readyCount int
	serveSeq   uint64
	// Numbers of the last task that ended, and of the last job that was given one.
	endSeq, lastJob uint64

	sessions  map[Token]*session
	byWorker  map[string]*session
	leases    map[Token]*lease
	nextToken Token
	// Sessions with a waiting poll, longest wait first.
	polls *list.List

	waits    map[CallID]*wait
	awaiters map[*task][]*wait
	timers   timers
	// Those that are due and can still be met in this step.
	late []*timer
	gaps gaps
	// Tasks that may be at a worker, by its id, until it registers. Some may have gone on meanwhile.
	recovering map[string][]*task
	// It was restored, and has made no step since.
	restored bool

	// What the events of this step left to do at its end.
	newReady   bool
	newPolls   []*session
	dirtyJobs  []*job
	dirtyAnys  []*wait
	dirtyBeats []*session
	// Jobs whose record is to be written or deleted; the same one may follow itself.
	changedJobs []*job
}

// NewScheduler returns an empty scheduler.
func NewScheduler(cfg Config) *Scheduler {
	return &Scheduler{
		cfg:        cfg.withDefaults(),
		tasks:      make(map[string]*task),
		jobs:       make(map[string]*job),
		shapes:     make(map[string]*shape),
		classByKey: make(map[string]*class),
		sessions:   make(map[Token]*session),
		byWorker:   make(map[string]*session),
		leases:     make(map[Token]*lease),
		nextToken:  firstToken(cfg.Incarnation),
		polls:      list.New(),
		waits:      make(map[CallID]*wait),
		awaiters:   make(map[*task][]*wait),
		reading:    make(map[CallID][]*task),
		asked:      make(map[*task]Time),

		awaitedJobs: make(map[*job]bool),
		recovering:  make(map[string][]*task),
	}
}

// Step applies the events in their order, fires what was due by now in spite of them, hands out work, and appends to out what must
// be done. Time that runs backwards is taken to stand still.
func (c *Scheduler) Step(now Time, out *Effects, events ...Event) {
	switch {
	case c.restored: // That took its time, in which no worker could register.
		c.restored = false
		c.forgive(max(c.now, now))
	case c.stalled(now):
		c.stats.Stalls++
		c.forgive(now)
	}
	c.now, c.out = max(c.now, now), out
	// What waits to be heard may have come before what is due, and goes first: a report before its attempt's timeout, a heartbeat
	// before its session's end.
	for _, e := range events {
		e.apply(c)
	}
	c.fireTimers()
	c.dispatch()
	c.fireLate()
	c.wakeBeats()
	c.wakeWatchers()
	c.wakeAnys()
	c.forgetOld()
	c.rememberJobs()
	c.out = nil
}

// Next returns when Step must be called at the latest, or Never.
func (c *Scheduler) Next() Time {
	if c.restored {
		return c.now
	}
	next := c.nextForget()
	if len(c.timers.heap) > 0 {
		next = min(next, c.timers.heap[0].at)
	}
	if c.cfg.Tick > 0 && next != Never { // To see that time passes as it should.
		next = min(next, c.now.Add(c.cfg.Tick))
	}
	return next
}

// Stats returns the totals as of the last Step.
func (c *Scheduler) Stats() Stats {
	s := c.stats
	s.Tasks = c.counts
	s.Workers = len(c.sessions)
	s.QueuedBytes, s.Ready = c.queuedBytes, c.readyCount
	for _, se := range c.sessions { // order-free: a sum
		s.Slots += se.slots
	}
	return s
}

func (c *Scheduler) reply(call CallID, body any) {
	c.out.Replies = append(c.out.Replies, Reply{Call: call, Body: body})
}

func (c *Scheduler) fail(call CallID, err error) {
	c.out.Replies = append(c.out.Replies, Reply{Call: call, Err: err})
}

func (c *Scheduler) note(t *task, end AttemptEnd, took time.Duration) {
	c.out.Attempts = append(c.out.Attempts, AttemptNote{Function: t.shape.Function, End: end, Took: max(took, 0)})
}

func (c *Scheduler) token() Token {
	c.nextToken++
	return c.nextToken
}

func (c *Scheduler) fireTimers() {
	for t := c.timers.due(c.now); t != nil; t = c.timers.due(c.now) {
		switch t.kind {
		case timerTask:
			if t.task.pending == Ready {
				c.late = append(c.late, t)
				continue
			}
			c.taskTimer(t.task)
		case timerLease:
			c.leaseTimer(t.lease)
		case timerSession:
			c.stats.SessionsExpired++
			c.endSession(t.session)
		case timerDelivery:
			c.deliveryTimer(t.session)
		case timerPenalty:
			t.session.penalty = nil
			if t.session.poll != nil {
				c.newPolls = append(c.newPolls, t.session)
			}
		case timerWait:
			if t.wait.kind == waitPoll {
				c.late = append(c.late, t)
				continue
			}
			c.expireWait(t.wait)
		case timerFollower:
			c.loseFollower(t.follower)
		case timerAwaited:
			c.awaitedPast(t.job)
		}
	}
}

// fireLate fires what was due before work was handed out, unless it was handed out to it: a poll's wait for a task, and a task's
// for a poll.
func (c *Scheduler) fireLate() {
	for _, t := range c.late {
		switch {
		case t.kind == timerTask && t.task.timer == t:
			c.taskTimer(t.task)
		case t.kind == timerWait && c.waits[t.wait.call] == t.wait:
			c.expireWait(t.wait)
		}
	}
	clear(c.late)
	c.late = c.late[:0]
}

// taskTimer ends a backoff, or fails a task that nobody started in time.
func (c *Scheduler) taskTimer(t *task) {
	t.timer = nil
	switch t.pending {
	case Backoff:
		c.pushReady(t, false)
	case Recovering:
		c.unclaimed(t, true)
	default:
		c.finish(t, Failed, SchedulingTimeout, nil)
	}
}

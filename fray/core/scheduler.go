package core

import (
	"time"

	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

// Scheduler decides which worker runs which task and what becomes of it. Not safe for concurrent
// use: one goroutine owns it.
type Scheduler struct {
	cfg   Config
	now   Time
	out   *Effects
	stats Stats
	undurable

	log     taskLog
	byID    index
	objects objects
	// The number of the last task that is of an earlier incarnation, and so may its attempts be.
	lastRestored TaskNum
	counts       [statusCount]int
	jobs         map[string]*job
	// By name, and what all have together.
	owners map[string]*owner
	all    usage
	// Of all ended tasks; and the jobs that may forget one, see retain.go.
	retainedBytes int64
	free          freeJobs
	awaitedJobs   map[*job]bool
	// Jobs of which nothing is granted, see hold.go, and how many of these, from the first, are to be looked at.
	held      []*job
	heldToSee int
	reading   map[CallID][]*task
	// Until when it is likely that a client asks for these open tasks again.
	asked map[*task]Time
	// What open tasks need, and who needs a task; those that have ended and whose dependants go on; and how
	// many are kept for these alone, with the bytes of their records.
	dependencies  map[*task]*dependencies
	dependants    map[*task]*dependants
	moves         reuse.Queue[*task]
	outlived      int
	outlivedBytes int64
	// What a restart left to do: tasks whose objects are not restored yet, and holds that are to end.
	unlinked []unlinkedNeeds
	overdue  []overdueHold
	// Of tasks that failed for what they need: the first that did not complete.
	causes map[*task]string
	// Actors by their lives, and by the names of those that live; and calls, ended ones included.
	actors      map[*task]*actor
	actorByName map[nameKey]*actor
	calls       map[*task]mail
	// Actors whose incarnation is gone in this step; those that are dead and have open calls; and workers that
	// may be handed calls.
	lost, dying []*actor
	mailed      []*session
	// Open schedules, also by their names; and those of which a time has come.
	schedules      map[*task]*schedule
	scheduleByName map[nameKey]*schedule
	due            reuse.Queue[*schedule]
	// Who has which key, or was the last to have it, and which key that is of such a task.
	uniques    map[nameKey]unique
	uniqueKeys map[*task]nameKey
	// The gangs of open tasks, also by their jobs and names; those for which workers are kept; and classes of
	// leaders of gangs that all workers have no room for.
	gangs      map[*task]*gang
	gangByName map[nameKey]*gang
	gathering  []*gang
	shelves    []*class
	// While it is restored: gangs in the order of their first tasks.
	restoredGangs []*gang
	// What open tasks have of limits; the limits; and those that got room.
	limits   map[*task]*limited
	buckets  map[limitKey]*bucket
	relieved reuse.Queue[*bucket]
	// While it is restored: tasks that have yet to get their places. And when that was.
	restoring  bool
	unplaced   []*task
	restoredAt Time
	// Open tasks that could not be granted from their submission on, and when they can.
	notBefore map[*task]Time
	// Until then nothing is forgotten.
	quietUntil Time

	shapes     map[string]*shape
	kins       map[kinKey]*kin
	classByKey map[string]*class
	keyBuf     []byte
	// What is ready of each function that a class has, by its name.
	functions map[string]*functionDepth
	// Classes without open tasks.
	idle classList
	// All that are ready.
	readyCount int
	ages       ages
	// The last place in the round of jobs that take turns.
	lastRound uint64
	// Numbers of the last task that ended, and of the last job that was given one.
	endSeq, lastJob uint64

	sessions  map[Token]*session
	byWorker  map[string]*session
	leases    map[Token]*lease
	nextToken Token
	// Slots of all sessions, and what their registrations take.
	slots      int
	fleetBytes int64
	// What workers have in common, and what classes have that the same workers can run.
	kindByKey map[string]*kind
	lastKind  uint64
	idleKinds int
	groups    map[string]*group
	// How many classes ask for each label, and who carries it.
	mentions map[Label]int
	carriers map[Label]map[*session]struct{}
	// The number of the last poll.
	lastPoll uint64

	waits    map[CallID]*wait
	awaiters map[*task]*waitList
	timers   timers
	// Those that are due and can still be met in this step.
	late []*timer
	gaps gaps
	// Of waits.
	waking timers
	// It is in Idle.
	idling bool
	// Tasks that may be at a worker, by its id, until it registers. Some may have gone on
	// meanwhile.
	recovering map[string][]*task
	// It was restored, and has made no step since.
	restored bool

	// What the events of this step left to do at its end.
	stirred    groupsByWait
	dirtyJobs  []*job
	dirtyAnys  []*wait
	dirtyBeats []*session
	// Jobs whose record is to be written or deleted; the same one may follow itself.
	changedJobs []*job
	// Those that have failed as a whole, and whose open tasks are to be cancelled.
	failing []*job

	// Steps that handed out work. What dispatch works with: what a poll is offered, and amounts of
	// resources.
	steps       uint64
	offered     []*group
	asks, spare []int64
	// Of those that a poll's worker can run, the groups of tasks that run alone.
	loners []*group
	// Work is being handed out.
	dispatching bool
	// See InfoReply.
	looks, work uint64
	// How often workers came, went, or were told to leave; and of how many classes this step has
	// found out what these lack.
	fleet     uint64
	explained int
}

// NewScheduler returns an empty scheduler.
func NewScheduler(cfg Config) *Scheduler {
	set := new(uint64)
	return &Scheduler{
		cfg:            cfg.withDefaults(),
		timers:         timers{seq: set},
		waking:         timers{seq: set},
		byID:           newIndex(),
		objects:        newObjects(),
		jobs:           make(map[string]*job),
		owners:         make(map[string]*owner),
		shapes:         make(map[string]*shape),
		kins:           make(map[kinKey]*kin),
		classByKey:     make(map[string]*class),
		functions:      make(map[string]*functionDepth),
		sessions:       make(map[Token]*session),
		byWorker:       make(map[string]*session),
		leases:         make(map[Token]*lease),
		nextToken:      firstToken(cfg.Incarnation),
		kindByKey:      make(map[string]*kind),
		groups:         make(map[string]*group),
		mentions:       make(map[Label]int),
		carriers:       make(map[Label]map[*session]struct{}),
		waits:          make(map[CallID]*wait),
		awaiters:       make(map[*task]*waitList),
		reading:        make(map[CallID][]*task),
		asked:          make(map[*task]Time),
		dependencies:   make(map[*task]*dependencies),
		dependants:     make(map[*task]*dependants),
		notBefore:      make(map[*task]Time),
		causes:         make(map[*task]string),
		actors:         make(map[*task]*actor),
		actorByName:    make(map[nameKey]*actor),
		calls:          make(map[*task]mail),
		schedules:      make(map[*task]*schedule),
		scheduleByName: make(map[nameKey]*schedule),
		uniques:        make(map[nameKey]unique),
		uniqueKeys:     make(map[*task]nameKey),
		gangs:          make(map[*task]*gang),
		gangByName:     make(map[nameKey]*gang),
		limits:         make(map[*task]*limited),
		buckets:        make(map[limitKey]*bucket),

		awaitedJobs: make(map[*job]bool),
		recovering:  make(map[string][]*task),
	}
}

// Step applies the events in their order, fires what was due by now in spite of them, hands out
// work, and appends to out what must be done. Time that runs backwards is taken to stand still.
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
	c.step++
	out.Step = c.step
	done := len(out.Records) + len(out.Replies)
	c.explained = 0
	// What waits to be heard may have come before what is due, and goes first: a report before its
	// attempt's timeout, a heartbeat before its session's end.
	for _, e := range events {
		e.apply(c)
	}
	c.fireTimers()
	c.endFailed()
	c.runDue()
	c.endOverdue()
	c.loseHands()
	moves := c.endings(maxMoves)
	c.endFailed()
	c.goOnBelow(maxRelieved)
	c.dispatch()
	c.fireLate()
	c.endings(moves)
	c.endFailed()
	c.wakeBeats()
	c.wakeWatchers()
	c.wakeAnys()
	c.forgetOld()
	if c.letGo(); len(c.stirred)+len(c.mailed) > 0 {
		c.dispatch()
	}
	c.deletePieces()
	c.rememberJobs()
	c.work += uint64(len(events) + len(out.Records) + len(out.Replies) - done) //nolint:gosec // Not negative.
	c.out = nil
}

// Next returns when Step must be called at the latest, or Never.
func (c *Scheduler) Next() Time {
	if c.restored || c.heldToSee > 0 || c.mayDelete() || c.moves.Len() > 0 || len(c.dying) > 0 || c.relieved.Len() > 0 || c.due.Len() > 0 {
		return c.now
	}
	next := c.nextForget()
	if len(c.timers.heap) > 0 {
		next = min(next, c.timers.heap[0].at)
	}
	if c.cfg.Tick > 0 && next != Never { // To see that time passes as it should.
		next = min(next, c.now.Add(c.cfg.Tick))
	}
	return min(next, c.NextIdle())
}

// Stats returns the totals as of the last Step.
func (c *Scheduler) Stats() Stats {
	s := c.stats
	s.Tasks = c.counts
	s.Workers = len(c.sessions)
	s.QueuedBytes, s.Ready = c.all.bytes, c.readyCount
	s.Slots = c.slots
	return s
}

// Looks returns how many of the things that the scheduler holds it has looked at since it was made,
// but for those that an event names. What a step costs must not grow with what is there.
func (c *Scheduler) Looks() uint64 { return c.looks }

func (c *Scheduler) reply(call CallID, body any) {
	c.out.Replies = append(c.out.Replies, Reply{Call: call, Body: body})
}

// tell is reply where that tells nothing which is not durable.
func (c *Scheduler) tell(call CallID, body any) {
	c.out.Replies = append(c.out.Replies, Reply{Call: call, Body: body, Settled: true})
}

// fail answers with an error, which rests on no record.
func (c *Scheduler) fail(call CallID, err error) {
	c.out.Replies = append(c.out.Replies, Reply{Call: call, Err: err, Settled: true})
}

func (c *Scheduler) note(t *task, end AttemptEnd, took time.Duration) {
	c.out.Attempts = append(c.out.Attempts, AttemptNote{Function: t.shape.Function, End: end, Took: max(took, 0)})
}

func (c *Scheduler) token() Token {
	c.nextToken++
	return c.nextToken
}

func (c *Scheduler) fireTimers() {
	for t := dueOf(&c.timers, &c.waking, c.now); t != nil; t = dueOf(&c.timers, &c.waking, c.now) {
		switch t.kind {
		case timerTask:
			if t.task.pending.timed() {
				c.late = append(c.late, t)
				continue
			}
			c.taskTimer(t.task)
		case timerLease:
			c.leaseTimer(t.lease)
		case timerSession:
			c.expireSession(t.session)
		case timerDelivery:
			c.deliveryTimer(t.session)
		case timerPenalty:
			c.endPenalty(t.session)
		case timerFollower:
			c.loseFollower(t.follower)
		case timerAwaited:
			c.awaitedPast(t.job)
		case timerObjects:
			c.objectsPast(t.job)
		case timerUpload:
			c.uploadPast(t.object)
		case timerBucket:
			c.refilled(t.bucket)
		case timerWait:
			if t.wait.kind == waitPoll {
				c.late = append(c.late, t)
				continue
			}
			c.expireWait(t.wait)
		}
	}
}

// fireLate fires what was due before work was handed out, unless it was handed out to it: a poll's
// wait for a task, and a task's for a poll.
func (c *Scheduler) fireLate() {
	for _, t := range c.late {
		switch {
		case t.kind == timerTask && t.task.timer() == t:
			c.taskTimer(t.task)
		case t.kind == timerWait && c.waits[t.wait.call] == t.wait:
			c.expireWait(t.wait)
		}
	}
	c.late = reuse.Emptied(c.late)
}

// taskTimer ends a backoff, or fails a task that nobody started in time.
func (c *Scheduler) taskTimer(t *task) {
	t.run.timer = nil
	switch t.pending {
	case Backoff:
		c.line(t, false)
	case Delayed:
		c.queue(t, false)
	case Scheduled:
		c.comeDue(t)
	case Recovering:
		c.unclaimed(t, true)
	default:
		c.neverStarted(t)
	}
}

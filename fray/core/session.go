package core

import (
	"maps"
	"slices"
	"time"
)

// session is one registration of a worker.
type session struct {
	token          Token
	workerID       string
	registrationID string
	// That of the session whose place it took: a late copy of it must not take it back.
	formerRegistration string
	// Attempts of an earlier incarnation that it was given back when it registered.
	kept      []Token
	url       string
	slots     int
	resources []Resource
	// In use, one for each of resources.
	inUse      []int64
	labels     map[string]string
	functions  map[string]bool
	names      []string
	registered Time
	lastSeen   Time // its last heartbeat
	ttl        *timer
	// When it last sent anything that says that the worker is there: a heartbeat, or a poll.
	heard Time

	// In the order of their grant.
	leases     leaseList
	poll, beat *wait
	// The last poll that was granted something, and the last that the worker is known to have got an answer to.
	grantSeq, receivedSeq uint64
	pollSeq               uint64
	delivery              *timer
	deliveryTime          time.Duration // that the last grant may take
	beatSeq               uint64
	// Tokens that the worker holds and the scheduler does not know, as a list and as a set, and those of them that it was told to stop.
	unknown             []Token
	listed, toldUnknown map[Token]bool
	// The last step that ended an attempt of it, or asked it to stop one.
	changed uint64
	// It has a stop that the worker was not told of, and stands in Scheduler.dirtyBeats.
	dirty     bool
	drain     *drainOrder
	drainTold bool
	// The worker itself says that it drains: it sends no further polls.
	leaving bool
	// Its labels, in order.
	tags []Label
	// What it can run; nil while it drains.
	kind *kind
	// Its poll stands in places, which were made when kind.changes was placesAsOf.
	asking                 bool
	nextAsking, prevAsking *session
	places                 []*pollPlace
	placesAsOf             int
	// Leases whose stop the worker was not told of.
	untold int
	// Quick failures in a row, how often that led to a back-off, and its end.
	quickFailures int
	penalties     int
	penalty       *timer
}

type drainOrder struct {
	grace time.Duration
	// The worker decided so itself, and needs no telling.
	own bool
}

// leaseList is a list threaded through its leases.
type leaseList struct {
	head, tail *lease
	size       int
}

func (l *leaseList) push(x *lease) {
	x.prev = l.tail
	if l.tail == nil {
		l.head = x
	} else {
		l.tail.next = x
	}
	l.tail = x
	l.size++
}

func (l *leaseList) remove(x *lease) {
	if x.prev == nil {
		l.head = x.next
	} else {
		x.prev.next = x.next
	}
	if x.next == nil {
		l.tail = x.prev
	} else {
		x.next.prev = x.prev
	}
	x.next, x.prev = nil, nil
	l.size--
}

// canEverRun says whether the worker could run tasks of cl if it were idle.
func (s *session) canEverRun(cl *class) bool {
	for _, l := range cl.labels {
		if v, ok := s.labels[l.Name]; !ok || v != l.Value {
			return false
		}
	}
	return s.functions[cl.function] && covers(s.resources, cl)
}

// fits says whether the worker has the resources of cl free now.
func (s *session) fits(cl *class) bool {
	for _, r := range cl.resources {
		i := s.resource(r.Name)
		if s.resources[i].Amount-s.inUse[i] < r.Amount {
			return false
		}
	}
	return true
}

func (s *session) resource(name string) int {
	return slices.IndexFunc(s.resources, func(r Resource) bool { return r.Name == name })
}

// occupy adds (sign 1) or frees (sign -1) what an attempt of cl uses.
func (s *session) occupy(cl *class, sign int64) {
	for _, r := range cl.resources {
		s.inUse[s.resource(r.Name)] += sign * r.Amount
	}
}

func (e *Register) apply(c *Scheduler) {
	old := c.byWorker[e.WorkerID]
	if old != nil && old.registrationID == e.RegistrationID {
		// The worker has just learned, or will, that it has this session, and counts its life from now.
		c.renew(old)
		c.reply(e.Call, RegisterReply{Session: old.token, Kept: old.kept})
		return
	}
	if old != nil && old.formerRegistration == e.RegistrationID {
		c.fail(e.Call, ErrSuperseded)
		return
	}
	if old == nil && len(c.sessions) >= c.cfg.MaxSessions {
		c.fail(e.Call, ErrTooManySessions)
		return
	}
	if old != nil {
		c.endSession(old)
	}
	s := &session{
		token: c.token(), workerID: e.WorkerID, registrationID: e.RegistrationID, url: e.URL, slots: e.Slots,
		resources: slices.Clone(e.Resources), inUse: make([]int64, len(e.Resources)), labels: e.Labels,
		functions: make(map[string]bool, len(e.Functions)), names: slices.Sorted(slices.Values(e.Functions)),
		registered: c.now, lastSeen: c.now, heard: c.now, changed: c.step,
	}
	for _, f := range e.Functions {
		s.functions[f] = true
	}
	if old != nil {
		s.formerRegistration = old.registrationID
	}
	s.ttl = c.timers.add(&timer{at: c.now.Add(c.cfg.SessionTTL), kind: timerSession, session: s})
	for _, name := range slices.Sorted(maps.Keys(s.labels)) {
		s.tags = append(s.tags, Label{name, s.labels[name]})
	}
	c.sessions[s.token], c.byWorker[s.workerID] = s, s
	c.fleet++
	c.slots += s.slots
	c.carries(s)
	c.joinKind(s)
	// Attempts of an ended session of this incarnation are fenced. Those of an earlier one nobody has judged yet.
	for i := range e.Held {
		if c.adopt(s, &e.Held[i]) {
			s.kept = append(s.kept, e.Held[i].Token)
		}
	}
	c.missed(e)
	c.reply(e.Call, RegisterReply{Session: s.token, Kept: s.kept})
}

func (e *Unregister) apply(c *Scheduler) {
	if s := c.sessions[e.Session]; s != nil {
		c.endSession(s)
	}
	c.reply(e.Call, Done{})
}

// endSession takes everything from a worker that is gone, or that must take itself for gone. Its attempts are fenced.
func (c *Scheduler) endSession(s *session) {
	c.leaveKind(s)
	c.carriesNoMore(s)
	c.slots -= s.slots
	delete(c.sessions, s.token)
	c.fleet++
	delete(c.byWorker, s.workerID)
	c.timers.cancel(s.ttl)
	c.timers.cancel(s.delivery)
	c.timers.cancel(s.penalty)
	for _, w := range []*wait{s.poll, s.beat} {
		if w != nil {
			c.unpark(w)
			c.fail(w.call, ErrSessionStale)
		}
	}
	// Last granted first, because each goes to the front of its queue.
	for l := s.leases.tail; l != nil; l = s.leases.tail {
		t, current := l.task, l.current()
		c.endLease(l)
		if !current {
			continue
		}
		c.stats.LeasesExpired++
		if l.mayHaveStarted() {
			c.workerLost(t, c.now.Sub(l.grantedAt))
		} else {
			c.undelivered(t)
		}
	}
}

// workerLost charges the death of a worker to the task that it ran.
func (c *Scheduler) workerLost(t *task, ran time.Duration) {
	c.note(t, EndWorkerLost, ran)
	c.touch(t)
	t.run.losses++
	t.started = true
	switch {
	case t.cancelRequested:
		c.finish(t, Cancelled, 0, nil)
	case t.run.losses > t.shape.MaxWorkerLosses:
		c.finish(t, Failed, WorkerLost, nil)
	default:
		c.requeue(t)
	}
}

// undelivered takes back an attempt that never started, at no charge.
func (c *Scheduler) undelivered(t *task) {
	c.note(t, EndUndelivered, 0)
	c.touch(t)
	c.stats.DeliveryFailures++
	t.run.deliveries++
	c.putBack(t)
}

// putBack returns a task whose attempt is over to the front of its queue, unless it was cancelled meanwhile.
func (c *Scheduler) putBack(t *task) {
	if t.cancelRequested {
		c.finish(t, Cancelled, 0, nil)
		return
	}
	c.requeue(t)
}

func (c *Scheduler) requeue(t *task) {
	c.touch(t)
	if t.status != Pending { // Else its lease was of an earlier incarnation.
		c.setStatus(t, Pending)
	}
	if t.shape.SchedulingTimeout > 0 && !t.started && c.startBy(t) <= c.now {
		t.pending = Backoff // Not in a queue, so that finish takes it out of none.
		c.neverStarted(t)
		return
	}
	c.queue(t, true)
	c.remember(t, false)
}

// penalize backs a worker off that fails everything quickly, or that gets nothing delivered, provided that another
// could do the work: what fails everywhere is the tasks' fault.
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

package core

import (
	"maps"
	"slices"
	"time"

	"github.com/frayrpc/fray/fray/core/internal/reuse"
)

// session is one registration of a worker.
type session struct {
	token          Token
	workerID       string
	registrationID string
	process        string
	number         uint64 // of the registration, among those of its process
	// Those of the sessions before it, the latest last: a late copy of one must not take its place back.
	formerRegistrations []string
	// Attempts of an earlier incarnation that it was given back when it registered.
	kept      []Token
	url       string
	slots     int
	resources []Resource
	// In use, one for each of resources. What has been lent of it is in use twice; that there was such a thing is kept.
	inUse      []int64
	lends      bool
	labels     map[string]string
	functions  map[string]bool
	names      []string
	bytes      int64 // that it takes, about
	registered Time
	lastSeen   Time // its last heartbeat
	ttl        *timer
	// When it last sent anything that says that the worker is there: a heartbeat, or a poll.
	heard Time

	// In the order of their grant.
	leases     leaseList
	poll, beat *wait
	answered   Time // the last heartbeat; 0: none was
	// The last poll that was granted something, and the last that the worker is known to have got
	// an answer to.
	grantSeq, receivedSeq uint64
	pollSeq               uint64
	delivery              *timer
	deliveryTime          time.Duration // that the last grant may take
	beatSeq               uint64
	// Tokens that the worker holds and the scheduler does not know, as a list and as a set, and
	// those of them that it was told to stop.
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
	// Actors there for which it can be handed calls; and it stands in Scheduler.mailed.
	mail        reuse.Queue[delivery]
	mailStirred bool
	// Leases whose stop the worker was not told of.
	untold int
	// How many of its leases may have started; and how many are of tasks that run alone.
	begun, alone int
	// It is set aside for a task of this class, and its place among those.
	aside   *class
	asideAt int
	// It is kept for this gang, its place among those, and how many of the gang's tasks it has room for now.
	gang             *gang
	gangAt, gangRoom int
	// Quick failures in a row, how often that led to a back-off, and its end.
	quickFailures int
	penalties     int
	penalty       *timer
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

// takeLoans has a poll know what is lent.
func (c *Scheduler) takeLoans(w *wait, lenders []Token) {
	for _, token := range lenders {
		l := c.leases[token]
		if l == nil || l.session != w.session || l.lends || len(l.task.shape.class.resources) == 0 {
			continue
		}
		if w.lent == nil {
			w.lent, w.session.lends = make([]int64, len(w.session.resources)), true
		}
		l.lends = true
		w.lenders = append(w.lenders, l)
		w.lend(l, 1)
	}
}

// lend counts what an attempt has lent, or with -1 off.
func (w *wait) lend(l *lease, sign int64) {
	for _, r := range l.task.shape.class.resources {
		w.lent[w.session.resource(r.Name)] += sign * r.Amount
	}
}

// left returns how much of its i-th resource the worker has free now: what nothing uses, and, while it asks for work,
// what is lent. It is negative where more is in use than there is, because some of it was lent before.
func (s *session) left(i int) int64 {
	free := s.resources[i].Amount - s.inUse[i]
	if s.poll != nil && s.poll.lent != nil {
		free += s.poll.lent[i]
	}
	return free
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
		// The worker has just learned, or will, that it has this session, and counts its life from
		// now.
		c.renew(old)
		c.reply(e.Call, RegisterReply{Session: old.token, Kept: old.kept})
		return
	}
	if old != nil && (slices.Contains(old.formerRegistrations, e.RegistrationID) || old.process == e.Process && e.Number < old.number) {
		c.fail(e.Call, ErrSuperseded)
		return
	}
	if old != nil && old.process != "" && e.Process != "" && old.process != e.Process && c.listens(old) {
		c.fail(e.Call, ErrWorkerLives)
		return
	}
	if old == nil && len(c.sessions) >= c.cfg.MaxSessions {
		c.fail(e.Call, ErrTooManySessions)
		return
	}
	bytes := e.bytes()
	if room := c.cfg.MaxFleetBytes - c.fleetBytes; bytes > room && (old == nil || bytes > room+old.bytes) {
		c.fail(e.Call, ErrFleetTooLarge)
		return
	}
	if old != nil {
		c.endSession(old)
	}
	s := &session{
		token: c.token(), workerID: e.WorkerID, registrationID: e.RegistrationID, process: e.Process, number: e.Number, url: e.URL, slots: e.Slots,
		resources: slices.Clone(e.Resources), inUse: make([]int64, len(e.Resources)), labels: e.Labels,
		functions: make(map[string]bool, len(e.Functions)), names: slices.Sorted(slices.Values(e.Functions)),
		registered: c.now, lastSeen: c.now, heard: c.now, changed: c.step, bytes: bytes,
	}
	for _, f := range e.Functions {
		s.functions[f] = true
	}
	if old != nil {
		former := append(slices.Clone(old.formerRegistrations), old.registrationID)
		s.formerRegistrations = former[max(0, len(former)-maxFormer):]
	}
	s.ttl = c.timers.add(&timer{at: c.now.Add(c.cfg.SessionTTL), kind: timerSession, session: s})
	for _, name := range slices.Sorted(maps.Keys(s.labels)) {
		s.tags = append(s.tags, Label{name, s.labels[name]})
	}
	c.sessions[s.token], c.byWorker[s.workerID] = s, s
	c.fleet++
	c.slots += s.slots
	c.fleetBytes += s.bytes
	c.carries(s)
	c.joinKind(s)
	// Attempts of an ended session of this incarnation are fenced. Those of an earlier one nobody
	// has judged yet.
	for _, calls := range []bool{false, true} { // Calls last: they go with their actors' lives.
		for i := range e.Held {
			if t := c.find(e.Held[i].Task); t != nil && (t.shape.Role == ActorCall) == calls && c.adopt(s, &e.Held[i]) {
				s.kept = append(s.kept, e.Held[i].Token)
			}
		}
	}
	c.missed(e)
	c.reply(e.Call, RegisterReply{Session: s.token, Kept: s.kept})
}

// bytes is how much room a registration takes, about.
func (e *Register) bytes() int64 {
	n := len(e.URL)
	for _, r := range e.Resources {
		n += entryBytes + len(r.Name)
	}
	for name, value := range e.Labels { // order-free: a sum
		n += entryBytes + len(name) + len(value)
	}
	for _, f := range e.Functions {
		n += entryBytes + len(f)
	}
	return int64(n)
}

// entryBytes is what an entry of a registration takes besides its text, about.
const entryBytes = 64

// maxFormer is how many former registrations of a worker's id are known, as long as one of them follows
// upon the other.
const maxFormer = 8

// beatGap is how soon a worker that has been answered sends its next heartbeat, at most.
const beatGap = time.Second

// listens says whether the worker's process is there now: its heartbeat waits to be answered, or has
// been a moment ago. That of a process that has died is withdrawn with its connection.
func (c *Scheduler) listens(s *session) bool {
	return s.beat != nil || s.answered != 0 && c.now.Sub(s.answered) < beatGap
}

func (e *Unregister) apply(c *Scheduler) {
	if s := c.sessions[e.Session]; s != nil {
		c.endSession(s)
	}
	c.reply(e.Call, Done{})
}

// expireSession ends the session of a worker that sent no heartbeat for the TTL.
func (c *Scheduler) expireSession(s *session) {
	c.stats.SessionsExpired++
	c.out.Expired = append(c.out.Expired, ExpiredNote{Worker: s.workerID, Silent: c.now.Sub(s.heard), Attempts: s.leases.size})
	c.endSession(s)
}

// endSession takes everything from a worker that is gone, or that must take itself for gone. Its
// attempts are fenced.
func (c *Scheduler) endSession(s *session) {
	c.leaveKind(s)
	c.carriesNoMore(s)
	c.slots -= s.slots
	c.fleetBytes -= s.bytes
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
	company := s.begun > 1
	// Last granted first, because each goes to the front of its queue.
	for l := s.leases.tail; l != nil; l = s.leases.tail {
		t, current := l.task, l.current()
		c.endLease(l)
		if !current {
			continue
		}
		c.stats.LeasesExpired++
		if l.mayHaveStarted() {
			c.workerLost(t, c.now.Sub(l.grantedAt), company)
		} else {
			c.undelivered(t)
		}
	}
}

package check

import (
	"cmp"
	"time"
)

// leaseBook knows who was granted what, and until when the controller must have taken it for
// theirs.
//
// A lease ends at the controller for one of these reasons only, each of which leaves a trace in a
// history:
//
//   - the worker reported the attempt's end: the report was sent;
//   - its session ended by an act: a registration of the same worker or an unregistration was sent;
//   - its session ended by silence: a TTL passed since the worker sent the last heartbeat (or its registration) that was
//     answered, for the controller heard of it no sooner than it was sent;
//   - its delivery was not confirmed: a DeliveryTimeout passed between the poll that it answers and the answer to a heartbeat
//     that was sent when the grant was there;
//   - it ran past its execution timeout;
//   - the controller crashed.
type leaseBook struct {
	deliveryTimeout time.Duration
	sessions        map[uint64]*workerSession
	byWorker        map[string]*workerSession // the last
	last            map[string]*lease         // by task: of the highest attempt that was granted
	crash           uint64
	// Some session was made to end, or found ended.
	ended bool
}

type workerSession struct {
	token   uint64
	worker  string
	opened  *Event
	ttl     time.Duration
	alive   time.Duration // when the last heartbeat was sent that was answered
	closed  *Event        // the first act that may have ended it
	pending []*lease      // whose delivery no heartbeat has confirmed
}

type lease struct {
	grant     *Event
	session   *workerSession // nil: nobody saw it open
	confirmed *Event
	reported  *Event // the first report of its end
	before    *lease // what was the task's last until then
}

func newLeaseBook(cfg *Config) *leaseBook {
	return &leaseBook{
		deliveryTimeout: cfg.DeliveryTimeout, sessions: make(map[uint64]*workerSession), byWorker: make(map[string]*workerSession),
		last: make(map[string]*lease),
	}
}

func (b *leaseBook) observe(e *Event) {
	switch e.Kind {
	case ControllerCrash:
		b.crash, b.ended = e.Seq, true
	case WorkerCrash:
		b.ended = true
	case RegisterCall:
		b.close(b.byWorker[e.Worker], e)
	case UnregisterCall:
		b.close(b.sessions[e.Session], e)
	case RegisterReply:
		if b.sessions[e.Session] == nil {
			s := &workerSession{token: e.Session, worker: e.Worker, opened: e, ttl: e.TTL, alive: e.InvokedAt}
			if old := b.byWorker[e.Worker]; old != nil {
				b.close(old, e)
				delete(b.sessions, old.token) // Its leases know it still.
			}
			b.sessions[e.Session], b.byWorker[e.Worker] = s, s
		}
	case HeartbeatReply:
		b.heartbeat(e)
	case GrantReply:
		b.granted(e)
	case ReportCall:
		if l := b.last[e.Task]; l != nil && l.grant.Token == e.Token && l.reported == nil && endsAttempt(e.Outcome) {
			l.reported = e
		}
	case ReadReply:
		if e.View != nil && e.View.Terminal() {
			delete(b.last, e.Task)
		}
	default:
	}
}

func (b *leaseBook) close(s *workerSession, e *Event) {
	if s != nil && s.closed == nil {
		s.closed, b.ended = e, true
	}
}

func (b *leaseBook) heartbeat(e *Event) {
	s := b.sessions[e.Session]
	if s == nil {
		return
	}
	s.alive = max(s.alive, e.InvokedAt)
	left := s.pending[:0]
	for _, l := range s.pending {
		if e.follows(l.grant.Seq) {
			l.confirmed = e
		} else {
			left = append(left, l)
		}
	}
	clear(s.pending[len(left):])
	s.pending = left
}

func (b *leaseBook) granted(e *Event) {
	if l := b.last[e.Task]; l != nil && l.grant.Attempt >= e.Attempt && l.grant.Incarnation == e.Incarnation {
		return
	}
	l := &lease{grant: e, session: b.sessions[e.Session]}
	if l.before = b.last[e.Task]; l.before != nil {
		l.before.before = nil
	}
	b.last[e.Task] = l
	if l.session != nil {
		l.session.pending = append(l.session.pending, l)
	}
}

// over says whether the controller may have taken the lease for over by an instant, and is generous
// in doubt.
func (b *leaseBook) over(l *lease, seq uint64, at time.Duration) bool {
	if l.reported != nil && l.reported.Seq < seq || b.crash > l.grant.Invoked {
		return true
	}
	if s := l.session; s == nil || s.silent(at) || s.closed != nil && s.closed.Seq < seq {
		return true
	}
	timeout := cmp.Or(b.deliveryTimeout, l.session.ttl)
	delivered := at
	if l.confirmed != nil {
		delivered = min(delivered, l.confirmed.At)
	}
	if delivered-l.grant.InvokedAt >= timeout {
		return true
	}
	limit := l.grant.Spec.ExecutionTimeout
	return limit > 0 && at-l.grant.InvokedAt >= limit
}

// silent says whether the session may have expired by then.
func (s *workerSession) silent(at time.Duration) bool { return at-s.alive >= s.ttl }

// lossPossible says whether any worker may have been taken for dead by then.
func (b *leaseBook) lossPossible(at time.Duration) bool {
	if b.ended {
		return true
	}
	for _, s := range b.byWorker { // order-free: a question of whether there is one
		if s.silent(at) {
			b.ended = true
			return true
		}
	}
	return false
}

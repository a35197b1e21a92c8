package check

import (
	"fmt"
)

// oneLease holds a task to have one current lease.
//
// When a worker is granted an attempt of a task of which another attempt was granted before, the
// controller must have had a reason to take the earlier lease for over; leaseBook lists the
// reasons, and what of each shows in a history. Two executions of one task may therefore overlap,
// where the earlier worker's session was lost or its attempt ran past its timeout: it is
// currentAttempt that then holds the earlier one's report to be stale. Grants whose answers never
// arrived cannot be seen. It is vacuous where no task has a second attempt.
type oneLease struct {
	oracle

	book *leaseBook
}

func newOneLease(b *leaseBook) *oneLease {
	return &oneLease{
		oracle{"one-lease", "A task has one current lease."},
		b,
	}
}

// Observe implements Oracle. The book has seen e already.
func (o *oneLease) Observe(e *Event, j *Judge) {
	if e.Kind != GrantReply {
		return
	}
	j.Check()
	l := o.book.last[e.Task]
	if l.grant != e || l.before == nil {
		return
	}
	if before := l.before; !o.book.over(before, e.Seq, e.At) {
		j.Violated(e.Task, fmt.Sprintf("has attempts %d and %d leased at once: nothing ended the lease of worker %s",
			before.grant.Attempt, e.Attempt, before.grant.Worker), before.grant, e)
	}
}

// sessionKept holds the controller to end a session for a reason: that the worker registered anew
// or unregistered, or that no heartbeat was sent for a TTL that was answered. A crash of the
// controller ends all sessions.
type sessionKept struct {
	oracle

	book  *leaseBook
	stale map[uint64]bool
}

func newSessionKept(b *leaseBook) *sessionKept {
	return &sessionKept{
		oracle: oracle{"session-kept", "A worker whose heartbeats are answered is not taken for dead."},
		book:   b, stale: make(map[uint64]bool),
	}
}

// Observe implements Oracle.
func (o *sessionKept) Observe(e *Event, j *Judge) {
	if e.Kind != SessionStale {
		return
	}
	s := o.book.sessions[e.Session]
	o.book.ended = true
	if s == nil || o.stale[e.Session] {
		return
	}
	o.stale[e.Session] = true
	j.Check()
	if s.closed != nil || s.silent(e.At) || o.book.crash > s.opened.Invoked {
		return
	}
	j.Violated("", fmt.Sprintf("the session of worker %s was ended %v after its last answered heartbeat was sent; it lasts %v",
		s.worker, e.At-s.alive, s.ttl), s.opened, e)
}

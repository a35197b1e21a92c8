package check

import (
	"fmt"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// op is one operation on a task, as the model sees it: what was asked, and what was answered.
type op struct {
	event  *Event // its last
	kind   opKind
	answer Answer // Unanswered: it may or may not have had its effect
	// Of grants and reports.
	attempt uint32
	token   uint64
	from    incarnation
	outcome frayv1.AttemptOutcome
	digest  uint64
	view    *View
	// Twice the sequence numbers of the events between which it took place, the call's a half
	// later.
	call, ret int64
	id        uint64 // of its call
	// Of a crash.
	over incarnation
}

type opKind uint8

const (
	opSubmit opKind = iota + 1
	opGrant
	opReport
	opCancel
	opRead
	opCrash
)

// taskState is the sequential specification of one task: what a controller that handles one
// operation at a time could know of it.
//
// A task does some things by itself: an open one may fail or, if its cancellation was asked for, be
// cancelled, at any time. The model lets that happen when an operation shows it. What it never does
// by itself is complete, be granted, or come into being.
type taskState struct {
	phase phase
	// Of a task that is done. A status of 0: it is not known how it ended, only that it did not
	// complete.
	status frayv1.TaskStatus
	reason frayv1.FailureReason
	digest uint64 // 0: not seen
	// The attempt that it ended with; exact says whether that is known.
	attempt uint32
	exact   bool

	cancel cancelState
	// Attempts below cannot be accepted any more.
	floor uint32
	// The highest attempt that is known to have been granted.
	seen uint32
	// Incarnations that a crash has ended, and the task with them.
	over incarnation
	// The last attempt whose failure was accepted, and the token of the last whose end was.
	failed   uint32
	accepted uint64
}

type phase uint8

const (
	absent phase = iota
	open
	done
)

type cancelState uint8

const (
	notAsked cancelState = iota
	maybeAsked
	asked
)

// model says which operations a task allows. With redelivery, the effect that an answer says to have been there before may be that of the same
// call, delivered a first time.
type model struct{ redelivery bool }

// step applies an operation. It reports false where the task does not allow it.
func (m model) step(s taskState, o *op) (taskState, bool) {
	past := o.from <= s.over && o.from != 0
	switch o.kind {
	case opSubmit:
		return s.submit(o, m.redelivery)
	case opGrant:
		if past {
			return s, false
		}
		return s.grant(o)
	case opReport:
		if past {
			return s, o.answer != Accepted
		}
		return s.report(o)
	case opCancel:
		return s.cancelled(o, m.redelivery)
	case opRead:
		return s.read(o)
	default: // Of a controller that keeps no records.
		return taskState{over: o.over}, true
	}
}

func (s taskState) submit(o *op, redelivery bool) (taskState, bool) {
	there := s.phase != absent
	if !there {
		s.phase = open
	}
	switch o.answer {
	case Created:
		return s, !there
	case Existing:
		return s, there || redelivery
	default:
		return s, true
	}
}

// current says whether an attempt may be the task's current one.
func (s taskState) current(attempt uint32) bool {
	return s.phase == open && attempt >= s.floor && attempt >= s.seen
}

func (s taskState) grant(o *op) (taskState, bool) {
	if !s.current(o.attempt) || s.cancel == asked {
		return s, false
	}
	s.seen = o.attempt
	return s, true
}

func (s taskState) report(o *op) (taskState, bool) {
	switch o.answer {
	case Duplicate:
		if s.accepted == o.token {
			return s, true
		}
		return s.accept(o) // Of two deliveries the second was answered.
	case Accepted:
		if !needsCurrent(o.outcome) && !s.current(o.attempt) {
			return s, true
		}
		return s.accept(o)
	case Stale:
		succeeded := o.outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED
		if s.status == frayv1.TaskStatus_TASK_STATUS_COMPLETED && s.attempt == o.attempt && succeeded {
			return s, false
		}
		if s.phase == open {
			s.floor = max(s.floor, o.attempt+1)
		}
		return s, true
	default:
		if after, ok := s.accept(o); ok {
			return after, true
		}
		return s, true
	}
}

// accept ends the current attempt.
func (s taskState) accept(o *op) (taskState, bool) {
	if !s.current(o.attempt) {
		return s, false
	}
	s.seen, s.floor, s.accepted = o.attempt, o.attempt+1, o.token
	switch {
	case o.outcome == frayv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED:
		s.phase, s.status = done, frayv1.TaskStatus_TASK_STATUS_COMPLETED
		s.attempt, s.exact, s.digest = o.attempt, true, o.digest
	case chargesRetry(o.outcome):
		s.failed = o.attempt
	}
	return s, true
}

func (s taskState) cancelled(o *op, redelivery bool) (taskState, bool) {
	switch o.answer {
	case Cancelled:
		if s.phase != open {
			return s, false
		}
		s.phase, s.status, s.cancel = done, frayv1.TaskStatus_TASK_STATUS_CANCELLED, asked
	case Stopping:
		if s.phase != open {
			return s, false
		}
		s.cancel = asked
	case AlreadyTerminal:
		if s.phase == absent {
			return s, false
		}
		if s.phase == open && s.cancel == notAsked && redelivery {
			s.cancel = maybeAsked
		}
		s.phase = done
	case NotFound:
		return s, s.phase == absent
	default:
		if s.phase == open && s.cancel == notAsked {
			s.cancel = maybeAsked
		}
	}
	return s, true
}

func (s taskState) read(o *op) (taskState, bool) {
	v := o.view
	switch {
	case v == nil || s.phase == absent:
		return s, v == nil && s.phase == absent
	case v.Terminal():
		return s.end(o)
	case s.phase != open || v.Attempt < s.seen:
		return s, false
	case v.Stopping && s.cancel == notAsked, !v.Stopping && s.cancel == asked:
		return s, false
	}
	s.seen = v.Attempt
	if v.Status == frayv1.TaskStatus_TASK_STATUS_PENDING && !v.Recovering {
		s.floor = max(s.floor, v.Attempt+1)
		return s, true
	}
	return s, v.Attempt >= s.floor
}

// end is a read that shows how the task ended.
func (s taskState) end(o *op) (taskState, bool) {
	v := o.view
	if s.phase == open || s.status == 0 {
		if !s.mayEndAs(v) {
			return s, false
		}
		s.phase, s.status, s.reason = done, v.Status, v.Reason
	}
	same := s.status == v.Status && (s.reason == v.Reason || !s.exact) && v.Attempt >= s.seen
	same = same && (!s.exact || s.attempt == v.Attempt) && (s.digest == 0 || o.digest == 0 || s.digest == o.digest)
	s.reason, s.attempt, s.exact = v.Reason, v.Attempt, true
	if s.digest == 0 {
		s.digest = o.digest
	}
	return s, same
}

// mayEndAs says whether the task can have come to an end by itself.
func (s taskState) mayEndAs(v *View) bool {
	switch v.Status {
	case frayv1.TaskStatus_TASK_STATUS_FAILED:
		reported := v.Reason == frayv1.FailureReason_FAILURE_REASON_APPLICATION || v.Reason == frayv1.FailureReason_FAILURE_REASON_UNDECODABLE
		return !reported || s.failed == v.Attempt
	case frayv1.TaskStatus_TASK_STATUS_CANCELLED:
		return s.cancel != notAsked
	default:
		return false // It takes a report to complete.
	}
}

// String tells the operation in a few words.
func (o *op) String() string {
	if o.event == nil {
		return "crash"
	}
	return fmt.Sprintf("%v of event #%d", o.event.Kind, o.event.Seq)
}
